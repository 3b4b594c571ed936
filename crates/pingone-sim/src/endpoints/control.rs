//! `/sim/*`: the control interface, for tests. It needs no authentication; only this computer can reach it.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::json;

use super::users;
use crate::{failure::Failure, response::document, settings::Settings, simulator::Simulator};

pub(crate) fn router() -> Router<Simulator> {
    Router::new()
        .route("/sim/failures", post(force).delete(clear))
        .route("/sim/keys/drop-old", post(drop_old_keys))
        .route("/sim/keys/foreign", post(publish_foreign_keys))
        .route("/sim/keys/replace", post(replace_key))
        .route("/sim/keys/rotate", post(rotate_keys))
        .route("/sim/keys/same-kid", post(publish_key_with_current_kid))
        .route("/sim/reset", post(reset))
        .route("/sim/sessions", axum::routing::delete(end_sessions))
        .route("/sim/settings", get(settings).put(configure))
        .route("/sim/state", get(state))
        .route("/sim/users", post(add_user))
        .route("/sim/users/{username}/{action}", post(users::act))
        .route("/sim/webhook", get(webhook))
}

#[derive(Deserialize)]
struct Forced {
    failure: Failure,
    #[serde(default)]
    always: bool,
}

async fn force(State(sim): State<Simulator>, Json(forced): Json<Forced>) -> StatusCode {
    if forced.always {
        sim.force_always(forced.failure);
    } else {
        sim.force(forced.failure);
    }
    StatusCode::NO_CONTENT
}

async fn clear(State(sim): State<Simulator>) -> StatusCode {
    sim.clear_failures();
    StatusCode::NO_CONTENT
}

async fn rotate_keys(State(sim): State<Simulator>) -> StatusCode {
    sim.rotate_keys();
    prepared(&sim)
}

async fn replace_key(State(sim): State<Simulator>) -> StatusCode {
    sim.replace_key();
    prepared(&sim)
}

async fn publish_key_with_current_kid(State(sim): State<Simulator>) -> StatusCode {
    sim.publish_key_with_current_kid();
    prepared(&sim)
}

#[derive(Deserialize)]
struct ForeignKeys {
    count: usize,
}

async fn publish_foreign_keys(
    State(sim): State<Simulator>,
    Json(ForeignKeys { count }): Json<ForeignKeys>,
) -> StatusCode {
    sim.publish_foreign_keys(count);
    prepared(&sim)
}

/// Generates new key pairs before the response, so that no later request waits for them.
fn prepared(sim: &Simulator) -> StatusCode {
    sim.prepare_keys();
    StatusCode::NO_CONTENT
}

async fn drop_old_keys(State(sim): State<Simulator>) -> StatusCode {
    sim.drop_old_keys();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct NewUser {
    username: String,
    password: String,
}

async fn add_user(State(sim): State<Simulator>, Json(user): Json<NewUser>) -> StatusCode {
    sim.add_user(&user.username, &user.password);
    StatusCode::NO_CONTENT
}

async fn end_sessions(State(sim): State<Simulator>) -> StatusCode {
    sim.end_sessions();
    StatusCode::NO_CONTENT
}

async fn settings(State(sim): State<Simulator>) -> Json<Settings> {
    Json(sim.state().settings.clone())
}

async fn configure(State(sim): State<Simulator>, Json(settings): Json<Settings>) -> StatusCode {
    sim.configure(|held| *held = settings);
    StatusCode::NO_CONTENT
}

async fn reset(State(sim): State<Simulator>) -> StatusCode {
    sim.reset();
    StatusCode::NO_CONTENT
}

async fn webhook(State(sim): State<Simulator>) -> Response {
    document(StatusCode::OK, &sim.webhook_json())
}

async fn state(State(sim): State<Simulator>) -> Response {
    let state = sim.state();
    let users: Vec<_> =
        state.users.iter().map(|user| json!({"id": user.id, "username": user.username})).collect();
    let families = state.families.iter().map(|family| {
        let (user, rotations) = (&family.session.user, family.rotated.len());
        json!({"user": user, "revoked": family.revoked, "rotations": rotations})
    });
    let body = json!({
        "simulator": true,
        "users": users,
        "sessions": state.sessions.len(),
        "families": families.collect::<Vec<_>>(),
        "requests": sim.all_requests(),
        "settings": state.settings,
    });
    document(StatusCode::OK, &body)
}
