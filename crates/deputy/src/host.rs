//! The seam between Deputy and the machine it runs on.
//!
//! A host gives a clock, randomness, storage of expiring records, outgoing HTTP, counts of requests by address, and a
//! place to finish work whose caller has gone. Everything else is shared, so that two hosts cannot drift apart. Everything here is `Send`; a
//! single-threaded host asserts that once, in its adapter.

use std::{
    fmt,
    future::Future,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::encoding::hex;
pub use crate::types::public_address::is_public;

/// A boxed future, so that hosts can be trait objects and the core is compiled once.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the core needs of a machine.
pub trait Host: Send + Sync + 'static {
    /// The wall clock. Read once per request and passed on as a value.
    fn now(&self) -> Timestamp;

    /// Fills `buffer` from a cryptographically secure source. A host that cannot must abort.
    fn fill_random(&self, buffer: &mut [u8]);

    /// Sends a request and reads the whole answer. Never follows redirects, never sends cookies, ends at the deadline
    /// and at the size limit of `limits`.
    fn fetch(
        &self,
        request: http::Request<Bytes>,
        limits: FetchLimits,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, FetchError>>;

    /// Completes after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Runs `work` to its end even when the request that started it is dropped: a client that hangs up must not lose
    /// a refresh token that `PingOne` has already rotated.
    fn detach(&self, work: BoxFuture<'static, ()>);

    /// Counts a request to `endpoint` from `source`, of which `per_minute` are admitted. Counts are kept for as long as
    /// they matter and in a bounded place; a host that has lost them admits.
    fn admit(
        &self,
        endpoint: Endpoint,
        source: Source,
        per_minute: NonZeroU32,
    ) -> BoxFuture<'_, Result<(), RetryAfter>>;

    /// How much this host serves at a time, over all users.
    fn capacity(&self) -> Capacity {
        Capacity::default()
    }

    /// Completes when the host is about to stop and only finishes what is under way. By default it never does.
    fn stopping(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }

    /// The store of records.
    fn store(&self) -> &dyn Store;
}

/// How much a host serves at a time, over all users. The defaults are those of a host that bounds connections by itself,
/// and has 128 MB for everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Requests to the MCP endpoint.
    pub requests: usize,
    /// Those of them whose response is a stream that stays open.
    pub streams: usize,
    /// Bytes of their bodies, and of responses of the API to them.
    pub bytes: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { requests: usize::MAX, streams: usize::MAX, bytes: 64 * 1024 * 1024 }
    }
}

/// Counts the bytes of a response while they arrive, where a request carries one in its extensions.
///
/// ```
/// use deputy::host::Meter;
///
/// let meter = Meter::new(|bytes| bytes <= 1024);
/// assert!(meter.takes(1024));
/// assert!(!meter.takes(1025));
/// ```
#[derive(Clone)]
pub struct Meter(Arc<dyn Fn(usize) -> bool + Send + Sync>);

impl Meter {
    /// A meter that asks `takes` about each part.
    pub fn new(takes: impl Fn(usize) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(takes))
    }

    /// Whether `bytes` more may be kept. If not, the host breaks the exchange off with [`FetchError::TooMany`].
    pub fn takes(&self, bytes: usize) -> bool {
        (self.0)(bytes)
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}

/// Where a request comes from. A host that knows puts it into the request's extensions; requests without it are not
/// counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Whom the address stands for. A household that speaks IPv6 has 2⁷² addresses: networks of 56 bits are what
    /// providers give.
    ///
    /// ```
    /// use deputy::host::ClientAddress;
    ///
    /// let source = |address: &str| ClientAddress(address.parse().unwrap()).source();
    /// assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:ff::1"));
    /// assert_eq!(source("::ffff:192.0.2.1").to_string(), "192.0.2.1");
    /// ```
    pub fn source(self) -> IpAddr {
        match self.0.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d & 0xff00, 0, 0, 0, 0).into()
            }
            address => address,
        }
    }
}

