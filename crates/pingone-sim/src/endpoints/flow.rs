//! The forms of the DaVinci flow.

use axum::{Extension, body::Bytes, extract::State, response::Response};

use crate::{flow, form, response::Correlation, simulator::Simulator};

pub(crate) async fn post(
    State(sim): State<Simulator>,
    Extension(correlation): Extension<Correlation>,
    body: Bytes,
) -> Response {
    flow::submit(&sim, &form::parse(&body), &correlation)
}
