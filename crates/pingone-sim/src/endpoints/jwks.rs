//! The key set.

use axum::{extract::State, http::StatusCode, response::Response};
use serde_json::json;

use crate::{
    failure::Failure,
    response::{document, forced_status, text},
    simulator::Simulator,
};

pub(crate) async fn get(State(sim): State<Simulator>) -> Response {
    sim.count("jwks");
    sim.delay(|failure| match failure {
        Failure::JwksAfter(seconds) => Some(seconds.saturating_mul(1000)),
        Failure::JwksAfterMillis(millis) => Some(*millis),
        _ => None,
    })
    .await;
    let bodies = sim.forced(|failure| match failure {
        Failure::JwksBody(body) => Some(body.clone()),
        _ => None,
    });
    if let Some(body) = bodies.into_iter().next() {
        return text(StatusCode::OK, "application/json", body);
    }
    let statuses = sim.forced(|failure| match failure {
        Failure::Jwks(status) => Some(*status),
        _ => None,
    });
    match statuses.first() {
        Some(status) => forced_status(*status),
        None => document(StatusCode::OK, &json!({ "keys": sim.published_keys() })),
    }
}
