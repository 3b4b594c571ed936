//! [`deputy::host::Store`] on Workers: clients in KV, everything else in Durable Objects.

use deputy::host::{BoxFuture, Operation, Outcome, RecordKey, Store, StoreError};
use worker::{Env, send::SendFuture};

use crate::{
    clients::Clients,
    objects::{Objects, Place},
};

/// The store of the Workers host.
#[derive(Debug)]
pub struct WorkersStore {
    clients: Clients,
    objects: Objects,
}

enum Location<'a> {
    Client(&'a str),
    Object(Place),
}

impl WorkersStore {
    /// The store in the bindings `OAUTH_KV` and `RECORDS`. Fails if one is missing.
    pub fn new(env: &Env) -> worker::Result<Self> {
        Ok(Self { clients: Clients::new(env)?, objects: Objects::new(env)? })
    }

    /// The name of the object that has the record of `key`.
    #[cfg(feature = "eviction")]
    pub fn object_of(key: &RecordKey) -> Option<String> {
        match location(key) {
            Location::Client(_) => None,
            Location::Object(place) => Some(place.object),
        }
    }

    /// Removes an object from memory, as the runtime may at any moment.
    #[cfg(feature = "eviction")]
    pub async fn evict(&self, object: &str) {
        self.objects.evict(object).await;
    }
}

fn location(key: &RecordKey) -> Location<'_> {
    let (kind, slot) = match key {
        RecordKey::Client(id) => return Location::Client(id),
        RecordKey::Grant(_) => ("grant", 1),
        RecordKey::Approval(_) => ("grant", 2),
        RecordKey::Login(_) => ("grant", 3),
        RecordKey::Assertion(_)
        | RecordKey::Blocklist(_)
        | RecordKey::Delivery(_)
        | RecordKey::Reply(_)
        | RecordKey::User(_) => (key.kind(), 1),
    };
    Location::Object(Place { object: format!("{kind}:{}", key.name()), slot })
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
                Location::Object(place) => self.objects.execute(&place, operation).await,
            }
        }))
    }
}
