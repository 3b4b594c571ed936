//! The end-session endpoint.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};

use crate::{pages, session_cookie, simulator::Simulator};

pub(crate) async fn get(State(sim): State<Simulator>, headers: HeaderMap) -> Response {
    if let Some(session) = session_cookie::session(&sim, &headers) {
        sim.change(|state| state.end_sessions(|held| held.id == session.id));
    }
    let mut response = pages::signed_off();
    response.headers_mut().append(header::SET_COOKIE, HeaderValue::from_static("ST=; Path=/; Max-Age=0"));
    response
}
