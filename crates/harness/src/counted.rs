//! A store that counts its operations: on Workers, each is a subrequest.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use deputy::host::{BoxFuture, Key, Record, Store, StoreError, Timestamp, Version};

/// A store with counts of its operations.
#[derive(Debug)]
pub struct Counted<S> {
    /// The store.
    pub store: S,
    counts: Counts,
}

/// Counts of store operations. Cheap to clone; clones share everything.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<[AtomicU64; 2]>);

impl Counts {
    /// The number of operations on clients, which Workers keep in KV.
    pub fn clients(&self) -> u64 {
        self.0[0].load(Ordering::SeqCst)
    }

    /// The number of operations on other records, each of which is a Durable Object on Workers.
    pub fn records(&self) -> u64 {
        self.0[1].load(Ordering::SeqCst)
    }
}

impl<S> Counted<S> {
    /// Counts the operations of `store` in `counts`.
    pub fn new(store: S, counts: &Counts) -> Self {
        Self { store, counts: counts.clone() }
    }

    fn count(&self, key: &Key) -> &S {
        let place = usize::from(!matches!(key, Key::Client(_)));
        self.counts.0[place].fetch_add(1, Ordering::SeqCst);
        &self.store
    }
}

impl<S: Store> Store for Counted<S> {
    fn get<'a>(&'a self, key: &'a Key, now: Timestamp) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        self.count(key).get(key, now)
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        value: Vec<u8>,
        expires_at: Timestamp,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.count(key).put(key, value, expires_at)
    }

    fn replace<'a>(
        &'a self,
        key: &'a Key,
        expected: Option<Version>,
        value: Vec<u8>,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.count(key).replace(key, expected, value, expires_at, now)
    }

    fn take<'a>(&'a self, key: &'a Key, now: Timestamp) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        self.count(key).take(key, now)
    }

    fn probe(&self, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.probe(now)
    }
}
