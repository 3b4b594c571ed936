//! Timeouts.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use wasm_bindgen::prelude::*;

use crate::reactor::Completion;

/// `setTimeout` as a future. It may move between tasks, which `worker::Delay` may not: it wakes the task that polled it
/// last. Dropping it clears the timeout.
pub struct Timer {
    elapsed: Completion,
    handle: JsValue,
}

impl Timer {
    /// A timer that completes after `duration`, or after 2³¹ milliseconds (25 days) if that is sooner.
    pub fn start(duration: Duration) -> Self {
        let milliseconds = i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
        let (elapsed, handle) = Completion::start(|id| timer(id, milliseconds));
        Self { elapsed, handle }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.elapsed).poll(context).map(|_| ())
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // Fails outside a request, where no timeout is left to clear.
        let _ = clear_timeout(&self.handle);
    }
}

#[wasm_bindgen(module = "/src/bridge.js")]
extern "C" {
    fn timer(id: u32, milliseconds: i32) -> JsValue;
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_name = clearTimeout)]
    fn clear_timeout(handle: &JsValue) -> Result<(), JsValue>;
}
