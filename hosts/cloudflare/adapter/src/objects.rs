//! Calls of Durable Objects. `record_object.js` has their class.

use deputy::host::{Operation, Outcome, Record, StoreError};
use wasm_bindgen::prelude::*;
use worker::{Env, ObjectNamespace, js_sys::Promise};
use workers_runtime::bytes;

use crate::{
    calls::{completed, number},
    encoding,
};

/// The place of a record: a slot of the object with this name.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) object: String,
    pub(crate) slot: u8,
}

/// The namespace `RECORDS`.
#[derive(Debug)]
pub(crate) struct Objects(ObjectNamespace);

impl Objects {
    pub(crate) fn new(env: &Env) -> worker::Result<Self> {
        env.durable_object("RECORDS").map(Self)
    }

    /// Does an operation in one call.
    pub(crate) async fn execute(&self, place: &Place, operation: Operation) -> Result<Outcome, StoreError> {
        let (namespace, name, slot) = (self.0.as_ref(), place.object.as_str(), place.slot);
        match operation {
            Operation::Get { now } => {
                record(&completed(get(namespace, name, slot, number(now.0)), OBJECT).await?)
                    .map(Outcome::Record)
            }
            Operation::Put { value, expires_at } => {
                completed(put(namespace, name, slot, &value, number(expires_at.0)), OBJECT).await?;
                Ok(Outcome::Written(true))
            }
            Operation::Replace { expected, value, expires_at, now } => {
                let expected = expected.map(|version| number(version.0));
                let (expires_at, now) = (number(expires_at.0), number(now.0));
                let call = replace(namespace, name, slot, expected, &value, expires_at, now);
                completed(call, OBJECT).await?.as_bool().map(Outcome::Written).ok_or_else(unexpected_result)
            }
            Operation::Take { now } => {
                record(&completed(take(namespace, name, slot, number(now.0)), OBJECT).await?)
                    .map(Outcome::Record)
            }
        }
    }

    /// Removes the object from memory, as the runtime may at any moment.
    #[cfg(feature = "eviction")]
    pub(crate) async fn evict(&self, name: &str) {
        // The call fails, because it evicts its own object.
        let _ = completed(evict(self.0.as_ref(), name), OBJECT).await;
    }
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

/// The storage, in the text of an error.
const OBJECT: &str = "a Durable Object";

#[wasm_bindgen(module = "/src/objects.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn get(objects: &JsValue, name: &str, slot: u8, now: f64) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    fn put(
        objects: &JsValue,
        name: &str,
        slot: u8,
        value: &[u8],
        expires_at: f64,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    fn replace(
        objects: &JsValue,
        name: &str,
        slot: u8,
        expected: Option<f64>,
        value: &[u8],
        expires_at: f64,
        now: f64,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    fn take(objects: &JsValue, name: &str, slot: u8, now: f64) -> Result<Promise, JsValue>;

    #[cfg(feature = "eviction")]
    #[wasm_bindgen(catch)]
    fn evict(objects: &JsValue, name: &str) -> Result<Promise, JsValue>;
}
