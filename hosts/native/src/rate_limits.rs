//! Counts of requests by address.

use std::{
    collections::HashMap,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
};

use deputy::host::{Endpoint, RetryAfter};
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::HashMapStateStore,
};

type Limiter = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>;

/// Counts of this process. They begin anew with it.
#[derive(Default)]
pub(crate) struct RateLimits(Mutex<HashMap<(Endpoint, NonZeroU32), Arc<Limiter>>>);

impl RateLimits {
    /// Counts a request, of which `per_minute` are admitted: all at once, or evenly.
    pub(crate) fn admit(
        &self,
        endpoint: Endpoint,
        source: IpAddr,
        per_minute: NonZeroU32,
    ) -> Result<(), RetryAfter> {
        let limiter = self.limiter(endpoint, per_minute);
        if limiter.len() >= SOURCES {
            limiter.retain_recent();
            if limiter.len() >= SOURCES {
                // So many addresses at once are no one stranger's, and to remember fewer would let them through as well.
                return Ok(());
            }
        }
        limiter.check_key(&source).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            RetryAfter(wait.as_secs() + 1)
        })
    }

    fn limiter(&self, endpoint: Endpoint, per_minute: NonZeroU32) -> Arc<Limiter> {
        let mut limiters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let limiter = limiters.entry((endpoint, per_minute)).or_insert_with(|| {
            Arc::new(RateLimiter::new(
                Quota::per_minute(per_minute),
                HashMapStateStore::default(),
                DefaultClock::default(),
            ))
        });
        Arc::clone(limiter)
    }
}

/// Addresses that are remembered: a few megabytes.
const SOURCES: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_so_many_requests_an_address_is_told_to_wait_and_others_are_not() {
        let (limits, three) = (RateLimits::default(), NonZeroU32::new(3).unwrap());
        let admit = |endpoint, source: &str| limits.admit(endpoint, source.parse().unwrap(), three);
        for _ in 0..3 {
            assert_eq!(admit(Endpoint::Register, "192.0.2.1"), Ok(()));
        }
        let RetryAfter(seconds) = admit(Endpoint::Register, "192.0.2.1").expect_err("one too many");
        assert!((1..=21).contains(&seconds), "{seconds}");
        assert_eq!(admit(Endpoint::Register, "192.0.2.2"), Ok(()));
        assert_eq!(admit(Endpoint::Token, "192.0.2.1"), Ok(()));
    }
}
