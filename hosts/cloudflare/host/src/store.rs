//! [`deputy::host::Store`] on Workers: clients in KV, everything else in a Durable Object of its own.

use deputy::host::{BoxFuture, Key, Record, Store, StoreError, Timestamp, Version};
use serde::de::DeserializeOwned;
use worker::{Env, Method, ObjectNamespace, RequestInit, send::SendFuture};

use crate::{
    kv::Clients,
    object::{Answer, Request},
};

/// The store of the Workers host.
#[derive(Debug)]
pub struct WorkersStore {
    clients: Clients,
    records: ObjectNamespace,
}

/// Where a record is.
enum Place<'a> {
    Client(&'a str),
    Object(String),
}

impl WorkersStore {
    /// The store in the bindings `OAUTH_KV` and `RECORDS`.
    pub fn new(env: &Env) -> worker::Result<Self> {
        Ok(Self { clients: Clients::new(env)?, records: env.durable_object("RECORDS")? })
    }

    /// Has the object of `key` lose what it keeps in memory, as the runtime may at any moment.
    #[cfg(feature = "eviction")]
    pub async fn evict(&self, key: &Key) {
        if let Place::Object(name) = place(key) {
            // An object that is evicted while it answers does not answer.
            let _ = self.ask(&name, &Request::Evict).await;
        }
    }

    /// Asks the object called `name`.
    async fn ask(&self, name: &str, request: &Request) -> Result<Answer, StoreError> {
        let answer = async {
            let mut init = RequestInit::new();
            init.with_method(Method::Post).with_body(Some(serde_json::to_string(request)?.into()));
            // Objects have no address of their own; any will do.
            let request = worker::Request::new_with_init("https://object/", &init)?;
            let mut response = self.records.get_by_name(name)?.fetch_with_request(request).await?;
            read(&mut response).await
        };
        answer.await.map_err(|error| StoreError(format!("a Durable Object: {error}")))
    }
}

async fn read<T: DeserializeOwned>(response: &mut worker::Response) -> worker::Result<T> {
    match response.status_code() {
        200 => response.json().await,
        status => Err(format!("it answered {status}").into()),
    }
}

fn place(key: &Key) -> Place<'_> {
    match key {
        Key::Client(id) => Place::Client(id),
        Key::Approval(_) | Key::Grant(_) | Key::Login(_) | Key::Reply(_) | Key::User(_) => {
            Place::Object(format!("{}:{}", key.kind(), key.name()))
        }
    }
}

impl Store for WorkersStore {
    fn get<'a>(&'a self, key: &'a Key, now: Timestamp) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        Box::pin(SendFuture::new(async move {
            match place(key) {
                Place::Client(id) => self.clients.get(id, now).await,
                Place::Object(name) => record(self.ask(&name, &Request::Get { now }).await?),
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
            match place(key) {
                Place::Client(id) => self.clients.put(id, &value, expires_at).await,
                Place::Object(name) => match self.ask(&name, &Request::Put { value, expires_at }).await? {
                    Answer::Done => Ok(()),
                    Answer::Record(_) | Answer::Replaced(_) => Err(unexpected()),
                },
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
            match place(key) {
                // As good as KV can: nothing that needs one winner is kept there.
                Place::Client(id) => {
                    let version = self.clients.get(id, now).await?.map(|record| record.version);
                    if version != expected {
                        return Ok(false);
                    }
                    self.clients.put(id, &value, expires_at).await.map(|()| true)
                }
                Place::Object(name) => {
                    let expected = expected.map(|version| version.0);
                    match self.ask(&name, &Request::Replace { expected, value, expires_at, now }).await? {
                        Answer::Replaced(replaced) => Ok(replaced),
                        Answer::Done | Answer::Record(_) => Err(unexpected()),
                    }
                }
            }
        }))
    }

    fn take<'a>(&'a self, key: &'a Key, now: Timestamp) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        Box::pin(SendFuture::new(async move {
            match place(key) {
                Place::Client(id) => {
                    let record = self.clients.get(id, now).await?;
                    self.clients.delete(id).await?;
                    Ok(record)
                }
                Place::Object(name) => record(self.ask(&name, &Request::Take { now }).await?),
            }
        }))
    }
}

fn record(answer: Answer) -> Result<Option<Record>, StoreError> {
    match answer {
        Answer::Record(record) => Ok(record.map(Record::from)),
        Answer::Done | Answer::Replaced(_) => Err(unexpected()),
    }
}

/// While a new version is being rolled out, an object may run another one than its caller.
fn unexpected() -> StoreError {
    StoreError("a Durable Object answered something else than it was asked".to_owned())
}
