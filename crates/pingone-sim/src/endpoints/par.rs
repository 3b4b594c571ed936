//! The pushed authorization request endpoint (RFC 9126).

use axum::{
    Extension,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde_json::json;

use crate::{
    client_authentication::authenticated,
    endpoints::authorize::{Refusal, validate},
    failure::Failure,
    form,
    response::{Correlation, document, invalid_client, oauth_error, status_code, text},
    simulator::Simulator,
    state::Pushed,
};

pub(crate) async fn post(
    State(sim): State<Simulator>,
    Extension(correlation): Extension<Correlation>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    sim.count("par");
    let responses = sim.forced(|failure| match failure {
        Failure::Par(status, body) => Some(text(status_code(*status), "application/json", body.clone())),
        _ => None,
    });
    if let Some(response) = responses.into_iter().next() {
        return response;
    }
    let parameters = form::parse(&body);
    if authenticated(&sim, &headers, &parameters).is_none() {
        return invalid_client(&correlation);
    }
    // RFC 9126 §2.1: a request must not have a request URI, nor a parameter twice.
    let names: Vec<_> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    if names.contains(&"request_uri") || (1..names.len()).any(|at| names[..at].contains(&names[at])) {
        let detail = "A parameter is repeated, or is not allowed";
        return oauth_error(StatusCode::BAD_REQUEST, "invalid_request", detail, &correlation);
    }
    let (error, detail) = match validate(&sim, &parameters) {
        Ok(_) => {
            let request_uri = format!("urn:ietf:params:oauth:request_uri:{}", sim.uuid());
            let pushed = Pushed { parameters, expires_at: sim.now() + SECONDS };
            sim.change(|state| state.pushed.insert(request_uri.clone(), pushed));
            let body = json!({ "request_uri": request_uri, "expires_in": SECONDS });
            return document(StatusCode::CREATED, &body);
        }
        Err(Refusal::Shown { message, .. }) => ("invalid_request", message),
        Err(Refusal::Redirected { error, detail, .. }) => (error, detail),
    };
    oauth_error(StatusCode::BAD_REQUEST, error, detail, &correlation)
}

/// The default of `parTimeout`.
const SECONDS: u64 = 60;
