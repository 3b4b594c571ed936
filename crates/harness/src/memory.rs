//! A host in memory: a clock that only tests advance, randomness from a seed, a network of routers, and a store.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use deputy::host::{
    AuditEvent, AuditLog, BoxFuture, Capacity, Clock, EndpointKind, FetchError, FetchLimits, GrantEntry,
    GrantFilter, GrantId, GrantIndex, Host, HttpClient, Meter, Operation, Outcome, Page, RateLimiter, Reach,
    Record, RecordKey, RetryAfter, SecureRandom, Source, Store, StoreError, Tasks, Timestamp, Version,
    is_public,
};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::{
    counted::{Counted, Counts},
    network::Network,
};

/// A host in memory. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct MemoryHost {
    shared: Arc<Inner>,
    random: Arc<Mutex<Stream>>,
}

struct Inner {
    now: AtomicU64,
    network: Network,
    fetches: Mutex<Vec<(http::Uri, FetchLimits)>>,
    requests: Mutex<HashMap<(EndpointKind, Source, u64), u32>>,
    capacity: Mutex<Capacity>,
    audited: Mutex<Vec<AuditEvent>>,
    stopping: watch::Sender<bool>,
    store: Arc<Counted<MemoryStore>>,
    grant_index: Arc<Counted<MemoryIndex>>,
    counts: Counts,
}

/// The time at the start: 2026-01-01 00:00:00 UTC.
pub const BEGINNING: Timestamp = Timestamp(1_767_225_600);

impl MemoryHost {
    /// A host with randomness from `seed`.
    pub fn new(seed: u64, network: Network) -> Self {
        let counts = Counts::default();
        let shared = Inner {
            now: AtomicU64::new(BEGINNING.0),
            network,
            fetches: Mutex::default(),
            requests: Mutex::default(),
            capacity: Mutex::default(),
            audited: Mutex::default(),
            stopping: watch::Sender::new(false),
            store: Arc::new(Counted::new(MemoryStore::default(), &counts)),
            grant_index: Arc::new(Counted::new(MemoryIndex::default(), &counts)),
            counts,
        };
        Self { shared: Arc::new(shared), random: Arc::new(Mutex::new(Stream { seed, blocks: 0 })) }
    }

    /// The same host with separate randomness, from `seed`.
    #[must_use]
    pub fn with_seed(&self, seed: u64) -> Self {
        Self { shared: Arc::clone(&self.shared), random: Arc::new(Mutex::new(Stream { seed, blocks: 0 })) }
    }

    /// The time on its clock.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.shared.now.load(Ordering::SeqCst))
    }

    /// Advances the clock by `seconds`.
    pub fn advance(&self, seconds: u64) {
        self.shared.now.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Sets the clock back by `seconds`.
    pub fn set_back(&self, seconds: u64) {
        self.shared.now.fetch_sub(seconds, Ordering::SeqCst);
    }

    /// Sets the capacity for servers that are created from now on.
    pub fn set_capacity(&self, capacity: Capacity) {
        *locked(&self.shared.capacity) = capacity;
    }

    /// Tells servers that the host is stopping.
    pub fn stop(&self) {
        self.shared.stopping.send_replace(true);
    }

    /// The URLs of outgoing requests so far, with their limits.
    pub fn fetches(&self) -> Vec<(http::Uri, FetchLimits)> {
        locked(&self.shared.fetches).clone()
    }

    /// The audit events so far.
    pub fn audited(&self) -> Vec<AuditEvent> {
        locked(&self.shared.audited).clone()
    }

    /// The parts of this host.
    pub fn host(&self) -> Host {
        let part = Arc::new(self.clone());
        Host {
            clock: part.clone(),
            http: part.clone(),
            random: part.clone(),
            rate_limiter: part.clone(),
            store: self.shared.store.clone(),
            grant_index: self.shared.grant_index.clone(),
            tasks: part.clone(),
            audit: part,
            capacity: *locked(&self.shared.capacity),
        }
    }

    /// The store.
    pub fn memory(&self) -> &MemoryStore {
        &self.shared.store.store
    }

    /// The index of grants.
    pub fn grant_index(&self) -> &MemoryIndex {
        &self.shared.grant_index.store
    }

    /// The counts of store operations. A host with another store may count in them, too.
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }
}

impl Clock for MemoryHost {
    fn now(&self) -> Timestamp {
        self.now()
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        // The clock stands still, so a sleep only lets other tasks run.
        Box::pin(async { tokio::task::yield_now().await })
    }
}

impl AuditLog for MemoryHost {
    fn record(&self, event: &AuditEvent) {
        locked(&self.shared.audited).push(event.clone());
    }
}

impl SecureRandom for MemoryHost {
    fn fill(&self, buffer: &mut [u8]) {
        locked(&self.random).fill(buffer);
    }
}

