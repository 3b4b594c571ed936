//! Authentication of the application, and of the worker.

use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;
use url::form_urlencoded;

use crate::{application::OidcApplication, config::Worker, form, simulator::Simulator};

/// The application that authenticates with the request, by the method that it is set to.
pub(crate) fn authenticated(
    sim: &Simulator,
    headers: &HeaderMap,
    form: &[(String, String)],
) -> Option<OidcApplication> {
    let basic = basic(headers);
    let client_id = basic.as_ref().map(|(id, _)| id.clone()).or_else(|| form::field(form, "client_id"))?;
    let application = sim.application(&client_id)?;
    let sent = match application.settings.token_endpoint_auth_method.as_str() {
        "CLIENT_SECRET_BASIC" => basic.map(|(_, secret)| secret),
        "CLIENT_SECRET_POST" => form::field(form, "client_secret"),
        "PRIVATE_KEY_JWT" => {
            has_assertion(sim, form, &application)?;
            Some(application.client_secret.clone())
        }
        _ => None,
    };
    let configured = &sim.config().application;
    let keeps = client_id == configured.client_id && sim.state().settings.keeps_client_secret;
    let is_former = keeps && sent.as_ref() == Some(&configured.client_secret);
    let is_right = is_former || sent.as_ref() == Some(&application.client_secret);
    (application.settings.enabled && is_right).then_some(application)
}

/// Whether the request has an assertion that one of the application's keys signed with RS256 or ES256 (RFC 7523 §3). PingOne
/// checks `iat` and `jti` not at all.
fn has_assertion(sim: &Simulator, form: &[(String, String)], application: &OidcApplication) -> Option<()> {
    let kind = form::field(form, "client_assertion_type")?;
    let assertion = form::field(form, "client_assertion")?;
    let header = jsonwebtoken::decode_header(&assertion).ok()?;
    let keys = application.settings.jwks.as_ref()?["keys"].as_array()?.iter();
    let key = keys.into_iter().find(|key| header.kid.as_deref().is_none_or(|kid| key["kid"] == kid))?;
    let member = |name: &str| key[name].as_str();
    let (algorithm, key) = if key["kty"] == "EC" {
        (Algorithm::ES256, DecodingKey::from_ec_components(member("x")?, member("y")?).ok()?)
    } else {
        (Algorithm::RS256, DecodingKey::from_rsa_components(member("n")?, member("e")?).ok()?)
    };
    let mut signature_only = Validation::new(algorithm);
    signature_only.required_spec_claims.clear();
    signature_only.validate_exp = false;
    signature_only.validate_aud = false;
    let claims = jsonwebtoken::decode::<Value>(&assertion, &key, &signature_only).ok()?.claims;
    let (issuer, now) = (sim.config().issuer(), sim.now());
    let is_client = claims["iss"] == *application.client_id && claims["sub"] == *application.client_id;
    let is_here = claims["aud"].as_str().is_some_and(|audience| audience.starts_with(&issuer));
    let is_valid = claims["exp"].as_u64().is_some_and(|exp| (now..=now + 3600).contains(&exp));
    (kind == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" && is_client && is_here && is_valid)
        .then_some(())
}

/// The worker that authenticates with the request, by `client_secret_basic`.
pub(crate) fn authenticated_worker<'a>(sim: &'a Simulator, headers: &HeaderMap) -> Option<&'a Worker> {
    let (id, secret) = basic(headers)?;
    sim.config().worker(&id).filter(|worker| worker.client_secret == secret)
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
