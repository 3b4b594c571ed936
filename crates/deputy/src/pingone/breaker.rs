//! A circuit breaker for refreshes at `PingOne`'s token endpoint.
//!
//! Each grant pauses after its own failure. While the endpoint fails for all users, the requests of all grants together
//! would still be many, and each costs two writes.

use std::sync::Mutex;

use crate::{host::Timestamp, metrics, retry, sync::lock};

/// Closed while the endpoint works. Open after some failures in a row, or after one response with `Retry-After`: then
/// one request in each pause probes whether the endpoint works again.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until: Timestamp,
}

/// The outcome of a request to the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The endpoint works, even if it refused this request.
    Works,
    /// The endpoint failed. `retry_after` is in seconds, if it said so.
    Fails { retry_after: Option<u64> },
}

impl Breaker {
    /// Lets a request pass, or says in how many seconds to try again.
    pub(super) fn admit(&self, now: Timestamp) -> Result<(), u64> {
        let mut state = lock(&self.0);
        if state.failures < TRIPS {
            return Ok(());
        }
        if state.open_until.is_awaited(now, LONGEST) {
            return Err(state.open_until.since(now));
        }
        // This request probes. If its outcome is never recorded, another may probe after `PROBE`.
        state.open_until = now.plus(PROBE);
        Ok(())
    }

    /// Records the outcome of a request.
    pub(super) fn record(&self, outcome: Outcome, now: Timestamp, random: crate::seal::Random<'_>) {
        let mut state = lock(&self.0);
        let Outcome::Fails { retry_after } = outcome else {
            *state = State::default();
            metrics::refreshes_are_paused(false);
            return;
        };
        let was_closed = state.failures < TRIPS;
        state.failures = state.failures.saturating_add(1);
        if retry_after.is_some() {
            state.failures = state.failures.max(TRIPS);
        }
        metrics::refreshes_are_paused(state.failures >= TRIPS);
        if state.failures >= TRIPS {
            let own = retry::backoff(state.failures - TRIPS + 1, random);
            state.open_until = now.plus(retry_after.map_or(own, |seconds| seconds.min(LONGEST)));
            if was_closed {
                let seconds = state.open_until.since(now);
                tracing::warn!(seconds, "PingOne's token endpoint fails; refreshes pause");
            }
        }
    }
}

/// Failures in a row.
const TRIPS: u32 = 5;
/// Seconds in which the outcome of a probe is known.
const PROBE: u64 = 45;
/// Seconds of the longest pause, even if `Retry-After` is longer.
const LONGEST: u64 = 120;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1000);
    const FAILS: Outcome = Outcome::Fails { retry_after: None };

    fn failed(times: usize, outcome: Outcome) -> Breaker {
        let breaker = Breaker::default();
        (0..times).for_each(|_| breaker.record(outcome, NOW, &|buffer| buffer.fill(0)));
        breaker
    }

    #[test]
    fn breaker_opens_after_5_failures_and_lets_a_probe_pass() {
        assert_eq!(failed(4, FAILS).admit(NOW), Ok(()));
        let breaker = failed(5, FAILS);
        assert_eq!(breaker.admit(NOW), Err(5));
        assert_eq!((breaker.admit(NOW.plus(5)), breaker.admit(NOW.plus(5))), (Ok(()), Err(PROBE)));
        breaker.record(FAILS, NOW.plus(6), &|buffer| buffer.fill(0));
        assert_eq!(breaker.admit(NOW.plus(6)), Err(10), "longer than before");
        breaker.record(Outcome::Works, NOW.plus(16), &|buffer| buffer.fill(0));
        assert_eq!(breaker.admit(NOW.plus(16)), Ok(()));
    }

    #[test]
    fn retry_after_of_token_endpoint_is_respected() {
        assert_eq!(failed(1, Outcome::Fails { retry_after: Some(7) }).admit(NOW), Err(7));
        assert_eq!(failed(1, Outcome::Fails { retry_after: Some(9999) }).admit(NOW), Err(LONGEST));
    }

    #[test]
    fn clock_that_is_set_back_leaves_no_long_pause() {
        assert_eq!(failed(5, FAILS).admit(Timestamp(1)), Ok(()));
    }

    #[test]
    fn lost_probe_gives_way_to_another() {
        let breaker = failed(5, FAILS);
        assert_eq!((breaker.admit(NOW.plus(5)), breaker.admit(NOW.plus(5 + PROBE))), (Ok(()), Ok(())));
    }
}
