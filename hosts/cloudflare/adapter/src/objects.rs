//! Durable Objects, one for each record. Their side of it is `record_object.js`.

use deputy::host::{Record, StoreError, Timestamp, Version};
use wasm_bindgen::prelude::*;
use worker::{Env, ObjectNamespace, js_sys::Promise};
use workers_runtime::{Settled, bytes};

use crate::packed;

/// The namespace `RECORDS`.
#[derive(Debug)]
pub(crate) struct Objects(ObjectNamespace);

impl Objects {
    pub(crate) fn new(env: &Env) -> worker::Result<Self> {
        env.durable_object("RECORDS").map(Self)
    }

    pub(crate) async fn get(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        record(&settled(get(self.0.as_ref(), name, number(now.0))).await?)
    }

    pub(crate) async fn put(
        &self,
        name: &str,
        value: &[u8],
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        settled(put(self.0.as_ref(), name, value, number(expires_at.0))).await.map(|_| ())
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
        settled(call).await?.as_bool().ok_or_else(unexpected)
    }

    pub(crate) async fn take(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        record(&settled(take(self.0.as_ref(), name, number(now.0))).await?)
    }

    /// Has the object lose what it keeps in memory, as the runtime may at any moment.
    #[cfg(feature = "eviction")]
    pub(crate) async fn evict(&self, name: &str) {
        // An object that is evicted while it answers does not answer.
        let _ = settled(evict(self.0.as_ref(), name)).await;
    }
}

/// What a call comes to.
async fn settled(call: Result<Promise, JsValue>) -> Result<JsValue, StoreError> {
    let failed =
        |error: JsValue| StoreError(format!("a Durable Object: {}", workers_runtime::message(&error)));
    Settled::of(&call.map_err(failed)?).await.map_err(failed)
}

fn record(told: &JsValue) -> Result<Option<Record>, StoreError> {
    if told.is_null() {
        return Ok(None);
    }
    packed::record(&bytes(told)).ok_or_else(unexpected).map(Some)
}

/// While a new version is being rolled out, an object may run another one than its caller.
fn unexpected() -> StoreError {
    StoreError("a Durable Object answered with something unexpected".to_owned())
}

/// Versions have 48 bits and times fewer, which JavaScript's numbers hold exactly.
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
