//! Calls of Durable Objects, one object for each record. `record_object.js` has their class.

use deputy::host::{Record, StoreError, Timestamp, Version};
use wasm_bindgen::prelude::*;
use worker::{Env, ObjectNamespace, js_sys::Promise};
use workers_runtime::{Completion, bytes, exception_message};

use crate::encoding;

/// The namespace `RECORDS`.
#[derive(Debug)]
pub(crate) struct Objects(ObjectNamespace);

impl Objects {
    pub(crate) fn new(env: &Env) -> worker::Result<Self> {
        env.durable_object("RECORDS").map(Self)
    }

    pub(crate) async fn get(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        record(&result(get(self.0.as_ref(), name, number(now.0))).await?)
    }

    pub(crate) async fn put(
        &self,
        name: &str,
        value: &[u8],
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        result(put(self.0.as_ref(), name, value, number(expires_at.0))).await.map(|_| ())
    }

    pub(crate) async fn replace(
        &self,
        name: &str,
        expected: Option<Version>,
        value: &[u8],
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let expected = expected.map(|version| number(version.0));
        let call = replace(self.0.as_ref(), name, expected, value, number(expires_at.0), number(now.0));
        result(call).await?.as_bool().ok_or_else(unexpected_result)
    }

    pub(crate) async fn take(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        record(&result(take(self.0.as_ref(), name, number(now.0))).await?)
    }

    /// Removes the object from memory, as the runtime may at any moment.
    #[cfg(feature = "eviction")]
    pub(crate) async fn evict(&self, name: &str) {
        // The call fails, because it evicts its own object.
        let _ = result(evict(self.0.as_ref(), name)).await;
    }
}

/// The result of a call.
async fn result(call: Result<Promise, JsValue>) -> Result<JsValue, StoreError> {
    let failed = |error: JsValue| StoreError(format!("a Durable Object: {}", exception_message(&error)));
    Completion::of(&call.map_err(failed)?).await.map_err(failed)
}

fn record(encoded: &JsValue) -> Result<Option<Record>, StoreError> {
    if encoded.is_null() {
        return Ok(None);
    }
    encoding::decode(&bytes(encoded)).ok_or_else(unexpected_result).map(Some)
}

/// During a deployment, an object may run another version of the code than its caller.
fn unexpected_result() -> StoreError {
    StoreError("a Durable Object returned an unexpected value".to_owned())
}

/// A number of JavaScript. Versions have 48 bits and times fewer, so the conversion is exact.
#[expect(clippy::cast_precision_loss, reason = "fewer than 53 bits")]
fn number(value: u64) -> f64 {
    value as f64
}

#[wasm_bindgen(module = "/src/objects.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn get(objects: &JsValue, name: &str, now: f64) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    fn put(objects: &JsValue, name: &str, value: &[u8], expires_at: f64) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    fn replace(
        objects: &JsValue,
        name: &str,
        expected: Option<f64>,
        value: &[u8],
        expires_at: f64,
        now: f64,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    fn take(objects: &JsValue, name: &str, now: f64) -> Result<Promise, JsValue>;

    #[cfg(feature = "eviction")]
    #[wasm_bindgen(catch)]
    fn evict(objects: &JsValue, name: &str) -> Result<Promise, JsValue>;
}
