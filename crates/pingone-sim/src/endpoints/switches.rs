//! The page with a switch for every failure, and the settings of the environment.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use serde::de::DeserializeOwned;

use crate::{form, pages, settings::Settings, simulator::Simulator};

pub(crate) fn router() -> Router<Simulator> {
    Router::new()
        .route("/switches", get(async |State(sim): State<Simulator>| pages::switches(&sim)))
        .route("/sim/switches/clear", post(clear))
        .route("/sim/switches/failures", post(force))
        .route("/sim/switches/settings", post(configure))
        .route("/sim/switches/settings/default", post(restore))
}

/// Forces a failure, once or always, as the button says.
async fn force(State(sim): State<Simulator>, body: Bytes) -> Response {
    let fields = form::parse(&body);
    match read(&fields, "failure") {
        Ok(failure) if form::field(&fields, "times").as_deref() == Some("always") => {
            sim.force_always(failure);
        }
        Ok(failure) => sim.force(failure),
        Err(error) => return *error,
    }
    back()
}

async fn clear(State(sim): State<Simulator>) -> Response {
    sim.clear_failures();
    back()
}

async fn configure(State(sim): State<Simulator>, body: Bytes) -> Response {
    match read(&form::parse(&body), "settings") {
        Ok(settings) => sim.configure(|held| *held = settings),
        Err(error) => return *error,
    }
    back()
}

/// Restores the default settings. The webhook stays.
async fn restore(State(sim): State<Simulator>) -> Response {
    sim.configure(|held| *held = Settings { webhook: held.webhook.clone(), ..Settings::default() });
    back()
}

/// Reads the JSON in a field of a form, or returns a page that says where it is wrong.
fn read<T: DeserializeOwned>(fields: &[(String, String)], name: &str) -> Result<T, Box<Response>> {
    let text = form::field(fields, name).unwrap_or_default();
    serde_json::from_str(&text)
        .map_err(|error| Box::new(pages::error(StatusCode::BAD_REQUEST, &format!("{name}: {error}"), "")))
}

fn back() -> Response {
    Redirect::to("/switches").into_response()
}
