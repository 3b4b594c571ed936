//! The places of connections, and how many of them one source may take.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use deputy::host::ClientAddress;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Limits;

/// A place for each connection that may be open, of which a source has at most a quarter.
pub(super) struct Places {
    free: Arc<Semaphore>,
    share: usize,
    by_source: Arc<Mutex<HashMap<IpAddr, usize>>>,
    /// Who connects is the operator's proxy, and speaks for all.
    proxied: bool,
}

impl Places {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            free: Arc::new(Semaphore::new(limits.connections)),
            share: (limits.connections / 4).max(1),
            by_source: Arc::default(),
            proxied: limits.client_address_header.is_some(),
        }
    }

    /// Waits for a place for a connection from `peer`. There is none, at once, if its source has its share already: who
    /// comes behind it in the queue is not to wait for its sake.
    pub(super) async fn take(&self, peer: IpAddr) -> Option<Place> {
        let share = match self.stranger(peer) {
            Some(source) => Some(self.share_of(source)?),
            None => None,
        };
        let permit = Arc::clone(&self.free).acquire_owned().await.ok()?;
        Some(Place { _permit: permit, _share: share })
    }

    /// Whether others would have to wait.
    pub(super) fn are_taken(&self) -> bool {
        self.free.available_permits() == 0
    }

    /// Whose share a connection from `peer` is counted in. A proxy on this computer has none, whether or not it says for
    /// whom it speaks: one stranger could use up what all have.
    fn stranger(&self, peer: IpAddr) -> Option<IpAddr> {
        let source = ClientAddress(peer).source();
        (!self.proxied && !source.is_loopback()).then_some(source)
    }

    fn share_of(&self, source: IpAddr) -> Option<Share> {
        let mut by_source = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = by_source.entry(source).or_default();
        if *taken >= self.share {
            return None;
        }
        *taken += 1;
        Some(Share { by_source: Arc::clone(&self.by_source), source })
    }
}

/// The place of one connection. It is free again when this is dropped.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _share: Option<Share>,
}

/// One more of a source's, also while it waits for a place.
struct Share {
    by_source: Arc<Mutex<HashMap<IpAddr, usize>>>,
    source: IpAddr,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut by_source = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = by_source.get_mut(&self.source) {
            *taken -= 1;
            if *taken == 0 {
                by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use http::HeaderName;

    use super::*;

    #[test]
    fn a_source_has_a_quarter_of_the_places_and_others_have_theirs() {
        let places = of(8);
        let mut held = vec![at_once(&places, "192.0.2.1").expect("a place")];
        // The same source, as a socket for both protocols names it.
        held.push(at_once(&places, "::ffff:192.0.2.1").expect("a place"));
        assert!(at_once(&places, "192.0.2.1").is_none());
        held.extend(["2001:db8::1", "2001:db8:0:ff::1"].map(|peer| at_once(&places, peer).expect("a place")));
        assert!(at_once(&places, "2001:db8:0:1::1").is_none());
        assert_eq!(places.free.available_permits(), 4, "who was refused holds a place");
        held.remove(0);
        assert!(at_once(&places, "192.0.2.1").is_some());
        drop(held);
        assert!(places.by_source.lock().unwrap().is_empty());
        assert_eq!(places.free.available_permits(), 8);
    }

    #[test]
    fn of_few_places_a_source_has_one() {
        let places = of(2);
        let _held = at_once(&places, "192.0.2.1").expect("a place");
        assert!(at_once(&places, "192.0.2.1").is_none());
        assert!(at_once(&places, "192.0.2.2").is_some());
    }

    #[test]
    fn a_source_with_its_share_is_refused_also_while_others_wait() {
        let places = of(1);
        let held = at_once(&places, "192.0.2.1").expect("a place");
        assert!(places.are_taken());
        assert!(places.take(peer("192.0.2.1")).now_or_never().expect("an answer at once").is_none());
        let mut waiting = Box::pin(places.take(peer("192.0.2.2")));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(places.take(peer("192.0.2.2")).now_or_never().expect("an answer at once").is_none());
        drop(held);
        assert!(waiting.now_or_never().expect("an answer at once").is_some());
        assert!(places.by_source.lock().unwrap().is_empty());
    }

    #[test]
    fn who_stops_waiting_gives_back_their_share() {
        let places = of(1);
        let _held = at_once(&places, "192.0.2.1").expect("a place");
        assert!(places.take(peer("192.0.2.2")).now_or_never().is_none());
        assert_eq!(places.by_source.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_proxy_may_take_every_place() {
        let named = Some(HeaderName::from_static("x-forwarded-for"));
        let behind_one =
            Places::new(&Limits { connections: 8, client_address_header: named, ..Limits::default() });
        for (places, peer) in [(of(8), "127.0.0.2"), (of(8), "::1"), (behind_one, "192.0.2.1")] {
            let held: Vec<_> = (0..8).map(|_| at_once(&places, peer).expect("a place")).collect();
            assert!(places.are_taken());
            drop(held);
        }
    }

    fn of(connections: usize) -> Places {
        Places::new(&Limits { connections, ..Limits::default() })
    }

    fn at_once(places: &Places, from: &str) -> Option<Place> {
        places.take(peer(from)).now_or_never().expect("an answer at once")
    }

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