/// In the extensions of a request: the host itself reads what remains of the body, so that the client gets the response
/// although it is still sending (RFC 9112 §9.6).
#[derive(Clone, Copy, Debug)]
pub struct DrainedByHost;

/// By whom a request is counted. What pages of other sites have a browser send is counted apart, so that a page that
/// people behind an address have open can use up what such pages may ask there, and not what programs may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// Where the request comes from.
    pub address: IpAddr,
    /// Whether a browser says that a page of another site made it. No page can have a browser say otherwise. A program
    /// can say what it likes, and gains a second limit that is no larger than the first.
    pub page: bool,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, page } = self;
        write!(f, "{address}{}", if *page { " (pages)" } else { "" })
    }
}

/// What strangers can ask for, counted by the address that they ask from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `GET /authorize`
    Authorize,
    /// `POST /register`
    Register,
    /// `POST /token` and `POST /revoke`
    Token,
}

/// A request is one too many. The next may come after so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter(pub u64);

/// Records that expire, under four verbs.
///
/// A record whose `expires_at` is not after `now` does not exist for any verb, whether or not it has been removed.
/// When a verb answers, what it did is durable.
pub trait Store: Send + Sync {
    /// Reads a record. For [`Key::Client`] the answer may be stale by about a minute; for every other key it is the
    /// last one written.
    fn get<'a>(&'a self, key: &'a Key, now: Timestamp) -> BoxFuture<'a, Result<Option<Record>, StoreError>>;

    /// Writes a record, whatever was there.
    fn put<'a>(
        &'a self,
        key: &'a Key,
        value: Vec<u8>,
        expires_at: Timestamp,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Writes a record if it is still at version `expected` (`None`: if there is no record). Answers whether it did.
    /// Of any number of concurrent calls with the same `expected`, one succeeds.
    fn replace<'a>(
        &'a self,
        key: &'a Key,
        expected: Option<Version>,
        value: Vec<u8>,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Reads a record and removes it. Of any number of concurrent calls, one gets it.
    fn take<'a>(&'a self, key: &'a Key, now: Timestamp) -> BoxFuture<'a, Result<Option<Record>, StoreError>>;

    /// Whether records can be read and written now, within a few seconds. Asked by health checks, once a second at most.
    ///
    /// By default it takes a record that is never there, which uses the way of writes and writes nothing.
    fn probe(&self, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.take(&Key::Login(Digest([0; 32])), now).await.map(|_| ()) })
    }
}

/// The name of a record. An enum, so that a host's choice of backend for each kind is an exhaustive `match`.
///
/// ```
/// use deputy::host::{GrantId, Key};
///
/// let key = Key::Grant(GrantId([0xab; 16]));
/// assert_eq!(format!("{}:{}", key.kind(), key.name()), "grant:abababababababababababababababab");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A request that waits for the person's approval, by the digest of the page's handle. Lives 10 minutes.
    Approval(Digest),
    /// A registered client, by its `client_id`. Lives 30 days, and 90 days or more from each use by a
    /// person; reads may be stale.
    Client(String),
    /// What one finished login created. Lives as long as its refresh token.
    Grant(GrantId),
    /// A login under way at `PingOne`, by the digest of `state`. Lives 10 minutes.
    Login(Digest),
    /// A client's reply to a question of the server, in one of a few places that a grant has. Lives 10 minutes.
    Reply(Digest),
    /// The index of one person's grants, by the digest of issuer and `sub`.
    User(Digest),
}

impl Key {
    /// The kind of record, in lower case: a table name, a prefix, a label of a metric.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Approval(_) => "approval",
            Self::Client(_) => "client",
            Self::Grant(_) => "grant",
            Self::Login(_) => "login",
            Self::Reply(_) => "reply",
            Self::User(_) => "user",
        }
    }

    /// The name within its kind: lower-case hexadecimal for digests and grants, the `client_id` for clients.
    pub fn name(&self) -> String {
        match self {
            Self::Approval(digest) | Self::Login(digest) | Self::Reply(digest) | Self::User(digest) => {
                hex(&digest.0)
            }
            Self::Client(id) => id.clone(),
            Self::Grant(id) => hex(&id.0),
        }
    }
}

