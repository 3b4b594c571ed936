//! The revocation endpoint.

use axum::{
    Extension,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};

use crate::{
    client_authentication::authenticated,
    form::{field, parse},
    response::{Correlation, invalid_client, text},
    simulator::Simulator,
};

pub(crate) async fn post(
    State(sim): State<Simulator>,
    Extension(correlation): Extension<Correlation>,
    headers: HeaderMap,
    form: Bytes,
) -> Response {
    sim.count("revoke");
    let form = parse(&form);
    if authenticated(&sim, &headers, &form).is_none() {
        return invalid_client(&correlation);
    }
    let token = field(&form, "token").unwrap_or_default();
    sim.change(|state| {
        if let Some(family) = state.family(&token) {
            family.revoked = true;
        }
    });
    text(StatusCode::OK, "application/json", String::new())
}
