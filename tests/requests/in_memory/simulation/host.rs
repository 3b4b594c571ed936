//! A host on which everybody else may get ahead, before and after whatever is asked of it.

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use deputy::host::{
    BoxFuture, Endpoint, FetchError, FetchLimits, Host, Key, Record, RetryAfter, Source, Store, StoreError,
    Timestamp, Version,
};
use harness::memory::MemoryHost;

use super::scheduler::{Dice, Tasks, turn};

/// The host in memory, with turns between all verbs, and a store that fails as often as it is told.
#[derive(Clone)]
pub(super) struct ContendedHost {
    inner: MemoryHost,
    tasks: Tasks,
    store: Arc<ContendedStore>,
    renewing: Arc<AtomicBool>,
    upstream: Arc<Upstream>,
}

/// What was asked of PingOne's token endpoint.
#[derive(Default)]
struct Upstream {
    /// Requests under way.
    asking: AtomicUsize,
    /// Whether there were ever two at a time.
    overlapped: AtomicBool,
    /// Answers that came too late.
    lost: AtomicUsize,
}

struct ContendedStore {
    inner: MemoryHost,
    dice: Mutex<Dice>,
    failures: Failures,
    /// Chances to fail that there have been: two for every verb.
    chances: AtomicUsize,
    renewing: Arc<AtomicBool>,
}

/// When a verb of the store fails, before it is done or after.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failures {
    /// Once, when there have been this many chances.
    At(usize),
    /// It does not.
    Never,
    /// At one chance in so many.
    OneIn(usize),
}

impl ContendedHost {
    pub(super) fn new(inner: MemoryHost, tasks: Tasks, dice: Dice, failures: Failures) -> Self {
        let renewing = Arc::new(AtomicBool::default());
        let store = ContendedStore {
            inner: inner.clone(),
            dice: dice.into(),
            failures,
            chances: AtomicUsize::default(),
            renewing: Arc::clone(&renewing),
        };
        Self { inner, tasks, store: Arc::new(store), renewing, upstream: Arc::default() }
    }

    /// Whether `PingOne` has been asked for new tokens and nothing has been written since: the one moment at which a
    /// crash costs a login.
    pub(super) fn is_renewing(&self) -> bool {
        self.renewing.load(Ordering::SeqCst)
    }

    /// Whether `PingOne`'s token endpoint was ever asked by two at a time.
    pub(super) fn overlapped(&self) -> bool {
        self.upstream.overlapped.load(Ordering::SeqCst)
    }

    /// How many answers of `PingOne`'s token endpoint came too late.
    pub(super) fn lost(&self) -> usize {
        self.upstream.lost.load(Ordering::SeqCst)
    }

    /// How often a verb of the store might have failed.
    pub(super) fn chances(&self) -> usize {
        self.store.chances.load(Ordering::SeqCst)
    }
}

impl ContendedHost {
    /// A few turns.
    async fn on_the_way(&self) {
        let turns = self.store.dice.lock().unwrap().below(8);
        for _ in 0..=turns {
            turn().await;
        }
    }
}

/// One request to the token endpoint, until its answer is read or nobody waits for it.
struct Asking<'a>(&'a Upstream);

impl<'a> Asking<'a> {
    fn begin(upstream: &'a Upstream) -> Self {
        if upstream.asking.fetch_add(1, Ordering::SeqCst) > 0 {
            upstream.overlapped.store(true, Ordering::SeqCst);
        }
        Self(upstream)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.asking.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Host for ContendedHost {
    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.inner.fill_random(buffer);
    }

    fn fetch(
        &self,
        request: http::Request<Bytes>,
        limits: FetchLimits,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, FetchError>> {
        Box::pin(async move {
            let until = self.now().plus(limits.deadline.as_secs());
            let for_tokens = request.uri().path().ends_with("/token");
            let _asking = for_tokens.then(|| Asking::begin(&self.upstream));
            self.on_the_way().await;
            if self.now() >= until {
                return Err(FetchError::Deadline);
            }
            if for_tokens {
                self.renewing.store(true, Ordering::SeqCst);
            }
            let answer = self.inner.fetch(request, limits).await;
            self.on_the_way().await;
            if self.now() >= until {
                self.upstream.lost.fetch_add(usize::from(for_tokens), Ordering::SeqCst);
                return Err(FetchError::Deadline);
            }
            answer
        })
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(turn())
    }

    fn detach(&self, work: BoxFuture<'static, ()>) {
        self.tasks.detached(work);
    }

    fn admit(
        &self,
        endpoint: Endpoint,
        source: Source,
        per_minute: NonZeroU32,
    ) -> BoxFuture<'_, Result<(), RetryAfter>> {
        self.inner.admit(endpoint, source, per_minute)
    }

    fn store(&self) -> &dyn Store {
        &*self.store
    }
}

impl ContendedStore {
    /// Does `verb` between two turns. It may fail before it is done, or after.
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

impl Store for ContendedStore {
    fn get<'a>(&'a self, key: &'a Key, now: Timestamp) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        Box::pin(self.contended(self.inner.memory().get(key, now)))
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        value: Vec<u8>,
        expires_at: Timestamp,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.contended(self.inner.memory().put(key, value, expires_at)))
    }

    fn replace<'a>(
        &'a self,
        key: &'a Key,
        expected: Option<Version>,
        value: Vec<u8>,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.contended(async move {
            let replaced = self.inner.memory().replace(key, expected, value, expires_at, now).await?;
            if replaced {
                self.renewing.store(false, Ordering::SeqCst);
            }
            Ok(replaced)
        }))
    }

    fn take<'a>(&'a self, key: &'a Key, now: Timestamp) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        Box::pin(self.contended(self.inner.memory().take(key, now)))
    }
}
