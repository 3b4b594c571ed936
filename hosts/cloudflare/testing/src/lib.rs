//! The Worker as tests need it. It answers for a [`world`] that the test describes with each request, runs the store
//! suite, and panics when it is told to. It is a crate of its own, so that no deployment can have it.

mod world;

use std::time::Duration;

use axum::{
    Router,
    extract::{Query, State},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use bytes::Bytes;
use deputy::host::{FetchLimits, GrantId, Key, Reach, Store as _};
use deputy_workers::WorkersStore;
use harness::store_suite;
use http::StatusCode;
use serde::Deserialize;
use wasm_bindgen::prelude::*;
use worker::{
    Env,
    js_sys::{Math, Promise},
    send::SendFuture,
    web_sys::Request,
};

#[wasm_bindgen(start)]
fn start() {
    workers_runtime::start();
}

/// The fetch event.
#[wasm_bindgen]
pub fn fetch(request: Request, env: Env) -> Promise {
    workers_runtime::serve(request, move || {
        let router = Router::new()
            .route("/test/constant", get(async || "constant"))
            .route("/test/fetch", get(fetches))
            .route("/test/object", get(object))
            .route("/test/panic", post(panics))
            .route("/test/store", get(store))
            .fallback(world::answer);
        Ok(router.with_state(env))
    })
}

/// Panics with a message that quotes the body, if that begins with a character of more than one byte.
async fn panics(text: String) -> String {
    text[1..].to_owned()
}

#[derive(Deserialize)]
struct Wanted {
    url: String,
    max: usize,
    /// Whether it is a stranger who wants it.
    #[serde(default)]
    public: bool,
}

/// What an outgoing request to the parameter `url` comes to, whose answer may have `max` bytes and take half a second.
async fn fetches(Query(Wanted { url, max, public }): Query<Wanted>) -> Result<String, StatusCode> {
    let request = http::Request::get(url).body(Bytes::new()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let reach = if public { Reach::PublicInternet } else { Reach::Anywhere };
    let limits = FetchLimits { deadline: Duration::from_millis(500), max_bytes: max, reach };
    Ok(match SendFuture::new(workers_runtime::fetch(request, limits)).await {
        Ok(answer) => format!("{}, {} bytes", answer.status().as_u16(), answer.body().len()),
        Err(error) => error.to_string(),
    })
}

/// What one object answers that has nothing to say, for measurements.
async fn object(State(env): State<Env>) -> Result<&'static str, String> {
    let asked = async move {
        let store = WorkersStore::new(&env).map_err(|error| error.to_string())?;
        store
            .get(&Key::Grant(GrantId([0; 16])), workers_runtime::now())
            .await
            .map_err(|error| error.to_string())
    };
    SendFuture::new(asked).await.map(|_| "constant")
}

/// The sentences of the store suite that this store breaks, as JSON.
async fn store(State(env): State<Env>) -> Response {
    let run = async move {
        let store = WorkersStore::new(&env).map_err(|error| error.to_string())?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of 32 bits")]
        let salt = (Math::random() * f64::from(u32::MAX)) as u64;
        Ok::<_, String>(store_suite::run(&store, workers_runtime::now(), salt).await)
    };
    match SendFuture::new(run).await {
        Ok(failures) => {
            let outcome = serde_json::json!({ "behaviours": store_suite::SUITE.len(), "failures": failures });
            (StatusCode::OK, outcome.to_string()).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}
