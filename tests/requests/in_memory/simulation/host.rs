//! A host that lets other tasks run before and after each operation.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use deputy::host::{
    self, BoxFuture, Clock, FetchError, FetchLimits, GrantEntry, GrantFilter, GrantId, GrantIndex, Host,
    HttpClient, Operation, Outcome, Page, RecordKey, Store, StoreError, Timestamp,
};
use harness::memory::MemoryHost;
use serde_json::Value;

use super::{
    mirror::Mirror,
    scheduler::{Dice, Tasks, turn},
};

/// The host in memory, which yields between all operations, with a store that fails as often as it is told.
#[derive(Clone)]
pub(super) struct ContendedHost {
    inner: MemoryHost,
    tasks: Tasks,
    store: Arc<ContendedStore>,
    refreshing: Arc<AtomicBool>,
    token_endpoint: Arc<TokenEndpoint>,
}

/// Requests to PingOne's token endpoint.
#[derive(Default)]
struct TokenEndpoint {
    /// How many are open.
    open: AtomicUsize,
    /// Whether two were ever open at a time.
    overlapped: AtomicBool,
    /// Responses that arrived after the deadline.
    lost: AtomicUsize,
}

struct ContendedStore {
    inner: MemoryHost,
    mirror: Option<Mirror>,
    dice: Mutex<Dice>,
    failures: Failures,
    /// Chances to fail so far: two for each operation.
    chances: AtomicUsize,
    refreshing: Arc<AtomicBool>,
}

/// When an operation of the store fails, before or after its effect.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failures {
    /// Once, after this many chances.
    At(usize),
    Never,
    /// At one chance in this many.
    OneIn(usize),
}

impl ContendedHost {
    pub(super) fn new(inner: MemoryHost, tasks: Tasks, dice: Dice, failures: Failures) -> Self {
        let refreshing = Arc::new(AtomicBool::default());
        let store = ContendedStore {
            inner: inner.clone(),
            mirror: Mirror::from_environment(),
            dice: dice.into(),
            failures,
            chances: AtomicUsize::default(),
            refreshing: Arc::clone(&refreshing),
        };
        Self { inner, tasks, store: Arc::new(store), refreshing, token_endpoint: Arc::default() }
    }

    /// The parts of this host.
    pub(super) fn parts(&self) -> Host {
        let part = Arc::new(self.clone());
        Host {
            clock: part.clone(),
            http: part.clone(),
            store: self.store.clone(),
            grant_index: self.store.clone(),
            tasks: part,
            ..self.inner.host()
        }
    }

    /// Whether a refresh at `PingOne` has begun and no tokens of it were written since. Only then a crash ends a grant.
    pub(super) fn is_refreshing(&self) -> bool {
        self.refreshing.load(Ordering::SeqCst)
    }

    /// Whether two requests to `PingOne`'s token endpoint were ever open at a time.
    pub(super) fn overlapped(&self) -> bool {
        self.token_endpoint.overlapped.load(Ordering::SeqCst)
    }

    /// How many responses of `PingOne`'s token endpoint arrived after the deadline.
    pub(super) fn lost(&self) -> usize {
        self.token_endpoint.lost.load(Ordering::SeqCst)
    }

    /// How often an operation of the store could have failed.
    pub(super) fn chances(&self) -> usize {
        self.store.chances.load(Ordering::SeqCst)
    }
}

impl ContendedHost {
    /// Yields a few times, as the network does.
    async fn delay(&self) {
        let turns = self.store.dice.lock().unwrap().below(8);
        for _ in 0..=turns {
            turn().await;
        }
    }
}

/// One request to the token endpoint, until its response is read or the request is dropped.
struct TokenRequest<'a>(&'a TokenEndpoint);

impl<'a> TokenRequest<'a> {
    fn begin(token_endpoint: &'a TokenEndpoint) -> Self {
        if token_endpoint.open.fetch_add(1, Ordering::SeqCst) > 0 {
            token_endpoint.overlapped.store(true, Ordering::SeqCst);
        }
        Self(token_endpoint)
    }
}

impl Drop for TokenRequest<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl HttpClient for ContendedHost {
    fn fetch(
        &self,
        request: http::Request<Bytes>,
        limits: FetchLimits,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, FetchError>> {
        Box::pin(async move {
            let until = self.now().plus(limits.deadline.as_secs());
            let for_tokens = request.uri().path().ends_with("/token");
            let _request = for_tokens.then(|| TokenRequest::begin(&self.token_endpoint));
            self.delay().await;
            if self.now() >= until {
                return Err(FetchError::Deadline);
            }
            if for_tokens {
                self.refreshing.store(true, Ordering::SeqCst);
            }
            let response = self.inner.fetch(request, limits).await;
            self.delay().await;
            if self.now() >= until {
                self.token_endpoint.lost.fetch_add(usize::from(for_tokens), Ordering::SeqCst);
                return Err(FetchError::Deadline);
            }
            response
        })
    }
}

impl Clock for ContendedHost {
    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(turn())
    }
}

impl host::Tasks for ContendedHost {
    fn detach(&self, work: BoxFuture<'static, ()>) {
        self.tasks.detached(work);
    }
}

impl ContendedStore {
    /// Runs `verb` between two yields. It may fail before or after its effect.
    async fn contended<T>(
        &self,
        verb: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        turn().await;
        self.fail()?;
        let done = verb.await;
        turn().await;
        self.fail()?;
        done
    }

    fn fail(&self) -> Result<(), StoreError> {
        let before = self.chances.fetch_add(1, Ordering::SeqCst);
        let fails = match self.failures {
            Failures::Never => false,
            Failures::At(chance) => before == chance,
            Failures::OneIn(many) => self.dice.lock().unwrap().below(many) == 0,
        };
        if fails { Err(StoreError("as the simulation wants it".to_owned())) } else { Ok(()) }
    }
}

/// The sealed tokens of `PingOne` in a grant. Null for another record.
fn pingone_tokens(record: &[u8]) -> Value {
    let record: Value = serde_json::from_slice(record).unwrap_or_default();
    record["upstream"]["sealed"].clone()
}

impl Store for ContendedStore {
    fn execute<'a>(
        &'a self,
        key: &'a RecordKey,
        operation: Operation,
    ) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(self.contended(async move {
            let now = self.inner.now();
            let stored = self.inner.memory().get(key, now).await?;
            let before = stored.as_ref().map(|record| pingone_tokens(&record.value));
            let after = match &operation {
                Operation::Replace { value, .. } => Some(pingone_tokens(value)),
                _ => None,
            };
            let outcome = self.inner.memory().execute(key, operation.clone()).await?;
            if let Some(mirror) = &self.mirror {
                let changed = self.inner.memory().get(key, now).await?;
                mirror.execute(key, operation, (stored, changed), &outcome, now);
            }
            if outcome == Outcome::Written(true) && after.is_some() && after != before {
                self.refreshing.store(false, Ordering::SeqCst);
            }
            Ok(outcome)
        }))
    }
}

impl GrantIndex for ContendedStore {
    fn list(
        &self,
        filter: GrantFilter,
        page: Page,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>> {
        Box::pin(self.contended(self.inner.grant_index().list(filter, page, now)))
    }

    fn enter(
        &self,
        entry: GrantEntry,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.contended(self.inner.grant_index().enter(entry, until, now)))
    }

    fn remove(&self, id: GrantId) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.contended(self.inner.grant_index().remove(id)))
    }
}
