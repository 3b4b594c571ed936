//! [`deputy::host::Store`] on Workers: clients in KV, everything else in a Durable Object of its own.

use deputy::host::{BoxFuture, Operation, Outcome, RecordKey, Store, StoreError};
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
    pub async fn evict(&self, key: &RecordKey) {
        if let Location::Object(name) = location(key) {
            self.objects.evict(&name).await;
        }
    }
}

fn location(key: &RecordKey) -> Location<'_> {
    match key {
        RecordKey::Client(id) => Location::Client(id),
        RecordKey::Approval(_)
        | RecordKey::Grant(_)
        | RecordKey::Login(_)
        | RecordKey::Reply(_)
        | RecordKey::User(_) => Location::Object(format!("{}:{}", key.kind(), key.name())),
    }
}

impl Store for WorkersStore {
    fn execute<'a>(
        &'a self,
        key: &'a RecordKey,
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
