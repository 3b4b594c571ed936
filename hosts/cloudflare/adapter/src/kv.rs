//! Registered clients, in KV: read on every login, written rarely, and none the worse for being a minute old.

use std::fmt::Write as _;

use deputy::host::{Record, StoreError, Timestamp, Version};
use sha2::{Digest as _, Sha256};
use worker::{Env, KvError, KvStore};
use workers_runtime::{fill_random, now};

use crate::packed;

/// The namespace `OAUTH_KV`.
#[derive(Debug)]
pub(crate) struct Clients(KvStore);

impl Clients {
    pub(crate) fn new(env: &Env) -> worker::Result<Self> {
        env.kv("OAUTH_KV").map(Self)
    }

    pub(crate) async fn get(&self, id: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let Some(stored) = self.0.get(&name(id)).bytes().await.map_err(failed)? else { return Ok(None) };
        let record =
            packed::record(&stored).ok_or_else(|| StoreError("a client in KV cannot be read".to_owned()))?;
        Ok(Some(record).filter(|record| record.expires_at > now))
    }

    pub(crate) async fn put(&self, id: &str, value: &[u8], expires_at: Timestamp) -> Result<(), StoreError> {
        // KV refuses what expires within a minute; the record's own expiry is exact.
        let expiration = expires_at.max(now().plus(60 + 5)).0;
        let put =
            self.0.put_bytes(&name(id), &packed::pack(value, new_version(), expires_at)).map_err(failed)?;
        put.expiration(expiration).execute().await.map_err(failed)
    }

    pub(crate) async fn delete(&self, id: &str) -> Result<(), StoreError> {
        self.0.delete(&name(id)).await.map_err(failed)
    }
}

/// A `client_id` may be a URL that is longer than KV's names.
fn name(id: &str) -> String {
    let mut name = "client:".to_owned();
    for byte in Sha256::digest(id) {
        // Writing to a `String` cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// A version that no earlier reader has seen.
fn new_version() -> Version {
    let mut bytes = [0; 8];
    fill_random(&mut bytes);
    Version(u64::from_be_bytes(bytes))
}

fn failed(error: KvError) -> StoreError {
    StoreError(format!("KV: {error}"))
}