impl HttpClient for MemoryHost {
    fn fetch(
        &self,
        request: http::Request<Bytes>,
        limits: FetchLimits,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, FetchError>> {
        Box::pin(async move {
            locked(&self.shared.fetches).push((request.uri().clone(), limits));
            let meter = request.extensions().get::<Meter>().cloned();
            // There is no name resolution here, so only literal addresses can be checked.
            let host = request.uri().host().unwrap_or_default().trim_matches(['[', ']']);
            let address: Option<IpAddr> = host.parse().ok();
            if limits.reach == Reach::PublicInternet && address.is_some_and(|address| !is_public(address)) {
                return Err(FetchError::NotPublic);
            }
            if self.shared.network.is_stalled(request.uri()) {
                return Err(FetchError::Deadline);
            }
            let response = self.shared.network.send(request).await.map_err(FetchError::Connection)?;
            let bytes = response.body().len();
            if bytes > limits.max_bytes {
                Err(FetchError::TooLarge)
            } else if meter.is_some_and(|meter| !meter.takes(bytes)) {
                Err(FetchError::TooMany)
            } else {
                Ok(response)
            }
        })
    }
}

impl RateLimiter for MemoryHost {
    fn admit(
        &self,
        endpoint: EndpointKind,
        source: Source,
        per_minute: NonZeroU32,
    ) -> BoxFuture<'_, Result<(), RetryAfter>> {
        let now = self.now().0;
        let mut requests = locked(&self.shared.requests);
        let count = requests.entry((endpoint, source, now / 60)).or_default();
        *count += 1;
        let admitted = if *count > per_minute.get() { Err(RetryAfter(60 - now % 60)) } else { Ok(()) };
        Box::pin(async move { admitted })
    }
}

impl Tasks for MemoryHost {
    fn detach(&self, work: BoxFuture<'static, ()>) {
        tokio::spawn(work);
    }

    fn stopping(&self) -> BoxFuture<'static, ()> {
        let mut stopping = self.shared.stopping.subscribe();
        Box::pin(async move {
            // The sender lives as long as the host.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        })
    }
}

/// Reproducible random bytes: SHA-256 of a seed and a counter.
struct Stream {
    seed: u64,
    blocks: u64,
}

impl Stream {
    fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            self.blocks += 1;
            let block =
                Sha256::new().chain_update(self.seed.to_be_bytes()).chain_update(self.blocks.to_be_bytes());
            chunk.copy_from_slice(&block.finalize()[..chunk.len()]);
        }
    }
}

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Records>);

#[derive(Debug, Default)]
struct Records {
    records: HashMap<RecordKey, Record>,
    versions: u64,
}

impl Records {
    fn live(&self, key: &RecordKey, now: Timestamp) -> Option<&Record> {
        self.records.get(key).filter(|record| record.expires_at > now)
    }

    fn write(&mut self, key: &RecordKey, value: Vec<u8>, expires_at: Timestamp) {
        self.versions += 1;
        self.records.insert(key.clone(), Record { value, version: Version(self.versions), expires_at });
    }
}

impl MemoryStore {
    /// All records that have not expired at `now`, as stored.
    pub fn records(&self, now: Timestamp) -> Vec<(RecordKey, Record)> {
        let records = locked(&self.0);
        records
            .records
            .iter()
            .filter(|(_, record)| record.expires_at > now)
            .map(|(key, record)| (key.clone(), record.clone()))
            .collect()
    }
}

impl Store for MemoryStore {
    fn execute<'a>(
        &'a self,
        key: &'a RecordKey,
        operation: Operation,
    ) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(async move {
            let mut records = locked(&self.0);
            Ok(match operation {
                Operation::Get { now } => Outcome::Record(records.live(key, now).cloned()),
                Operation::Put { value, expires_at } => {
                    records.write(key, value, expires_at);
                    Outcome::Written(true)
                }
                Operation::Replace { expected, value, expires_at, now } => {
                    let matches = records.live(key, now).map(|record| record.version) == expected;
                    if matches {
                        records.write(key, value, expires_at);
                    }
                    Outcome::Written(matches)
                }
                Operation::Take { now } => {
                    let taken = records.records.remove(key);
                    Outcome::Record(taken.filter(|record| record.expires_at > now))
                }
            })
        })
    }
}

/// An index of grants in memory, of entries, as on a platform that cannot list its records.
#[derive(Debug, Default)]
pub struct MemoryIndex(Mutex<BTreeMap<GrantId, (GrantEntry, Timestamp)>>);

impl MemoryIndex {
    /// Removes all entries.
    pub fn clear(&self) {
        locked(&self.0).clear();
    }
}

impl GrantIndex for MemoryIndex {
    fn list(
        &self,
        filter: GrantFilter,
        page: Page,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>> {
        Box::pin(async move {
            let entries = locked(&self.0);
            let listed = entries.iter().filter(|(id, (entry, until))| {
                page.after.is_none_or(|after| **id > after) && *until > now && filter.selects(entry)
            });
            Ok(listed.map(|(id, _)| *id).take(page.limit).collect())
        })
    }

    fn enter(
        &self,
        entry: GrantEntry,
        until: Timestamp,
        _: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            locked(&self.0).insert(entry.id, (entry, until));
            Ok(())
        })
    }

    fn remove(&self, id: GrantId) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            locked(&self.0).remove(&id);
            Ok(())
        })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
