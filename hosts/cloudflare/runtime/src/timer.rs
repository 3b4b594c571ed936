//! Waiting.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use wasm_bindgen::prelude::*;

use crate::reactor::Settled;

/// `setTimeout` as a future that may be moved between tasks, as `worker::Delay` must not be: it wakes the task that polled
/// it last. Dropping it clears the timeout.
pub struct Timer {
    elapsed: Settled,
    handle: JsValue,
}

impl Timer {
    /// Starts to wait.
    pub fn start(duration: Duration) -> Self {
        // `setTimeout` waits for at most 2³¹ milliseconds, nearly a month.
        let milliseconds = i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
        let (elapsed, handle) = Settled::new(|id| timer(id, milliseconds));
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
        // Refused outside of a request, where no timeout of a request is left to clear.
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
