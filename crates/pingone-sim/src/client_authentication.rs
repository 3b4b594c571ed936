//! Authentication of the application, and of the worker.

use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;
use url::form_urlencoded;

use crate::{form, simulator::Simulator};

/// Whether the request has the application's credentials, by the method that the application is set to.
pub(crate) fn is_authenticated(sim: &Simulator, headers: &HeaderMap, form: &[(String, String)]) -> bool {
    let application = &sim.config().application;
    let (method, enabled, jwks, replaced) = {
        let state = sim.state();
        let settings = &state.settings.tenant.application;
        let method = settings.token_endpoint_auth_method.clone();
        (method, settings.enabled, settings.jwks.clone(), state.settings.client_secret.clone())
    };
    if method == "PRIVATE_KEY_JWT" {
        return enabled && has_assertion(sim, form, &jwks.unwrap_or_default()).is_some();
    }
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

/// Whether the request has an assertion that one of the keys signed with RS256 (RFC 7523 §3). PingOne checks `iat` and `jti`
/// not at all.
fn has_assertion(sim: &Simulator, form: &[(String, String)], jwks: &Value) -> Option<()> {
    let config = sim.config();
    let kind = form::field(form, "client_assertion_type")?;
    let assertion = form::field(form, "client_assertion")?;
    let header = jsonwebtoken::decode_header(&assertion).ok()?;
    let keys = jwks["keys"].as_array()?.iter();
    let key = keys.into_iter().find(|key| header.kid.as_deref().is_none_or(|kid| key["kid"] == kid))?;
    let key = DecodingKey::from_rsa_components(key["n"].as_str()?, key["e"].as_str()?).ok()?;
    let mut signature_only = Validation::new(Algorithm::RS256);
    signature_only.required_spec_claims.clear();
    signature_only.validate_exp = false;
    signature_only.validate_aud = false;
    let claims = jsonwebtoken::decode::<Value>(&assertion, &key, &signature_only).ok()?.claims;
    let (issuer, now) = (config.issuer(), sim.now());
    let is_client =
        claims["iss"] == *config.application.client_id && claims["sub"] == *config.application.client_id;
    let is_here = claims["aud"].as_str().is_some_and(|audience| audience.starts_with(&issuer));
    let is_valid = claims["exp"].as_u64().is_some_and(|exp| (now..=now + 3600).contains(&exp));
    (kind == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" && is_client && is_here && is_valid)
        .then_some(())
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
