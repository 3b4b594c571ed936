//! The limit of registrations per remote address and day.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use http::{Extensions, HeaderMap};

use super::rate::counted;
use crate::{
    config::RateLimits,
    host::DAY,
    host::{RetryAfter, Source, Timestamp},
};

/// Registrations since midnight UTC, per remote address. Unused registrations are stored for weeks, so their number
/// must be bounded, not only their rate. Each process has its own counts. On Workers, where an isolate may live for
/// minutes, only the rate is bounded in effect.
#[derive(Debug, Default)]
pub(crate) struct Registrations(Mutex<Day>);

#[derive(Debug, Default)]
struct Day {
    number: u64,
    counts: HashMap<Source, u32>,
}

impl Registrations {
    /// Counts a registration, or returns when the next one may come.
    pub(crate) fn admit(
        &self,
        limits: Option<RateLimits>,
        headers: &HeaderMap,
        extensions: &Extensions,
        now: Timestamp,
    ) -> Result<(), RetryAfter> {
        let (Some(limits), Some(source)) = (limits, counted(headers, extensions)) else { return Ok(()) };
        let mut day = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now.0 / DAY;
        if day.number != number {
            *day = Day { number, counts: HashMap::new() };
        }
        // When the table is full, further addresses are admitted without a count.
        if day.counts.len() >= SOURCES && !day.counts.contains_key(&source) {
            return Ok(());
        }
        let count = day.counts.entry(source).or_default();
        if *count >= limits.register.get().saturating_mul(REGISTRATIONS) {
            tracing::warn!(%source, "too many registrations from one address in a day");
            return Err(RetryAfter(DAY - now.0 % DAY));
        }
        *count += 1;
        Ok(())
    }
}

/// Registrations of one address in a day, as a multiple of the limit for a minute.
const REGISTRATIONS: u32 = 60;

/// Addresses with a count. They take a few megabytes.
const SOURCES: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ClientAddress;

    #[test]
    fn registrations_of_one_address_in_a_day_are_bounded() {
        let from = |address: &str| {
            let mut extensions = Extensions::new();
            extensions.insert(ClientAddress(address.parse().unwrap()));
            extensions
        };
        let (registrations, limits) = (Registrations::default(), Some(RateLimits::default()));
        let admit = |limits, address: &str, now| {
            registrations.admit(limits, &HeaderMap::new(), &from(address), Timestamp(now))
        };
        let admitted = (0..5000).filter(|_| admit(limits, "192.0.2.1", DAY + 5).is_ok()).count();
        assert_eq!(admitted, 3600);
        assert_eq!(admit(limits, "192.0.2.1", 2 * DAY - 7), Err(RetryAfter(7)));
        assert_eq!(admit(limits, "192.0.2.2", DAY + 5), Ok(()));
        assert_eq!(admit(limits, "192.0.2.1", 2 * DAY), Ok(()));
        // A loopback address has no limit. With `RATE_LIMITS=off` no address has one.
        for (limits, address) in [(limits, "127.0.0.1"), (None, "192.0.2.3")] {
            assert!((0..5000).all(|_| admit(limits, address, DAY).is_ok()), "{address}");
        }
    }
}
