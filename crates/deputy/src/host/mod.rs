//! The seam between Deputy and the platform it runs on.
//!
//! A [`Host`] is a set of parts with one purpose each: clock, randomness, outgoing HTTP, store, index of grants, rate limits,
//! background tasks and audit log. Everything else is shared, so that two hosts cannot drift apart. A test replaces one part and keeps the others:
//!
//! ```
//! use std::sync::Arc;
//!
//! use deputy::host::{BoxFuture, Clock, Host, Timestamp};
//!
//! struct Noon;
//!
//! impl Clock for Noon {
//!     fn now(&self) -> Timestamp {
//!         Timestamp(1_767_225_600)
//!     }
//!
//!     fn sleep(&self, _: std::time::Duration) -> BoxFuture<'static, ()> {
//!         Box::pin(std::future::ready(()))
//!     }
//! }
//!
//! fn at_noon(host: &Host) -> Host {
//!     Host { clock: Arc::new(Noon), ..host.clone() }
//! }
//! ```
//!
//! Everything here is `Send`; a single-threaded host asserts that once, in its adapter.

mod audit;
mod grant_index;
mod http_client;
mod rate_limiter;
mod store;
mod time;

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use tracing::{Instrument as _, Span};

use crate::log_context;

pub use crate::types::public_address::is_public;
pub use audit::{
    AuditEvent, AuditLog, AuditedAccess, AuditedClient, CallOutcome, Decision, EndedBy, LoginStep,
    NoAuditLog, PingOneEvent, RefusedBecause,
};
pub use grant_index::{GrantEntry, GrantFilter, GrantIndex, Page};
pub use http_client::{FetchError, FetchLimits, HttpClient, Meter, Reach};
pub use rate_limiter::{ClientAddress, EndpointKind, RateLimiter, RetryAfter, Source};
pub use store::{Digest, GrantId, Operation, Outcome, Record, RecordKey, Store, StoreError, Version};
pub(crate) use time::DAY;
pub use time::Timestamp;

/// A boxed future, so that the parts can be trait objects and the core is compiled once.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The parts of a platform. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Host {
    /// The wall clock, and timers.
    pub clock: Arc<dyn Clock>,
    /// Outgoing HTTP.
    pub http: Arc<dyn HttpClient>,
    /// Cryptographically secure randomness.
    pub random: Arc<dyn SecureRandom>,
    /// Rate limits by remote address.
    pub rate_limiter: Arc<dyn RateLimiter>,
    /// Stored records.
    pub store: Arc<dyn Store>,
    /// The index of all grants.
    pub grant_index: Arc<dyn GrantIndex>,
    /// Work that outlives its request.
    pub tasks: Arc<dyn Tasks>,
    /// The audit log.
    pub audit: Arc<dyn AuditLog>,
    /// The bounds of concurrent work.
    pub capacity: Capacity,
}

/// The wall clock, a monotonic clock, and timers.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// The time since a fixed moment, for durations. It should never go back, but the default does when the wall clock,
    /// whose seconds it uses, is set back.
    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.now().0)
    }

    /// Completes after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// Cryptographically secure randomness.
pub trait SecureRandom: Send + Sync {
    /// Fills `buffer`, or aborts the process: nothing is safe without randomness.
    fn fill(&self, buffer: &mut [u8]);
}

/// Work that outlives its request.
pub trait Tasks: Send + Sync {
    /// Runs `work` to its end even when the request that started it is dropped: a client that hangs up must not lose a refresh
    /// token that `PingOne` has already rotated.
    fn detach(&self, work: BoxFuture<'static, ()>);

    /// Completes when the host is about to stop and only finishes what is under way. By default it never does.
    fn stopping(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }

    /// Whether the host is to stop, and serves only until its clients have found another process. By default it never is.
    fn is_draining(&self) -> bool {
        false
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl Host {
    /// Runs `work` as [`Tasks::detach`] does.
    pub fn detach(&self, work: BoxFuture<'static, ()>) {
        // The work belongs to the request, in the log and in its trace.
        let work = Box::pin(log_context::carried(work));
        let span = Span::current();
        self.tasks.detach(if span.is_none() { work } else { Box::pin(work.instrument(span)) });
    }
}

/// The bounds of concurrent work for all users together. The defaults are for a platform that bounds connections itself
/// and has 128 MB of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Requests to the MCP endpoint.
    pub requests: usize,
    /// Requests to the MCP endpoint whose response is a stream that stays open.
    pub streams: usize,
    /// Bytes of the bodies of these requests, and of the API's responses to their tools.
    pub bytes: usize,
    /// Operations on records that one delivery of `PingOne`'s webhook, or one export of records, may cause. The rest waits for
    /// the next one.
    pub operations: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        // The free plan of Workers has 50 subrequests for a request.
        Self { requests: usize::MAX, streams: usize::MAX, bytes: 64 * 1024 * 1024, operations: 50 }
    }
}

/// An extension of a request: the host reads the rest of the body, so that a client that is still sending gets the
/// response (RFC 9112 §9.6).
#[derive(Clone, Copy, Debug)]
pub struct BodyReadByHost;
