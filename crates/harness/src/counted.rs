//! A store that counts its operations: on Workers, each is a subrequest.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use deputy::host::{
    BoxFuture, GrantEntry, GrantFilter, GrantId, GrantIndex, Operation, Outcome, Page, RecordKey, Store,
    StoreError, Timestamp,
};

/// A store, or an index of grants, with counts of its operations.
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

    /// The number of operations on other records and on the index of grants, each of which is a call of a Durable Object on
    /// Workers.
    pub fn records(&self) -> u64 {
        self.0[1].load(Ordering::SeqCst)
    }
}

impl<S> Counted<S> {
    /// Counts the operations of `store` in `counts`.
    pub fn new(store: S, counts: &Counts) -> Self {
        Self { store, counts: counts.clone() }
    }
}

impl<S: Store> Store for Counted<S> {
    fn execute<'a>(
        &'a self,
        key: &'a RecordKey,
        operation: Operation,
    ) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        let place = usize::from(!matches!(key, RecordKey::Client(_)));
        self.counts.0[place].fetch_add(1, Ordering::SeqCst);
        self.store.execute(key, operation)
    }

    fn probe(&self, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.probe(now)
    }
}

impl<I: GrantIndex> GrantIndex for Counted<I> {
    fn list(
        &self,
        filter: GrantFilter,
        page: Page,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>> {
        self.counts.0[1].fetch_add(1, Ordering::SeqCst);
        self.store.list(filter, page, now)
    }

    fn enter(
        &self,
        entry: GrantEntry,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.counts.0[1].fetch_add(1, Ordering::SeqCst);
        self.store.enter(entry, until, now)
    }

    fn remove(&self, id: GrantId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.counts.0[1].fetch_add(1, Ordering::SeqCst);
        self.store.remove(id)
    }
}
