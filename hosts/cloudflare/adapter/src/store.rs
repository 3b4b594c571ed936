//! [`deputy::host::Store`] on Workers: clients in KV, everything else in a Durable Object of its own.

use deputy::host::{BoxFuture, Key, Operation, Outcome, Store, StoreError};
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
    fn execute<'a>(
        &'a self,
        key: &'a Key,
        operation: Operation,
    ) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(SendFuture::new(async move {
            match location(key) {
                Location::Client(id) => self.clients.execute(id, operation).await,
                Location::Object(name) => self.objects.execute(&name, operation).await,
            }
        }))
    }
}
