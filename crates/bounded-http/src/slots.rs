//! Slots for connections, and the quota of one source.
//!
//! While every slot is taken, a few more connections are accepted as overflow. Their requests wait for a slot, except health
//! checks, which get a response without one: a supervisor must not mistake a busy server for a dead one.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, futures::Notified};

/// A slot for each connection. One source may hold a quarter of them.
pub(crate) struct ConnectionSlots {
    regular: Arc<Semaphore>,
    overflow: Arc<Semaphore>,
    /// Overflow requests that may wait for a slot. The rest of the overflow is left to health checks.
    waiting: Semaphore,
    wanted: Notify,
    quota: usize,
    by_source: Arc<Mutex<HashMap<IpAddr, usize>>>,
    /// Every peer is a proxy, which has no quota.
    proxied: bool,
}

impl ConnectionSlots {
    pub(crate) fn new(connections: usize, proxied: bool) -> Self {
        Self {
            regular: Arc::new(Semaphore::new(connections)),
            overflow: Arc::new(Semaphore::new(OVERFLOW)),
            waiting: Semaphore::new(OVERFLOW / 2),
            wanted: Notify::new(),
            quota: (connections / 4).max(1),
            by_source: Arc::default(),
            proxied,
        }
    }

    /// Waits for a slot for a connection from `peer`, regular or overflow. Returns `None` at once when its source is over
    /// quota, so that it cannot block the accept queue.
    pub(crate) async fn acquire(&self, peer: IpAddr) -> Option<Slot> {
        let quota = match self.remote_source(peer) {
            Some(source) => Some(self.count(source)?),
            None => None,
        };
        let permit = if let Ok(permit) = Arc::clone(&self.regular).try_acquire_owned() {
            Permit::Regular(permit)
        } else {
            tokio::select! {
                permit = Arc::clone(&self.regular).acquire_owned() => Permit::Regular(permit.ok()?),
                permit = Arc::clone(&self.overflow).acquire_owned() => Permit::Overflow(permit.ok()?),
            }
        };
        Some(Slot { permit: Mutex::new(permit), _quota: quota })
    }

    /// Waits until `slot` is a regular one. Returns `false` at once when too many requests wait already.
    pub(crate) async fn promote(&self, slot: &Slot) -> bool {
        if !slot.is_overflow() {
            return true;
        }
        let Ok(_waiting) = self.waiting.try_acquire() else { return false };
        self.wanted.notify_one();
        let Ok(permit) = Arc::clone(&self.regular).acquire_owned().await else { return false };
        *lock(&slot.permit) = Permit::Regular(permit);
        true
    }

    /// Completes when a request waits for the slot of an idle connection.
    pub(crate) fn wanted(&self) -> Notified<'_> {
        self.wanted.notified()
    }

    /// Whether every regular slot is taken.
    pub(crate) fn are_full(&self) -> bool {
        self.regular.available_permits() == 0
    }

    /// Source whose quota a connection from `peer` counts against. A loopback peer has none: it may be a proxy, and one
    /// client could then use up the quota of all.
    fn remote_source(&self, peer: IpAddr) -> Option<IpAddr> {
        let source = quota_source(peer);
        (!self.proxied && !source.is_loopback()).then_some(source)
    }

    fn count(&self, source: IpAddr) -> Option<SourceQuota> {
        let mut by_source = lock(&self.by_source);
        let held = by_source.entry(source).or_default();
        if *held >= self.quota {
            return None;
        }
        *held += 1;
        Some(SourceQuota { by_source: Arc::clone(&self.by_source), source })
    }
}

/// The source of an address: of IPv6 the network of 56 bits, which is what providers assign to one household.
fn quota_source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d & 0xff00, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

/// The slot of one connection, until it is dropped.
pub(crate) struct Slot {
    permit: Mutex<Permit>,
    _quota: Option<SourceQuota>,
}

enum Permit {
    Overflow(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit),
    Regular(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit),
}

impl Slot {
    pub(crate) fn is_overflow(&self) -> bool {
        matches!(&*lock(&self.permit), Permit::Overflow(_))
    }
}

/// A connection in the quota of its source, also while it waits for a slot.
struct SourceQuota {
    by_source: Arc<Mutex<HashMap<IpAddr, usize>>>,
    source: IpAddr,
}

impl Drop for SourceQuota {
    fn drop(&mut self) {
        let mut by_source = lock(&self.by_source);
        if let Some(held) = by_source.get_mut(&self.source) {
            *held -= 1;
            if *held == 0 {
                by_source.remove(&self.source);
            }
        }
    }
}

