//! The places of connections, and how many of them one source may take.
//!
//! When every place is taken, a few more connections are let into an anteroom. Their requests wait for a place there, but
//! health checks, which are answered at once: a supervisor must not take a busy server for a dead one.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use deputy::host::ClientAddress;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::Limits;

/// A place for each connection that may be open, of which a source has at most a quarter.
pub(super) struct Places {
    free: Arc<Semaphore>,
    anteroom: Arc<Semaphore>,
    /// Requests that may wait in the anteroom, so that others can come in.
    waiting: Semaphore,
    wanted: Notify,
    share: usize,
    by_source: Arc<Mutex<HashMap<IpAddr, usize>>>,
    /// Who connects is the operator's proxy, and speaks for all.
    proxied: bool,
}

impl Places {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            free: Arc::new(Semaphore::new(limits.connections)),
            anteroom: Arc::new(Semaphore::new(ANTEROOM)),
            waiting: Semaphore::new(ANTEROOM / 2),
            wanted: Notify::new(),
            share: (limits.connections / 4).max(1),
            by_source: Arc::default(),
            proxied: limits.client_address_header.is_some(),
        }
    }

    /// Waits for a place, or for one in the anteroom, for a connection from `peer`. Returns `None` at once when the source
    /// has its share already, so that it cannot hold up the connections behind it.
    pub(super) async fn take(&self, peer: IpAddr) -> Option<Place> {
        let share = match self.stranger(peer) {
            Some(source) => Some(self.share_of(source)?),
            None => None,
        };
        let seat = if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            Seat::Own(permit)
        } else {
            tokio::select! {
                permit = Arc::clone(&self.free).acquire_owned() => Seat::Own(permit.ok()?),
                permit = Arc::clone(&self.anteroom).acquire_owned() => Seat::Anteroom(permit.ok()?),
            }
        };
        Some(Place { seat: Mutex::new(seat), _share: share })
    }

    /// Waits for a place where `place` is one in the anteroom. `false`: too many wait already.
    pub(super) async fn enter(&self, place: &Place) -> bool {
        if place.is_own() {
            return true;
        }
        let Ok(_waiting) = self.waiting.try_acquire() else { return false };
        self.wanted.notify_one();
        let Ok(permit) = Arc::clone(&self.free).acquire_owned().await else { return false };
        *place.seat.lock().unwrap_or_else(PoisonError::into_inner) = Seat::Own(permit);
        true
    }

    /// Completes when a request waits for the place of an idle connection.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
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
    seat: Mutex<Seat>,
    _share: Option<Share>,
}

enum Seat {
    Anteroom(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit),
    Own(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit),
}

impl Place {
    /// Whether it is one of the connections that are served, and not one in the anteroom.
    pub(super) fn is_own(&self) -> bool {
        matches!(&*self.seat.lock().unwrap_or_else(PoisonError::into_inner), Seat::Own(_))
    }
}

/// Connections in the anteroom.
const ANTEROOM: usize = 32;

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
        assert!(places.are_taken() && held.is_own());
        assert!(at_once(&places, "192.0.2.1").is_none());
        let second = at_once(&places, "192.0.2.2").expect("a place in the anteroom");
        let mut waiting = Box::pin(places.enter(&second));
        assert_eq!(waiting.as_mut().now_or_never(), None);
        assert!(at_once(&places, "192.0.2.2").is_none());
        drop(held);
        assert_eq!(waiting.now_or_never(), Some(true));
        assert!(second.is_own());
        drop(second);
        assert!(places.by_source.lock().unwrap().is_empty());
    }

    #[test]
    fn a_waiting_request_leaves_room_in_the_anteroom() {
        let places = of(1);
        let _held = at_once(&places, "127.0.0.1").expect("a place");
        let room: Vec<_> = (0..ANTEROOM).map(|_| at_once(&places, "127.0.0.1").expect("a place")).collect();
        let mut waiting: Vec<_> =
            room.iter().take(ANTEROOM / 2).map(|place| Box::pin(places.enter(place))).collect();
        assert!(waiting.iter_mut().all(|request| request.as_mut().now_or_never().is_none()));
        assert_eq!(places.enter(&room[ANTEROOM / 2]).now_or_never(), Some(false));
    }

    #[test]
    fn who_stops_waiting_gives_back_their_share() {
        let places = of(1);
        let _held = at_once(&places, "192.0.2.1").expect("a place");
        drop(at_once(&places, "192.0.2.2").expect("a place in the anteroom"));
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
