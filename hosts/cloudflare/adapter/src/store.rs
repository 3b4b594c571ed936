//! [`deputy::host::Store`] on Workers: clients in KV, everything else in a Durable Object of its own.

use deputy::host::{BoxFuture, Key, Record, Store, StoreError, Timestamp, Version};
use worker::{Env, send::SendFuture};

use crate::{clients::Clients, objects::Objects};

/// The store of the Workers host.
#[derive(Debug)]
pub struct WorkersStore {
    clients: Clients,
    objects: Objects,
}

enum Location<'a> {
    Client(&'a str),
    Object(String),
}

impl WorkersStore {
    /// The store in the bindings `OAUTH_KV` and `RECORDS`. Fails if one is missing.
    pub fn new(env: &Env) -> worker::Result<Self> {
        Ok(Self { clients: Clients::new(env)?, objects: Objects::new(env)? })
    }

    /// Removes the object of `key` from memory, as the runtime may at any moment.
    #[cfg(feature = "eviction")]
    pub async fn evict(&self, key: &Key) {
        if let Location::Object(name) = location(key) {
            self.objects.evict(&name).await;
        }
    }
}

fn location(key: &Key) -> Location<'_> {
    match key {
        Key::Client(id) => Location::Client(id),
        Key::Approval(_) | Key::Grant(_) | Key::Login(_) | Key::Reply(_) | Key::User(_) => {
            Location::Object(format!("{}:{}", key.kind(), key.name()))
        }
    }
}

impl Store for WorkersStore {
    fn get<'a>(&'a self, key: &'a Key, now: Timestamp) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        Box::pin(SendFuture::new(async move {
            match location(key) {
                Location::Client(id) => self.clients.get(id, now).await,
                Location::Object(name) => self.objects.get(&name, now).await,
            }
        }))
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        value: Vec<u8>,
        expires_at: Timestamp,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(SendFuture::new(async move {
            match location(key) {
                Location::Client(id) => self.clients.put(id, &value, expires_at).await,
                Location::Object(name) => self.objects.put(&name, &value, expires_at).await,
            }
        }))
    }

    fn replace<'a>(
        &'a self,
        key: &'a Key,
        expected: Option<Version>,
        value: Vec<u8>,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(SendFuture::new(async move {
            match location(key) {
                // Not atomic: KV has no compare-and-swap, and no record of a client needs one.
                Location::Client(id) => {
                    let version = self.clients.get(id, now).await?.map(|record| record.version);
                    if version != expected {
                        return Ok(false);
                    }
                    self.clients.put(id, &value, expires_at).await.map(|()| true)
                }
                Location::Object(name) => {
                    self.objects.replace(&name, expected, &value, expires_at, now).await
                }
            }
        }))
    }

    fn take<'a>(&'a self, key: &'a Key, now: Timestamp) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        Box::pin(SendFuture::new(async move {
            match location(key) {
                Location::Client(id) => {
                    let record = self.clients.get(id, now).await?;
                    self.clients.delete(id).await?;
                    Ok(record)
                }
                Location::Object(name) => self.objects.take(&name, now).await,
            }
        }))
    }
}