/// No code panics while it holds one of these locks.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connections beyond the limit.
const OVERFLOW: usize = 32;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn source_beyond_its_quarter_is_refused_and_others_are_not() {
        let slots = ConnectionSlots::new(8, false);
        let mut held = vec![acquired(&slots, "192.0.2.1").expect("a slot")];
        // The same source, as a dual-stack socket shows it.
        held.push(acquired(&slots, "::ffff:192.0.2.1").expect("a slot"));
        assert!(acquired(&slots, "192.0.2.1").is_none());
        held.extend(["2001:db8::1", "2001:db8:0:ff::1"].map(|peer| acquired(&slots, peer).expect("a slot")));
        assert!(acquired(&slots, "2001:db8:0:1::1").is_none());
        assert_eq!(slots.regular.available_permits(), 4, "a refused connection holds a slot");
        held.remove(0);
        assert!(acquired(&slots, "192.0.2.1").is_some());
        drop(held);
        assert!(slots.by_source.lock().unwrap().is_empty());
        assert_eq!(slots.regular.available_permits(), 8);
    }

    #[test]
    fn source_may_hold_one_of_few_slots() {
        let slots = ConnectionSlots::new(2, false);
        let _held = acquired(&slots, "192.0.2.1").expect("a slot");
        assert!(acquired(&slots, "192.0.2.1").is_none());
        assert!(acquired(&slots, "192.0.2.2").is_some());
    }

    #[test]
    fn source_over_quota_is_refused_while_others_wait() {
        let slots = ConnectionSlots::new(1, false);
        let held = acquired(&slots, "192.0.2.1").expect("a slot");
        assert!(slots.are_full() && !held.is_overflow());
        assert!(acquired(&slots, "192.0.2.1").is_none());
        let second = acquired(&slots, "192.0.2.2").expect("an overflow slot");
        let mut waiting = Box::pin(slots.promote(&second));
        assert_eq!(waiting.as_mut().now_or_never(), None);
        assert!(acquired(&slots, "192.0.2.2").is_none());
        drop(held);
        assert_eq!(waiting.now_or_never(), Some(true));
        assert!(!second.is_overflow());
        drop(second);
        assert!(slots.by_source.lock().unwrap().is_empty());
    }

    #[test]
    fn waiting_requests_leave_half_of_the_overflow_free() {
        let slots = ConnectionSlots::new(1, false);
        let _held = acquired(&slots, "127.0.0.1").expect("a slot");
        let overflow: Vec<_> =
            (0..OVERFLOW).map(|_| acquired(&slots, "127.0.0.1").expect("an overflow slot")).collect();
        let mut waiting: Vec<_> =
            overflow.iter().take(OVERFLOW / 2).map(|slot| Box::pin(slots.promote(slot))).collect();
        assert!(waiting.iter_mut().all(|request| request.as_mut().now_or_never().is_none()));
        assert_eq!(slots.promote(&overflow[OVERFLOW / 2]).now_or_never(), Some(false));
    }

    #[test]
    fn dropped_slot_frees_the_quota_of_its_source() {
        let slots = ConnectionSlots::new(1, false);
        let _held = acquired(&slots, "192.0.2.1").expect("a slot");
        drop(acquired(&slots, "192.0.2.2").expect("an overflow slot"));
        assert_eq!(slots.by_source.lock().unwrap().len(), 1);
    }

    #[test]
    fn proxy_may_hold_every_slot() {
        let of = |proxied| ConnectionSlots::new(8, proxied);
        for (slots, peer) in [(of(false), "127.0.0.2"), (of(false), "::1"), (of(true), "192.0.2.1")] {
            let held: Vec<_> = (0..8).map(|_| acquired(&slots, peer).expect("a slot")).collect();
            assert!(slots.are_full());
            drop(held);
        }
    }

    #[test]
    fn ipv6_network_of_56_bits_is_one_source() {
        let source = |text: &str| quota_source(text.parse().unwrap());
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:ff::1"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:102::1"));
        assert_eq!(source("::ffff:192.0.2.1").to_string(), "192.0.2.1");
        assert!(source("::1").is_loopback());
    }

    fn acquired(slots: &ConnectionSlots, peer: &str) -> Option<Slot> {
        slots.acquire(peer.parse().unwrap()).now_or_never().expect("no waiting")
    }
}
