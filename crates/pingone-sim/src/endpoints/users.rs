//! The page of users and events, and what an administrator does to a user.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
};

use crate::{accounts::UserAction, pages, simulator::Simulator};

/// `GET /users`.
pub(crate) async fn page(State(sim): State<Simulator>) -> Response {
    pages::users(&sim)
}

/// `POST /sim/users/<username>/<action>`, from a program or from a form of the page.
pub(crate) async fn act(
    State(sim): State<Simulator>,
    Path((username, action)): Path<(String, UserAction)>,
    headers: HeaderMap,
) -> Response {
    if !sim.act_on(&username, action) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/html") {
        Redirect::to("/users").into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    }
}
