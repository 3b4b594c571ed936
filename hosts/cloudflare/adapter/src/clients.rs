//! Metadata documents and keys of clients, and a copy of the blocklist, in KV. Writes are rare, and a copy may be a minute old.

use std::fmt::Write as _;

use deputy::host::{Operation, Outcome, Record, StoreError, Timestamp, Version};
use sha2::{Digest as _, Sha256};
use wasm_bindgen::prelude::*;
use worker::{Env, js_sys::Promise, send::SendWrapper};
use workers_runtime::{bytes, fill_random, now};

use crate::{
    binding::binding,
    calls::{completed, number},
    encoding,
};

/// The namespace `OAUTH_KV`.
#[derive(Debug)]
pub(crate) struct Clients(SendWrapper<JsValue>);

impl Clients {
    pub(crate) fn new(env: &Env) -> worker::Result<Self> {
        binding(env, "OAUTH_KV").map(Self)
    }

    /// Does an operation. Not atomically: KV has no compare-and-swap, and no record of a client needs one.
    pub(crate) async fn execute(&self, id: &str, operation: Operation) -> Result<Outcome, StoreError> {
        match operation {
            Operation::Get { now } => self.get(id, now).await.map(Outcome::Record),
            Operation::Put { value, expires_at } => {
                self.put(id, &value, expires_at).await.map(|()| Outcome::Written(true))
            }
            Operation::Replace { expected, value, expires_at, now } => {
                let version = self.get(id, now).await?.map(|record| record.version);
                let matches = version == expected;
                if matches {
                    self.put(id, &value, expires_at).await?;
                }
                Ok(Outcome::Written(matches))
            }
            Operation::Take { now } => {
                let record = self.get(id, now).await?;
                self.delete(id).await?;
                Ok(Outcome::Record(record))
            }
        }
    }

    async fn get(&self, id: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let stored = completed(get(&self.0, &kv_key(id)), KV).await?;
        if stored.is_null() {
            return Ok(None);
        }
        let record = encoding::decode(&bytes(&stored))
            .ok_or_else(|| StoreError("a client in KV cannot be decoded".to_owned()))?;
        Ok(Some(record).filter(|record| record.expires_at > now))
    }

    async fn put(&self, id: &str, value: &[u8], expires_at: Timestamp) -> Result<(), StoreError> {
        // KV rejects an expiration within a minute. The expiry in the record is exact.
        let expiration = expires_at.max(now().plus(60 + 5)).0;
        let value = encoding::encode(value, new_version(), expires_at);
        completed(put(&self.0, &kv_key(id), &value, number(expiration)), KV).await.map(|_| ())
    }

    async fn delete(&self, id: &str) -> Result<(), StoreError> {
        completed(remove(&self.0, &kv_key(id)), KV).await.map(|_| ())
    }
}

/// The key of a client in KV, with the digest of its name. Names are short, but stored clients have such keys.
fn kv_key(id: &str) -> String {
    let mut key = "client:".to_owned();
    for byte in Sha256::digest(id) {
        // Writing to a `String` cannot fail.
        let _ = write!(key, "{byte:02x}");
    }
    key
}

/// A random version, because KV has no counter.
fn new_version() -> Version {
    let mut bytes = [0; 8];
    fill_random(&mut bytes);
    Version(u64::from_be_bytes(bytes))
}

/// The storage, in the text of an error.
const KV: &str = "KV";

#[wasm_bindgen(module = "/src/clients.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn get(namespace: &JsValue, key: &str) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    fn put(namespace: &JsValue, key: &str, value: &[u8], expiration: f64) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    fn remove(namespace: &JsValue, key: &str) -> Result<Promise, JsValue>;
}
