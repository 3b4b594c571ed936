//! What Cloudflare's runtime gives a server, as ordinary Rust: requests and responses, outgoing HTTP, time, randomness, a
//! log, and answers to panics.
//!
//! A Worker is single-threaded, and its promises are not `Send`, while everything in the servers is. The difference is
//! asserted where a future leaves for a server, with [`SendFuture`](worker::send::SendFuture), and nowhere else.

mod bridge;
mod log;
mod outgoing;
mod panics;
mod reactor;
mod rs256;
mod timer;

use std::pin::pin;

use axum::Router;
use deputy::host::Timestamp;
use futures_util::FutureExt as _;
use tower_service::Service as _;
use wasm_bindgen::prelude::*;
use worker::{
    js_sys::{Date, Promise},
    wasm_bindgen_futures::future_to_promise,
    web_sys::Request,
};

pub use bridge::{bytes, message};
pub use outgoing::{fetch, is_within};
pub use panics::answer_panics;
pub use reactor::Settled;
pub use timer::Timer;

/// To be called once, before anything else.
pub fn start() {
    log::to_console();
    rs256::verifies_tokens();
}

/// Answers a request with the server that `router` gives.
///
/// For an exported function called `fetch`. worker's own macro makes a promise that a panic leaves open.
pub fn serve(request: Request, router: impl FnOnce() -> Result<Router, String> + 'static) -> Promise {
    answer_panics();
    panics::promise(async move {
        let mut router = match router() {
            Ok(router) => router,
            Err(error) => {
                tracing::error!(%error, "the Worker cannot start");
                return bridge::failure(503, "the server is not configured; its log says what is missing");
            }
        };
        let Some(converted) = bridge::request(&request) else {
            return bridge::failure(400, "the request cannot be read");
        };
        let disconnect = || bridge::Disconnect::of(&request);
        let mut answering = pin!(router.call(converted));
        // Many responses wait for nothing, so nobody can leave before they are there.
        let Ok(response) = match answering.as_mut().now_or_never() {
            Some(response) => response,
            None => match disconnect().interrupts(answering).await {
                Some(response) => response,
                None => return bridge::failure(499, "the client has gone"),
            },
        };
        bridge::response(response, disconnect).await
    })
}

/// The clock, which on Workers stands still between two inputs and outputs.
pub fn now() -> Timestamp {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and it is after 1970"
    )]
    Timestamp((Date::now() / 1000.0) as u64)
}

/// Fills `buffer` from the runtime, or aborts: nothing that a server does is safe without randomness.
pub fn fill_random(buffer: &mut [u8]) {
    #[expect(clippy::disallowed_methods, reason = "this is the host whose randomness it is")]
    let filled = getrandom::fill(buffer);
    if let Err(error) = filled {
        tracing::error!(%error, "the runtime gives no randomness");
        std::process::abort();
    }
}

/// Runs `work` to its end, also when the request that is being handled ends before.
pub fn detach(work: impl Future<Output = ()> + 'static) {
    let promise = future_to_promise(async move {
        work.await;
        Ok(JsValue::UNDEFINED)
    });
    // Without a request to prolong, the work runs as long as the isolate has another reason to.
    if let Err(error) = wait_until(&promise) {
        tracing::warn!(?error, "work may be cut off");
    }
}

#[wasm_bindgen(module = "cloudflare:workers")]
extern "C" {
    /// Prolongs the request that is being handled, whichever it is.
    #[wasm_bindgen(catch, js_name = waitUntil)]
    fn wait_until(promise: &Promise) -> Result<(), JsValue>;
}
