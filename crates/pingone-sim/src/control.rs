//! `/sim/*`: the simulator's own interface. It is open to whoever reaches it, which is this computer.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::json;

use crate::{failure::Failure, reply::document, simulator::Simulator, state::Knobs};

pub(crate) fn router() -> Router<Simulator> {
    Router::new()
        .route("/sim/failures", post(force).delete(clear))
        .route("/sim/keys/crowd", post(crowd))
        .route("/sim/keys/drop-old", post(drop_old))
        .route("/sim/keys/replace", post(replace))
        .route("/sim/keys/rotate", post(rotate))
        .route("/sim/keys/twin", post(twin))
        .route("/sim/knobs", get(knobs).put(configure))
        .route("/sim/people", post(add_person))
        .route("/sim/reset", post(reset))
        .route("/sim/sessions", axum::routing::delete(end_sessions))
        .route("/sim/state", get(state))
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

async fn rotate(State(sim): State<Simulator>) -> StatusCode {
    sim.rotate_keys();
    made(&sim)
}

async fn replace(State(sim): State<Simulator>) -> StatusCode {
    sim.replace_key();
    made(&sim)
}

async fn twin(State(sim): State<Simulator>) -> StatusCode {
    sim.twin_key();
    made(&sim)
}

#[derive(Deserialize)]
struct Crowd {
    count: usize,
}

async fn crowd(State(sim): State<Simulator>, Json(Crowd { count }): Json<Crowd>) -> StatusCode {
    sim.crowd_keys(count);
    made(&sim)
}

fn made(sim: &Simulator) -> StatusCode {
    sim.prepare_keys();
    StatusCode::NO_CONTENT
}

async fn drop_old(State(sim): State<Simulator>) -> StatusCode {
    sim.drop_old_keys();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct NewPerson {
    username: String,
    password: String,
}

async fn add_person(State(sim): State<Simulator>, Json(person): Json<NewPerson>) -> StatusCode {
    sim.add_person(&person.username, &person.password);
    StatusCode::NO_CONTENT
}

async fn end_sessions(State(sim): State<Simulator>) -> StatusCode {
    sim.end_sessions();
    StatusCode::NO_CONTENT
}

async fn knobs(State(sim): State<Simulator>) -> Json<Knobs> {
    Json(sim.state().knobs.clone())
}

async fn configure(State(sim): State<Simulator>, Json(knobs): Json<Knobs>) -> StatusCode {
    sim.configure(|held| *held = knobs);
    StatusCode::NO_CONTENT
}

async fn reset(State(sim): State<Simulator>) -> StatusCode {
    sim.reset();
    StatusCode::NO_CONTENT
}

async fn state(State(sim): State<Simulator>) -> Response {
    let state = sim.state();
    let people: Vec<_> =
        state.people.iter().map(|person| json!({"id": person.id, "username": person.username})).collect();
    let body = json!({
        "simulator": true,
        "people": people,
        "sessions": state.sessions.len(),
        "families": state.families.iter().map(|family| json!({"person": family.session.person, "revoked": family.revoked, "rotations": family.rotated.len()})).collect::<Vec<_>>(),
        "requests": sim.all_requests(),
        "knobs": state.knobs,
    });
    document(StatusCode::OK, &body)
}
