//! Rate limits by address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use deputy::host::{EndpointKind, RetryAfter, Source};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock, Reference as _},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::keyed::HashMapStateStore,
};

use crate::sync::lock;

type Limiter<C> = RateLimiter<Source, HashMapStateStore<Source>, C, NoOpMiddleware<Moment<C>>>;
type Moment<C> = <C as Clock>::Instant;

/// The rate limits of this process. A restart resets them.
#[derive(Default)]
pub(crate) struct RateLimits(Mutex<Counters>);

type Counters = HashMap<(EndpointKind, NonZeroU32), Arc<Counter<DefaultClock>>>;

impl RateLimits {
    /// Counts a request, and admits `per_minute` of them, in a burst or evenly.
    pub(crate) fn admit(
        &self,
        endpoint: EndpointKind,
        source: Source,
        per_minute: NonZeroU32,
    ) -> Result<(), RetryAfter> {
        let counter = {
            let mut counters = lock(&self.0);
            let new = || Arc::new(Counter::new(per_minute, SOURCES, DefaultClock::default()));
            Arc::clone(counters.entry((endpoint, per_minute)).or_insert_with(new))
        };
        counter.admit(source)
    }
}

/// Counts by address, or by network while there are more addresses than are remembered: a client with many addresses must
/// neither use up the memory nor escape the limit.
struct Counter<C: Clock> {
    addresses: Limiter<C>,
    networks: Limiter<C>,
    most_addresses: usize,
    swept: Mutex<Moment<C>>,
    clock: C,
}

impl<C: Clock + Clone> Counter<C> {
    fn new(per_minute: NonZeroU32, most_addresses: usize, clock: C) -> Self {
        let limiter =
            || RateLimiter::new(Quota::per_minute(per_minute), HashMapStateStore::default(), clock.clone());
        let swept = Mutex::new(clock.now());
        Self { addresses: limiter(), networks: limiter(), most_addresses, swept, clock }
    }

    fn admit(&self, source: Source) -> Result<(), RetryAfter> {
        let counted = if self.is_crowded() {
            self.networks.check_key(&Source { address: network(source.address), ..source })
        } else {
            self.addresses.check_key(&source)
        };
        counted.map_err(|not_until| RetryAfter(not_until.wait_time_from(self.clock.now()).as_secs() + 1))
    }

    /// Whether there is no room for another address, also after a sweep.
    fn is_crowded(&self) -> bool {
        self.addresses.len() >= self.most_addresses && {
            self.sweep();
            self.addresses.len() >= self.most_addresses
        }
    }

    /// Forgets addresses that were quiet for a minute. It visits every address, so it does nothing shortly after the last
    /// sweep.
    fn sweep(&self) {
        let mut swept = lock(&self.swept);
        let now = self.clock.now();
        if now.duration_since(*swept) >= Nanos::from(BETWEEN_SWEEPS) {
            *swept = now;
            self.addresses.retain_recent();
            self.networks.retain_recent();
        }
    }
}

/// The network of an address, as large as those that are assigned to one provider.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            Ipv4Addr::new(a, b, 0, 0).into()
        }
        IpAddr::V6(address) => {
            let [a, b, ..] = address.segments();
            Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0).into()
        }
    }
}

/// Addresses that are remembered. They take a few megabytes.
const SOURCES: usize = 50_000;

const BETWEEN_SWEEPS: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn address_over_its_limit_waits_and_others_do_not() {
        let (limits, three) = (RateLimits::default(), NonZeroU32::new(3).unwrap());
        let admit = |endpoint, address: &str| limits.admit(endpoint, program(address), three);
        for _ in 0..3 {
            assert_eq!(admit(EndpointKind::Register, "192.0.2.1"), Ok(()));
        }
        let RetryAfter(seconds) = admit(EndpointKind::Register, "192.0.2.1").expect_err("a fourth request");
        assert!((1..=21).contains(&seconds), "{seconds}");
        assert_eq!(admit(EndpointKind::Register, "192.0.2.2"), Ok(()));
        assert_eq!(admit(EndpointKind::Token, "192.0.2.1"), Ok(()));
    }

    #[test]
    fn addresses_beyond_the_remembered_are_counted_by_network() {
        let (clock, three) = (FakeRelativeClock::default(), NonZeroU32::new(3).unwrap());
        let counter = Counter::new(three, 100, clock.clone());
        let admit = |address: String| counter.admit(program(&address)).is_ok();
        let admitted = (0..1000).filter(|n| admit(format!("2001:db8:0:{n:x}::"))).count();
        assert_eq!(admitted, 100 + 3);
        assert!(admit("2001:db9::".to_owned()) && admit("192.0.2.1".to_owned()));
        assert_eq!((counter.addresses.len(), counter.networks.len()), (100, 3));
        clock.advance(Duration::from_secs(90));
        assert!(admit("192.0.2.1".to_owned()));
        assert_eq!(
            (counter.addresses.len(), counter.networks.len()),
            (1, 0),
            "quiet addresses are remembered"
        );
    }

    #[test]
    fn pages_and_programs_at_one_address_have_separate_limits() {
        let three = NonZeroU32::new(3).unwrap();
        for most_addresses in [100, 0] {
            let counter = Counter::new(three, most_addresses, FakeRelativeClock::default());
            let admitted = |source| (0..10).filter(|_| counter.admit(source).is_ok()).count();
            let source = program("192.0.2.1");
            assert_eq!(admitted(Source { page: true, ..source }), 3);
            assert_eq!(admitted(source), 3);
            assert_eq!((admitted(Source { page: true, ..source }), admitted(source)), (0, 0));
        }
    }

    fn program(address: &str) -> Source {
        Source { address: address.parse().unwrap(), page: false }
    }
}
