//! Waiting.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use wasm_bindgen::prelude::*;
use worker::{
    js_sys::{Function, Promise},
    wasm_bindgen_futures::JsFuture,
};

/// `setTimeout` as a future that may be moved between tasks, as `worker::Delay` must not be: it wakes whoever polled it
/// last. Dropping it clears the timeout.
pub struct Timer {
    fired: JsFuture,
    handle: JsValue,
}

impl Timer {
    /// Starts to wait.
    pub fn start(duration: Duration) -> Self {
        // What is longer than `setTimeout` can wait is nearly a month.
        let milliseconds = i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
        let mut handle = JsValue::UNDEFINED;
        let promise = Promise::new(&mut |resolve, _| handle = set_timeout(&resolve, milliseconds));
        Self { fired: JsFuture::from(promise), handle }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.fired).poll(cx).map(|_| ())
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // Refused outside of a request, where no timeout of a request is left to clear.
        let _ = clear_timeout(&self.handle);
    }
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, milliseconds: i32) -> JsValue;

    #[wasm_bindgen(catch, js_name = clearTimeout)]
    fn clear_timeout(handle: &JsValue) -> Result<(), JsValue>;
}
