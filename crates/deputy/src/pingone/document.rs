//! A document that `PingOne` publishes, as this process holds it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::PingOneError;
use crate::{
    host::{FetchError, Host, Timestamp},
    retry,
};

/// A document and when it was read. One request fetches it at a time, and everybody who needs it looks again until it is
/// there: on Workers a request cannot await the work of another one.
///
/// A fetch that fails, or brings what cannot be used, replaces nothing. What is held is fresh for an hour, and is used for
/// a day while no other can be had.
#[derive(Debug)]
pub(super) struct Published<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    held: Option<Edition<T>>,
    /// Until when somebody is fetching, at the latest.
    fetching_until: Option<Timestamp>,
    /// Fetches that have ended, well or not.
    fetched: u64,
    /// Of these, the last ones that failed, and how the last one did.
    failures: u32,
    error: Option<PingOneError>,
    /// From when it may be fetched again after a failure.
    not_before: Timestamp,
    /// Fetches for a newer edition that were not earned back since.
    newer: u32,
    newer_since: Timestamp,
}

/// What was read at one time.
#[derive(Debug)]
pub(super) struct Edition<T> {
    pub(super) value: Arc<T>,
    number: u64,
    read_at: Timestamp,
}

/// Which edition is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// One that is fresh, or the last one if there is no fresh one to be had.
    Fresh,
    /// One that was fetched after this one, which does not have what is looked for.
    After(u64),
}

/// What to do next for a document.
enum Step<T> {
    Fail(PingOneError),
    Fetch,
    Use(Edition<T>),
    Wait,
}

impl<T> Clone for Edition<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), number: self.number, read_at: self.read_at }
    }
}

impl<T> Edition<T> {
    /// Not if the clock was set back since it was read: nobody knows how old it is.
    fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.read_at) < FRESH && self.read_at.ahead_of(now) <= JITTER
    }

    /// Something newer.
    pub(super) const fn superseded(&self) -> Need {
        Need::After(self.number)
    }
}

impl<T> Default for Published<T> {
    fn default() -> Self {
        Self(Mutex::new(State {
            held: None,
            fetching_until: None,
            fetched: 0,
            failures: 0,
            error: None,
            not_before: Timestamp(0),
            newer: 0,
            newer_since: Timestamp(0),
        }))
    }
}

impl<T> Published<T> {
    /// The edition that is fresh, if one is held.
    pub(super) fn fresh(&self, now: Timestamp) -> Option<Edition<T>> {
        self.state().held.clone().filter(|held| held.is_fresh(now))
    }

    /// The edition that is needed, got by `fetch` if nobody else gets it and it may be fetched now.
    pub(super) async fn get(
        &self,
        host: &Host,
        need: Need,
        fetch: impl Future<Output = Result<T, PingOneError>> + Send,
    ) -> Result<Edition<T>, PingOneError> {
        let begun = self.state().fetched;
        for _ in 0..LOOKS {
            let step = self.state().step(need, begun, host.now());
            match step {
                Step::Fail(error) => return Err(error),
                Step::Fetch => {
                    let _turn = FetchPermit(self);
                    let result = fetch.await;
                    let edition = self.state().end(need, result, host);
                    return edition;
                }
                Step::Use(edition) => return Ok(edition),
                Step::Wait => host.sleep(LOOK_AGAIN).await,
            }
        }
        Err(PingOneError::Fetch(FetchError::Deadline))
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // What is behind it is whole at every moment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// What somebody does who needs this, and began when `begun` fetches had ended.
    fn step(&mut self, need: Need, begun: u64, now: Timestamp) -> Step<T> {
        let is_fetching = self.fetching_until.is_some_and(|until| until.is_awaited(now, LONGEST_FETCH));
        let pauses = self.not_before.is_awaited(now, LONGEST_PAUSE);
        let waited_in_vain = self.fetched != begun;
        let last = self.held.clone().filter(|held| now.since(held.read_at) < FRESH + STALE);
        match (need, last) {
            (Need::After(seen), Some(held)) if held.number > seen => return Step::Use(held),
            (Need::Fresh, Some(held)) if held.is_fresh(now) => return Step::Use(held),
            (Need::Fresh, Some(held)) if is_fetching || waited_in_vain || pauses => {
                return Step::Use(held);
            }
            _ if is_fetching => return Step::Wait,
            (Need::Fresh, None) if pauses => return Step::Fail(self.last_error()),
            _ if waited_in_vain => return Step::Fail(self.last_error()),
            (Need::After(_), _) if !self.may_fetch_newer(now) => return Step::Fail(self.last_error()),
            _ => {}
        }
        self.fetching_until = Some(now.plus(LONGEST_FETCH));
        Step::Fetch
    }

    /// Takes over what a fetch brought.
    fn end(
        &mut self,
        need: Need,
        result: Result<T, PingOneError>,
        host: &Host,
    ) -> Result<Edition<T>, PingOneError> {
        let now = host.now();
        self.fetched += 1;
        match result {
            Ok(value) => {
                let edition = Edition { value: Arc::new(value), number: self.fetched, read_at: now };
                (self.failures, self.error, self.not_before) = (0, None, now);
                self.held = Some(edition.clone());
                Ok(edition)
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let pause = match self.held {
                    Some(_) => retry::pause(self.failures, &|buffer| host.fill_random(buffer)),
                    // Nobody can log in without it: the first login after an outage succeeds. Refreshes pause by themselves.
                    None => 0,
                };
                self.not_before = now.plus(pause);
                self.error = Some(error.clone());
                let last = self.held.clone().filter(|held| now.since(held.read_at) < FRESH + STALE);
                match last {
                    Some(held) if need == Need::Fresh => {
                        tracing::warn!(%error, "a document of PingOne's cannot be fetched; the last one is used");
                        Ok(held)
                    }
                    _ => Err(error),
                }
            }
        }
    }

    /// Three at once, since a login may follow a rotation of the keys and another rotation that; then one in five seconds.
    /// A token that names a key which does not exist cannot make us hammer `PingOne`.
    fn may_fetch_newer(&mut self, now: Timestamp) -> bool {
        let earned = now.since(self.newer_since) / 5;
        let set_back = self.newer_since.ahead_of(now) > JITTER;
        if earned > 0 || self.newer == 0 || set_back {
            self.newer = self.newer.saturating_sub(u32::try_from(earned).unwrap_or(u32::MAX));
            self.newer_since = now;
        }
        let may = self.newer < 3;
        self.newer += u32::from(may);
        may
    }

    fn last_error(&self) -> PingOneError {
        self.error.clone().unwrap_or(PingOneError::NotYet)
    }
}

/// Whose turn it is to fetch. A request that is dropped gives it up.
struct FetchPermit<'a, T>(&'a Published<T>);

impl<T> Drop for FetchPermit<'_, T> {
    fn drop(&mut self) {
        self.0.state().fetching_until = None;
    }
}

/// Seconds for which a document need not be fetched again.
const FRESH: u64 = 3600;
/// Seconds for which it is used beyond that while it cannot be.
const STALE: u64 = 24 * 3600;
/// Seconds: longer than the deadlines of two fetches, since keys may take discovery. For a request whose end nobody sees.
const LONGEST_FETCH: u64 = 11;
/// Seconds: longer than every pause after a failure.
const LONGEST_PAUSE: u64 = 120;
/// Seconds by which a request that has read the clock before may seem to be early.
const JITTER: i64 = 60;
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Times `LOOK_AGAIN`: longer than a fetch.
const LOOKS: u32 = 230;
