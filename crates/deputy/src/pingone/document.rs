//! A document that `PingOne` publishes, cached in this process.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use super::PingOneError;
use crate::{
    host::{FetchError, Host, Timestamp},
    retry,
    sync::lock,
};

/// A cached document. One request fetches it at a time. Other requests poll until it is there, since on Workers a
/// request cannot await the work of another.
///
/// A failed fetch or an unusable document replaces nothing. An edition is fresh for an hour, and is used for another
/// day while no newer one can be fetched.
#[derive(Debug)]
pub(super) struct Published<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    held: Option<Edition<T>>,
    /// The time by which the current fetch has ended.
    fetching_until: Option<Timestamp>,
    /// The number of fetches that have ended, in success or failure.
    fetched: u64,
    /// The number of consecutive failures, and the last error.
    failures: u32,
    error: Option<PingOneError>,
    /// The time from which it may be fetched again after a failure.
    not_before: Timestamp,
    /// Recent fetches for a newer edition. One is forgotten every five seconds.
    newer: u32,
    newer_since: Timestamp,
}

/// The document of one fetch.
#[derive(Debug)]
pub(super) struct Edition<T> {
    pub(super) value: Arc<T>,
    number: u64,
    read_at: Timestamp,
}

/// The edition that a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// A fresh edition, or the last one if no fresh one can be fetched.
    Fresh,
    /// An edition newer than this one.
    After(u64),
}

/// The next step of a request that needs a document.
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
    /// `false` if the clock was set back since the fetch: the age is unknown.
    fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.read_at) < FRESH && self.read_at.ahead_of(now) <= JITTER
    }

    fn is_usable(&self, now: Timestamp) -> bool {
        now.since(self.read_at) < FRESH + STALE
    }

    /// The need for a newer edition.
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
    /// The fresh edition, if one is cached.
    pub(super) fn fresh(&self, now: Timestamp) -> Option<Edition<T>> {
        self.state().held.clone().filter(|held| held.is_fresh(now))
    }

    /// Whether an edition is cached that is used while no newer one can be fetched.
    pub(super) fn is_usable(&self, now: Timestamp) -> bool {
        self.state().held.as_ref().is_some_and(|held| held.is_usable(now))
    }

    /// The edition that is needed. `fetch` runs if no other request is fetching, and a fetch is allowed now.
    pub(super) async fn get(
        &self,
        host: &Host,
        need: Need,
        fetch: impl Future<Output = Result<T, PingOneError>> + Send,
    ) -> Result<Edition<T>, PingOneError> {
        let begun = self.state().fetched;
        for _ in 0..LOOKS {
            let step = self.state().step(need, begun, host.clock.now());
            match step {
                Step::Fail(error) => return Err(error),
                Step::Fetch => {
                    let _permit = FetchPermit(self);
                    let result = fetch.await;
                    let edition = self.state().finish(need, result, host);
                    return edition;
                }
                Step::Use(edition) => return Ok(edition),
                Step::Wait => host.clock.sleep(LOOK_AGAIN).await,
            }
        }
        Err(PingOneError::Fetch(FetchError::Deadline))
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.0)
    }
}

impl<T> State<T> {
    /// The next step of a request that began when `begun` fetches had ended.
    fn step(&mut self, need: Need, begun: u64, now: Timestamp) -> Step<T> {
        let is_fetching = self.fetching_until.is_some_and(|until| until.is_awaited(now, LONGEST_FETCH));
        let pauses = self.not_before.is_awaited(now, LONGEST_PAUSE);
        let has_waited = self.fetched != begun;
        let last = self.held.clone().filter(|held| held.is_usable(now));
        match (need, last) {
            (Need::After(seen), Some(held)) if held.number > seen => return Step::Use(held),
            (Need::Fresh, Some(held)) if held.is_fresh(now) => return Step::Use(held),
            (Need::Fresh, Some(held)) if is_fetching || has_waited || pauses => {
                return Step::Use(held);
            }
            _ if is_fetching => return Step::Wait,
            (Need::Fresh, None) if pauses => return Step::Fail(self.last_error()),
            _ if has_waited => return Step::Fail(self.last_error()),
            (Need::After(_), _) if !self.may_fetch_newer(now) => return Step::Fail(self.last_error()),
            _ => {}
        }
        self.fetching_until = Some(now.plus(LONGEST_FETCH));
        Step::Fetch
    }

    /// Records the result of a fetch.
    fn finish(
        &mut self,
        need: Need,
        result: Result<T, PingOneError>,
        host: &Host,
    ) -> Result<Edition<T>, PingOneError> {
        let now = host.clock.now();
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
                    Some(_) => retry::backoff(self.failures, &|buffer| host.random.fill(buffer)),
                    // Logins need it: without a pause, the first login after an outage succeeds. Refreshes have their
                    // own pause.
                    None => 0,
                };
                self.not_before = now.plus(pause);
                self.error = Some(error.clone());
                let last = self.held.clone().filter(|held| held.is_usable(now));
                match last {
                    Some(held) if need == Need::Fresh => {
                        tracing::warn!(%error, "a document of PingOne cannot be fetched; the last one is used");
                        Ok(held)
                    }
                    _ => Err(error),
                }
            }
        }
    }

    /// Allows three fetches at once, for two key rotations in a row, and then one every five seconds. Tokens that name
    /// unknown keys must not cause a flood of requests to `PingOne`.
    fn may_fetch_newer(&mut self, now: Timestamp) -> bool {
        let earned = now.since(self.newer_since) / 5;
        let set_back = self.newer_since.ahead_of(now) > JITTER;
        if earned > 0 || self.newer == 0 || set_back {
            self.newer = self.newer.saturating_sub(u32::try_from(earned).unwrap_or(u32::MAX));
            self.newer_since = now;
        }
        let is_allowed = self.newer < 3;
        self.newer += u32::from(is_allowed);
        is_allowed
    }

    fn last_error(&self) -> PingOneError {
        self.error.clone().unwrap_or(PingOneError::NotYet)
    }
}

/// The permit of the request that fetches. Dropping the request releases it.
struct FetchPermit<'a, T>(&'a Published<T>);

impl<T> Drop for FetchPermit<'_, T> {
    fn drop(&mut self) {
        self.0.state().fetching_until = None;
    }
}

/// Seconds for which a document need not be fetched again.
const FRESH: u64 = 3600;
/// Seconds for which a stale document is used while it cannot be fetched.
const STALE: u64 = 24 * 3600;
/// Seconds: longer than the deadlines of two fetches, since keys may need discovery first. A permit that was not
/// released expires after that.
const LONGEST_FETCH: u64 = 11;
/// Seconds: longer than every pause after a failure.
const LONGEST_PAUSE: u64 = 120;
/// Seconds by which the clock of a request that began earlier may be behind.
const JITTER: i64 = 60;
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Polls. With `LOOK_AGAIN` between them they take longer than a fetch.
const LOOKS: u32 = 230;