/// A SHA-256 digest, used as a name or kept instead of a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest(#[serde(with = "crate::encoding::base64url")] pub [u8; 32]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({}…)", hex(&self.0[..4]))
    }
}

/// The random name of a grant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GrantId(#[serde(with = "crate::encoding::base64url")] pub [u8; 16]);

impl fmt::Debug for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// A stored record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What was written.
    pub value: Vec<u8>,
    /// Changes with every write of the record.
    pub version: Version,
    /// When it ceases to exist.
    pub expires_at: Timestamp,
}

/// Which write of a record this is. Opaque; a record that was removed and written again has a version that no earlier
/// reader has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u64);

/// Seconds since 1970-01-01 00:00:00 UTC.
///
/// ```
/// use deputy::host::Timestamp;
///
/// let now = Timestamp(1_000_000);
/// let later = now.plus(60);
/// assert_eq!((later.since(now), now.since(later)), (60, 0));
/// assert_eq!((later.ahead_of(now), now.ahead_of(later)), (60, -60));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub u64);

/// Seconds of a day.
pub(crate) const DAY: u64 = 24 * 3600;

impl Timestamp {
    /// The moment `seconds` later.
    #[must_use]
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds by which this moment is later than `other`; negative if it is earlier.
    pub const fn ahead_of(self, other: Self) -> i64 {
        self.0.cast_signed().saturating_sub(other.0.cast_signed())
    }

    /// Whether this moment, which was set `longest` seconds ahead at most, is still to come. A moment that is much further
    /// ahead was set by a clock that has been set back since, and nothing waits for it.
    ///
    /// ```
    /// # use deputy::host::Timestamp;
    /// let now = Timestamp(1_000_000);
    /// assert!(now.plus(60).is_awaited(now, 60));
    /// assert!(!now.plus(86_400).is_awaited(now, 60));
    /// ```
    pub const fn is_awaited(self, now: Self, longest: u64) -> bool {
        // The clocks of two replicas may differ.
        const SKEW: u64 = 120;
        self.0 > now.0 && self.since(now) <= longest.saturating_add(SKEW)
    }

    /// Seconds from `earlier` to this moment, or 0.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// How long and how large an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchLimits {
    /// From the start of the connection to the last byte.
    pub deadline: Duration,
    /// Bytes of the body.
    pub max_bytes: usize,
    /// Which hosts.
    pub reach: Reach,
}

/// Which hosts a request may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Any: the operator has named it.
    Anywhere,
    /// Those that anybody could reach: a stranger has named it. The host resolves the name once, refuses it if any
    /// address is not [`is_public`], and connects to what it has judged.
    PublicInternet,
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No connection, or it broke. The text is for the log and names no secret.
    #[error("connection failed: {0}")]
    Connection(String),
    /// The answer did not arrive whole before the deadline.
    #[error("no whole answer before the deadline")]
    Deadline,
    /// The host has an address that is not on the public Internet, and no connection was made.
    #[error("the host is not on the public Internet")]
    NotPublic,
    /// The answer is larger than allowed.
    #[error("the answer is larger than allowed")]
    TooLarge,
    /// The [`Meter`] of the request refused more bytes.
    #[error("too many bytes of answers are kept at a time")]
    TooMany,
}

/// Storage failed. The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("storage failed: {0}")]
pub struct StoreError(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_of_56_bits_is_one_source_and_a_mapped_address_is_the_address() {
        let source = |text: &str| ClientAddress(text.parse().unwrap()).source();
        assert_eq!(source("2001:db8:1:2:3:4:5:6"), source("2001:db8:1:2::1"));
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:ff::1"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:102::1"));
        assert_eq!(source("::ffff:192.0.2.1").to_string(), "192.0.2.1");
        assert!(source("::ffff:127.0.0.1").is_loopback());
        assert!(source("::1").is_loopback());
    }
}
