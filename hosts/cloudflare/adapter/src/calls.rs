//! Calls of storage through JavaScript.

use deputy::host::StoreError;
use worker::{js_sys::Promise, wasm_bindgen::JsValue};
use workers_runtime::{Completion, exception_message};

/// The result of a call of `storage`, such as KV.
pub(crate) async fn completed(
    call: Result<Promise, JsValue>,
    storage: &'static str,
) -> Result<JsValue, StoreError> {
    let failed = |error: JsValue| StoreError(format!("{storage}: {}", exception_message(&error)));
    Completion::of(&call.map_err(failed)?).await.map_err(failed)
}

/// A number of JavaScript. Times and versions have fewer than 53 bits, so the conversion is exact.
#[expect(clippy::cast_precision_loss, reason = "fewer than 53 bits")]
pub(crate) fn number(value: u64) -> f64 {
    value as f64
}
