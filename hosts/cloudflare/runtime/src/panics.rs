//! Responses to the requests that a panic interrupts.
//!
//! A panic ends the whole instance of the module. `entry.js` has a new instance created for the next request, but the
//! promises of the old one would stay pending until the runtime detects that they hang. So the panic hook settles them:
//! the request that panicked gets a 500 with the id of its log entry, and the other requests of the instance fail.

use std::{cell::Cell, panic};

use wasm_bindgen::prelude::*;
use worker::js_sys::{self, Reflect};

use crate::{fill_random, tasks};

/// Installs a panic hook that settles the promises of all requests. Every entry point calls it, because the
/// initialization of the `worker` crate, which may run after [`start`](crate::start), installs a hook of its own.
pub fn install_panic_hook() {
    if INSTALLED.replace(true) {
        return;
    }
    panic::set_hook(Box::new(|info| {
        let mut id = [0; 8];
        fill_random(&mut id);
        let id = u64::from_be_bytes(id);
        let place = info.location().map(ToString::to_string);
        // Without the message, which may quote a request.
        tracing::error!(
            correlation_id = format_args!("{id:016x}"),
            place,
            "the code panicked; this is a bug"
        );
        end_instance();
        let text = format!("the server failed; its log has more under {id:016x}");
        settle_all(tasks::running(), &text, &format!("another request failed; see {id:016x}"));
    }));
}

/// Marks this instance as unusable for `entry.js`, as the hook of the `worker` crate does.
fn end_instance() {
    let state = Reflect::get(&js_sys::global(), &"__worker_init_state".into());
    // Without this state, `entry.js` relies on the exception that follows.
    let _ = state.and_then(|state| Reflect::set(&state, &"criticalError".into(), &true.into()));
}

thread_local! {
    static INSTALLED: Cell<bool> = const { Cell::new(false) };
}

#[wasm_bindgen(module = "/src/bridge.js")]
extern "C" {
    fn settle_all(running: Option<u32>, text: &str, reason: &str);
}
