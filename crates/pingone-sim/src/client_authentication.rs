//! Authentication of the application, and of the worker.

use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::form_urlencoded;

use crate::{form, simulator::Simulator};

/// Whether the request has the application's credentials, by the method that the application is set to.
pub(crate) fn is_authenticated(sim: &Simulator, headers: &HeaderMap, form: &[(String, String)]) -> bool {
    let application = &sim.config().application;
    let (method, enabled, replaced) = {
        let state = sim.state();
        let settings = &state.settings.tenant.application;
        let method = settings.token_endpoint_auth_method.clone();
        (method, settings.enabled, state.settings.client_secret.clone())
    };
    let sent = match method.as_str() {
        "CLIENT_SECRET_BASIC" => basic(headers),
        "CLIENT_SECRET_POST" => form::field(form, "client_id").zip(form::field(form, "client_secret")),
        _ => None,
    };
    enabled
        && sent
            == Some((
                application.client_id.clone(),
                replaced.unwrap_or_else(|| application.client_secret.clone()),
            ))
}

/// Whether the request has the worker's credentials, by `client_secret_basic`.
pub(crate) fn is_worker(sim: &Simulator, headers: &HeaderMap) -> bool {
    let worker = &sim.config().worker;
    basic(headers) == Some((worker.client_id.clone(), worker.client_secret.clone()))
}

/// The client id and the secret in the `Authorization` header.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let pair = String::from_utf8(STANDARD.decode(header.strip_prefix("Basic ")?).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    // RFC 6749 §2.3.1: both are form-encoded.
    let decode = |text: &str| {
        form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
    };
    Some((decode(id), decode(secret)))
}
