//! Authentication of the application.

use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::form_urlencoded;

use crate::simulator::Simulator;

/// Whether the request has the application's credentials, by `client_secret_basic`: the only registered method.
pub(crate) fn is_authenticated(sim: &Simulator, headers: &HeaderMap) -> bool {
    let application = &sim.config().application;
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let decoded = header.strip_prefix("Basic ").and_then(|value| STANDARD.decode(value).ok());
    let pair = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let (id, secret) = pair.split_once(':').unwrap_or_default();
    // RFC 6749 §2.3.1: both are form-encoded.
    let decode = |text: &str| {
        form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
    };
    let replaced = sim.state().settings.client_secret.clone();
    decode(id) == application.client_id
        && decode(secret) == replaced.unwrap_or_else(|| application.client_secret.clone())
}
