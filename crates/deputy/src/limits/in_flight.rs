//! The concurrent requests of one user, and of all users together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{host::Capacity, sync::lock};

/// The concurrent requests to the MCP endpoint of this process, per user and in total.
#[derive(Clone, Debug)]
pub(crate) struct UserConcurrency(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    of_user: InFlight,
    of_all: InFlight,
    loads: Mutex<AllInFlight>,
}

#[derive(Debug, Default)]
pub(super) struct AllInFlight {
    pub(super) all: InFlight,
    pub(super) users: HashMap<String, InFlight>,
}

/// The limit that a request exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    /// The limit of all users together.
    All,
    /// The limit of one user.
    User,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct InFlight {
    requests: usize,
    streams: usize,
    /// Bytes of requests, and of responses of the API.
    pub(super) bytes: usize,
}

impl InFlight {
    pub(super) const REQUEST: Self = Self { requests: 1, streams: 0, bytes: 0 };
    pub(super) const STREAM: Self = Self { requests: 0, streams: 1, bytes: 0 };

    pub(super) const fn of_bytes(bytes: usize) -> Self {
        Self { requests: 0, streams: 0, bytes }
    }

    const fn plus(self, more: Self) -> Self {
        Self {
            requests: self.requests + more.requests,
            streams: self.streams + more.streams,
            bytes: self.bytes + more.bytes,
        }
    }

    const fn minus(self, less: Self) -> Self {
        Self {
            requests: self.requests - less.requests,
            streams: self.streams - less.streams,
            bytes: self.bytes - less.bytes,
        }
    }

    const fn fits(self, limit: Self) -> bool {
        self.requests <= limit.requests && self.streams <= limit.streams && self.bytes <= limit.bytes
    }
}

impl UserConcurrency {
    /// Limits the total to `capacity`. One user may have a part of it.
    pub(crate) fn new(capacity: Capacity) -> Self {
        let Capacity { requests, streams, bytes, .. } = capacity;
        let of_user = InFlight {
            requests: AT_A_TIME,
            streams: (streams / 8).clamp(1, AT_A_TIME),
            bytes: BYTES_AT_A_TIME.min(bytes),
        };
        Self(Arc::new(Inner {
            of_user,
            of_all: InFlight { requests, streams, bytes },
            loads: Mutex::default(),
        }))
    }

    pub(super) fn claim(&self, user: &str) -> Claim {
        Claim { all: self.clone(), user: user.to_owned(), load: InFlight::default() }
    }

    pub(super) fn loads(&self) -> MutexGuard<'_, AllInFlight> {
        lock(&self.0.loads)
    }
}

/// The share of one request in the counts. Dropping it gives the share back.
#[derive(Debug)]
pub(super) struct Claim {
    all: UserConcurrency,
    user: String,
    pub(super) load: InFlight,
}

impl Claim {
    pub(super) fn add(&mut self, more: InFlight) -> Result<(), Excess> {
        let mut loads = self.all.loads();
        let user = loads.users.get(&self.user).copied().unwrap_or_default().plus(more);
        let all = loads.all.plus(more);
        if !user.fits(self.all.0.of_user) {
            return Err(Excess::User);
        }
        if !all.fits(self.all.0.of_all) {
            return Err(Excess::All);
        }
        loads.all = all;
        match loads.users.get_mut(&self.user) {
            Some(counted) => *counted = user,
            None => drop(loads.users.insert(self.user.clone(), user)),
        }
        self.load = self.load.plus(more);
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut loads = self.all.loads();
        loads.all = loads.all.minus(self.load);
        if let Some(user) = loads.users.get_mut(&self.user) {
            *user = user.minus(self.load);
            if *user == InFlight::default() {
                loads.users.remove(&self.user);
            }
        }
    }
}

/// Requests of one user at a time: several programs with streams, each with concurrent tool calls.
pub(super) const AT_A_TIME: usize = 64;

/// Bytes of one user at a time: four of the largest messages, or four of the largest responses of the API.
pub(super) const BYTES_AT_A_TIME: usize = 16 * 1024 * 1024;
