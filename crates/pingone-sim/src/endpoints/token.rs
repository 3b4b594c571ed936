//! The token endpoint.

use axum::{
    Extension,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::{
    application::OidcApplication,
    client_authentication::{authenticated, authenticated_worker},
    failure::Failure,
    form,
    response::{Correlation, invalid_client, oauth_error, status_code, text},
    simulator::Simulator,
    state::{Code, Family},
    tokens,
};

pub(crate) async fn post(
    State(sim): State<Simulator>,
    Extension(correlation): Extension<Correlation>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let parameters = form::parse(&body);
    let field = |name: &str| form::field(&parameters, name).unwrap_or_default();
    let refresh = field("grant_type") == "refresh_token";
    sim.count(if refresh { "refresh" } else { "token" });
    sim.delay(|failure| match failure {
        Failure::TokenAfter(seconds) => Some(seconds.saturating_mul(1000)),
        _ => None,
    })
    .await;
    if let Some(response) = forced(&sim, refresh, &correlation) {
        return response;
    }
    if field("grant_type") == "client_credentials" {
        return worker_token(&sim, &headers, &correlation);
    }
    let Some(application) = authenticated(&sim, &headers, &parameters) else {
        return invalid_client(&correlation);
    };
    let response = process(&sim, &application, &field, &correlation);
    // By now the request has taken effect, even if its client has hung up.
    sim.delay(|failure| match failure {
        Failure::TokenResponseAfter(millis) => Some(*millis),
        _ => None,
    })
    .await;
    response
}

fn process(
    sim: &Simulator,
    application: &OidcApplication,
    field: &dyn Fn(&str) -> String,
    correlation: &Correlation,
) -> Response {
    let grant_type = field("grant_type");
    let needed = grant_type.to_uppercase();
    if GRANT_TYPES.contains(&needed.as_str()) && !application.settings.grant_types.contains(&needed) {
        let detail = format!("client is missing required grant type: {needed}");
        return oauth_error(StatusCode::BAD_REQUEST, "unauthorized_client", &detail, correlation);
    }
    let result = match grant_type.as_str() {
        "authorization_code" => {
            redeem(sim, application, field).map(|code| tokens::for_code(sim, application, &code))
        }
        "refresh_token" => rotate(sim, application, &field("refresh_token"))
            .map(|family| tokens::for_refresh(sim, application, &family)),
        _ => {
            let (error, detail) = ("unsupported_grant_type", "Unsupported grant type");
            return oauth_error(StatusCode::BAD_REQUEST, error, detail, correlation);
        }
    };
    result.unwrap_or_else(|detail| invalid_grant(detail, correlation))
}

/// A token for the management API. A worker without a role gets none.
fn worker_token(sim: &Simulator, headers: &HeaderMap, correlation: &Correlation) -> Response {
    let Some(worker) = authenticated_worker(sim, headers) else { return invalid_client(correlation) };
    if sim.state().settings.tenant.roles_of(sim.config(), worker).is_empty() {
        let detail = "The application has no roles";
        return oauth_error(StatusCode::BAD_REQUEST, "unauthorized_client", detail, correlation);
    }
    tokens::for_worker(sim, worker)
}

/// Redeems an authorization code: once, in time, with the redirect URI and the verifier of its request.
fn redeem(
    sim: &Simulator,
    application: &OidcApplication,
    field: &dyn Fn(&str) -> String,
) -> Result<Code, &'static str> {
    let code = sim.change(|state| state.codes.remove(&field("code")));
    let code =
        code.filter(|code| code.expires_at > sim.now() && code.request.client_id == application.client_id);
    let code = code.ok_or("Authorization code is invalid or expired")?;
    if code.request.redirect_uri != field("redirect_uri") {
        return Err("Redirect URI mismatch");
    }
    let digest = Sha256::digest(field("code_verifier").as_bytes());
    if URL_SAFE_NO_PAD.encode(digest) != code.request.code_challenge {
        return Err("PKCE verification failed");
    }
    Ok(code)
}

/// Rotates a refresh token, and returns its family with the next one. A rotated token is accepted again within the
/// grace period; after it, its reuse revokes the family.
fn rotate(sim: &Simulator, application: &OidcApplication, token: &str) -> Result<Family, &'static str> {
    let (now, next) = (sim.now(), tokens::refresh_token(sim, application));
    // Not this PingOne's clock, which tests set back: that must not make a rotated token valid again.
    let steady_now = sim.environment().now();
    sim.change(|state| {
        let lifetimes = application.lifetimes;
        let session = state.family(token).map(|family| family.session.clone());
        let alive = session.is_some_and(|session| state.is_alive(&session, application.skips_sessions, now));
        let family = state.family(token).filter(|family| family.is_of(application));
        let family = family.ok_or("Failed to decode refresh token")?;
        let rotated_at = family.rotated.iter().find(|(held, _)| held == token).map(|(_, at)| *at);
        if rotated_at.is_some_and(|at| steady_now >= at + lifetimes.refresh_grace) {
            family.revoked = true;
        }
        let expired = family.expires_at <= now || family.started_at + lifetimes.refresh_rolling <= now;
        if family.revoked || expired || !alive {
            return Err("Refresh token is invalid");
        }
        let old = std::mem::replace(&mut family.current, next);
        family.rotated.push((old, steady_now));
        family.expires_at = now + lifetimes.refresh_token;
        Ok(family.clone())
    })
}

/// The forced response, if there is one.
fn forced(sim: &Simulator, refresh: bool, correlation: &Correlation) -> Option<Response> {
    let sizes = sim.forced(|failure| match failure {
        Failure::TokenBytes(bytes) => Some(*bytes),
        _ => None,
    });
    if let Some(size) = sizes.first() {
        return Some(text(StatusCode::OK, "application/json", " ".repeat(*size)));
    }
    let busy = sim.forced(|failure| match failure {
        Failure::TokenRetryAfter(status, seconds) => {
            let mut response = text(status_code(*status), "application/json", "{}".to_owned());
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
            Some(response)
        }
        _ => None,
    });
    if let Some(response) = busy.into_iter().next() {
        return Some(response);
    }
    let responses = sim.forced(|failure| match failure {
        Failure::Token(status, body) => Some(with_status(*status, body)),
        Failure::RefreshInvalidGrant if refresh => {
            Some(invalid_grant("Refresh token is invalid", correlation))
        }
        _ => None,
    });
    responses.into_iter().next()
}

/// A response with `Retry-After` where the status calls for it.
fn with_status(status: u16, body: &str) -> Response {
    let status = status_code(status);
    let mut response = text(status, "application/json", body.to_owned());
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn invalid_grant(detail: &str, correlation: &Correlation) -> Response {
    oauth_error(StatusCode::BAD_REQUEST, "invalid_grant", detail, correlation)
}

/// The grant types of the application, in the words of the management API.
const GRANT_TYPES: [&str; 2] = ["AUTHORIZATION_CODE", "REFRESH_TOKEN"];
