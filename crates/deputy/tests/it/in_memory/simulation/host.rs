//! A host on which everybody else may get ahead, before and after whatever is asked of it.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use deputy::host::{
    BoxFuture, Endpoint, FetchError, FetchLimits, Host, Key, Record, RetryAfter, Store, StoreError,
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
        Self { inner, tasks, store: Arc::new(store), renewing }
    }

    /// Whether `PingOne` has been asked for new tokens and nothing has been written since: the one moment at which a
    /// crash costs a login.
    pub(super) fn is_renewing(&self) -> bool {
        self.renewing.load(Ordering::SeqCst)
    }

    /// How often a verb of the store might have failed.
    pub(super) fn chances(&self) -> usize {
        self.store.chances.load(Ordering::SeqCst)
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
            turn().await;
            if request.uri().path().ends_with("/token") {
                self.renewing.store(true, Ordering::SeqCst);
            }
            let answer = self.inner.fetch(request, limits).await;
            turn().await;
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
        source: IpAddr,
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
