//! Cloudflare's runtime as ordinary Rust: requests and responses, outgoing HTTP, time, randomness, a log, and responses
//! after panics.
//!
//! A Worker has one thread, and its promises are not `Send`; the futures of the servers must be. Only the
//! implementations of the servers' traits bridge the difference, with [`SendFuture`](worker::send::SendFuture).

mod bridge;
mod log;
mod outgoing;
mod panics;
mod reactor;
mod signatures;
mod tasks;
mod timer;
mod trace;

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};

use axum::Router;
use deputy::host::Timestamp;
use tower_service::Service as _;
use wasm_bindgen::prelude::*;
use worker::{
    js_sys::{Date, Promise},
    wasm_bindgen_futures::future_to_promise,
    web_sys::Request,
};

pub use bridge::{bytes, exception_message};
pub use log::log_object;
pub use outgoing::{fetch, is_permitted};
pub use panics::install_panic_hook;
pub use reactor::Completion;
pub use timer::Timer;

/// Installs the log, the traces and the verifier of signatures. A Worker calls it when its module starts.
pub fn start() {
    log::to_console();
    trace::enable();
    signatures::install_verifier();
}

/// Responds to a request with the server that `router` returns, or with 503 if that fails. Returns a response, or a promise
/// of one.
///
/// It is the body of an exported function called `respond`, which `entry.js` calls.
pub fn serve(request: Request, router: impl FnOnce() -> Result<Router, String> + 'static) -> JsValue {
    install_panic_hook();
    tasks::start(async move {
        let mut router = match router() {
            Ok(router) => router,
            Err(error) => {
                tracing::error!(%error, "the Worker cannot start");
                return bridge::error_response(
                    503,
                    "the server is not configured; its log says what is missing",
                );
            }
        };
        let Some(converted) = bridge::request(&request) else {
            return bridge::error_response(400, "the URL or the method of the request is invalid");
        };
        let mut responding = pin!(router.call(converted));
        let mut disconnect = None;
        let response = poll_fn(|cx| {
            if let Poll::Ready(Ok(response)) = responding.as_mut().poll(cx) {
                return Poll::Ready(Some(response));
            }
            // A response that waits for no I/O needs no listener for a disconnect.
            let disconnect = disconnect.get_or_insert_with(|| bridge::Disconnect::of(&request));
            Pin::new(disconnect).poll(cx).map(|()| None)
        });
        match response.await {
            Some(response) => bridge::response(response, || bridge::Disconnect::of(&request)).await,
            None => bridge::error_response(499, "the client closed the connection"),
        }
    })
}

/// The current time. On Workers the clock advances only with I/O.
pub fn now() -> Timestamp {
    Timestamp(milliseconds() / 1000)
}

/// The current time in milliseconds since 1970.
pub fn milliseconds() -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and the time is after 1970"
    )]
    let now = Date::now() as u64;
    now
}

/// Fills `buffer` with random bytes of the runtime. Aborts if the runtime fails, because no server is secure without
/// randomness.
pub fn fill_random(buffer: &mut [u8]) {
    #[expect(clippy::disallowed_methods, reason = "this is the host whose randomness it is")]
    let filled = getrandom::fill(buffer);
    if let Err(error) = filled {
        tracing::error!(%error, "the runtime returned no random bytes");
        std::process::abort();
    }
}

/// Runs `work` to its end, even if the current request ends earlier.
pub fn detach(work: impl Future<Output = ()> + 'static) {
    let work = trace::InTrace::of_current(work);
    let promise = future_to_promise(async move {
        work.await;
        Ok(JsValue::UNDEFINED)
    });
    // Outside a request, the work runs only while the isolate stays alive for another reason.
    if let Err(error) = wait_until(&promise) {
        tracing::warn!(?error, "background work may be cut off");
    }
}

#[wasm_bindgen(module = "cloudflare:workers")]
extern "C" {
    /// Keeps the current request's context alive until `promise` settles.
    #[wasm_bindgen(catch, js_name = waitUntil)]
    fn wait_until(promise: &Promise) -> Result<(), JsValue>;
}
