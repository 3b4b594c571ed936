//! The Worker of the tests. It serves Deputy in a [`world`] that each request describes, runs the store suite, and
//! panics on request. It is a crate of its own, so that no deployment contains it.

mod world;

use std::time::Duration;

use axum::{
    Router,
    extract::{Query, State},
    response::{IntoResponse as _, Response},
    routing::get,
};
use bytes::Bytes;
use deputy::host::{FetchLimits, GrantId, Reach, RecordKey, Store as _};
use deputy_workers::{WorkersGrantIndex, WorkersStore};
use harness::{index_suite, store_suite};
use http::StatusCode;
use serde::Deserialize;
use wasm_bindgen::prelude::*;
use worker::{Env, js_sys::Math, send::SendFuture, web_sys::Request};

#[wasm_bindgen(start)]
fn start() {
    workers_runtime::start();
}

/// Responds to a request.
#[wasm_bindgen]
pub fn respond(request: Request, env: Env) -> JsValue {
    workers_runtime::serve(request, move || {
        let router = Router::new()
            .route("/test/constant", get(async || "constant"))
            .route("/test/fetch", get(fetch_url))
            .route("/test/object", get(read_object))
            .route("/test/panic", get(panic_at_once).post(panic_with))
            .route("/test/store", get(run_store_suite))
            .fallback(world::respond_in_world);
        Ok(router.with_state(env))
    })
}

/// Panics before the request waits for anything.
async fn panic_at_once() -> String {
    "é"[1..].to_owned()
}

/// Panics with a message that quotes the body, if the body begins with a character of more than one byte.
async fn panic_with(text: String) -> String {
    text[1..].to_owned()
}

#[derive(Deserialize)]
struct FetchParams {
    url: String,
    /// The largest response body, in bytes.
    max: usize,
    /// Whether the URL may name only hosts on the public Internet.
    #[serde(default)]
    public: bool,
}

/// The outcome, as text, of an outgoing request with a deadline of half a second.
async fn fetch_url(
    Query(FetchParams { url, max, public }): Query<FetchParams>,
) -> Result<String, StatusCode> {
    let request = http::Request::get(url).body(Bytes::new()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let reach = if public { Reach::PublicInternet } else { Reach::Anywhere };
    let limits = FetchLimits { deadline: Duration::from_millis(500), max_bytes: max, reach };
    Ok(match SendFuture::new(workers_runtime::fetch(request, limits)).await {
        Ok(response) => format!("{}, {} bytes", response.status().as_u16(), response.body().len()),
        Err(error) => error.to_string(),
    })
}

/// Reads an object without a record, for measurements.
async fn read_object(State(env): State<Env>) -> Result<&'static str, String> {
    let read = async move {
        let store = WorkersStore::new(&env).map_err(|error| error.to_string())?;
        store
            .get(&RecordKey::Grant(GrantId([0; 16])), workers_runtime::now())
            .await
            .map_err(|error| error.to_string())
    };
    SendFuture::new(read).await.map(|_| "constant")
}

/// Runs the store suite and the index suite. Returns the number of checks of the first and those that failed, as JSON.
async fn run_store_suite(State(env): State<Env>) -> Response {
    let run = async move {
        let store = WorkersStore::new(&env).map_err(|error| error.to_string())?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the number has 32 bits")]
        let salt = (Math::random() * f64::from(u32::MAX)) as u64;
        let index = WorkersGrantIndex::of(&env, "suite").map_err(|error| error.to_string())?;
        let now = workers_runtime::now();
        let failures = store_suite::run(&store, now, salt).await;
        Ok::<_, String>([failures, index_suite::run(&store, &index, now, salt).await].concat())
    };
    match SendFuture::new(run).await {
        Ok(failures) => {
            let outcome = serde_json::json!({ "behaviors": store_suite::SUITE.len(), "failures": failures });
            (StatusCode::OK, outcome.to_string()).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}
