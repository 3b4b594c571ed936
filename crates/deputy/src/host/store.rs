//! Storage of expiring records.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{BoxFuture, Timestamp};
use crate::{
    encoding::{hex, unhex},
    types::Reference,
};

/// A store of records that expire. An implementation writes [`Store::execute`], and [`Store::sweep`] if nothing else removes
/// expired records; `docs/adding-a-store.md` walks through one.
///
/// A record whose `expires_at` is not after `now` does not exist for any operation, whether or not it has been removed. An
/// operation has taken effect durably when it completes. A store that fails reports that; it never reports "no record".
///
/// Counts and caches of this process (rate limits, requests of a user at a time, documents of PingOne) are not in the store.
pub trait Store: Send + Sync {
    /// Does one operation on one record, atomically.
    fn execute<'a>(
        &'a self,
        key: &'a RecordKey,
        operation: Operation,
    ) -> BoxFuture<'a, Result<Outcome, StoreError>>;

    /// [`Operation::Get`].
    fn get<'a>(
        &'a self,
        key: &'a RecordKey,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        Box::pin(async move { self.execute(key, Operation::Get { now }).await?.record() })
    }

    /// [`Operation::Put`].
    fn put<'a>(
        &'a self,
        key: &'a RecordKey,
        value: Vec<u8>,
        expires_at: Timestamp,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.execute(key, Operation::Put { value, expires_at }).await?.written().map(|_| ())
        })
    }

    /// [`Operation::Replace`]. Returns whether it wrote.
    fn replace<'a>(
        &'a self,
        key: &'a RecordKey,
        expected: Option<Version>,
        value: Vec<u8>,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.execute(key, Operation::Replace { expected, value, expires_at, now }).await?.written()
        })
    }

    /// [`Operation::Take`].
    fn take<'a>(
        &'a self,
        key: &'a RecordKey,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        Box::pin(async move { self.execute(key, Operation::Take { now }).await?.record() })
    }

    /// Whether records can be read and written now, within a few seconds. Health checks call it once a second at most.
    ///
    /// By default it takes a record that never exists, which uses the path of writes and writes nothing.
    fn probe(&self, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.take(&RecordKey::Login(GrantId([0; 16])), now).await.map(|_| ()) })
    }

    /// Removes some records that have expired by `now`, and returns how many. The host calls it every minute, and again while
    /// it returns more than 0. A store that expires its records by itself keeps the default.
    fn sweep(&self, now: Timestamp) -> BoxFuture<'_, Result<usize, StoreError>> {
        let _ = now;
        Box::pin(std::future::ready(Ok(0)))
    }
}

/// An operation on a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reads the record. For [`RecordKey::Client`] it may be stale by about a minute; for every other key it is the last one
    /// written.
    Get {
        /// The time of the request.
        now: Timestamp,
    },
    /// Writes the record unconditionally.
    Put {
        /// The value.
        value: Vec<u8>,
        /// When it expires.
        expires_at: Timestamp,
    },
    /// Writes the record if it still has the version `expected` (`None`: if there is no record). Of any number of concurrent
    /// calls with the same `expected`, one succeeds.
    Replace {
        /// The version that was read.
        expected: Option<Version>,
        /// The value.
        value: Vec<u8>,
        /// When it expires.
        expires_at: Timestamp,
        /// The time of the request.
        now: Timestamp,
    },
    /// Reads and removes the record. Of any number of concurrent calls, one gets it.
    Take {
        /// The time of the request.
        now: Timestamp,
    },
}

/// The result of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// [`Operation::Get`] and [`Operation::Take`]: the record, if it exists.
    Record(Option<Record>),
    /// [`Operation::Put`] and [`Operation::Replace`]: whether the record was written.
    Written(bool),
}

impl Outcome {
    fn record(self) -> Result<Option<Record>, StoreError> {
        match self {
            Self::Record(record) => Ok(record),
            Self::Written(_) => {
                Err(StoreError("the store returned the outcome of another operation".to_owned()))
            }
        }
    }

    fn written(self) -> Result<bool, StoreError> {
        match self {
            Self::Written(written) => Ok(written),
            Self::Record(_) => {
                Err(StoreError("the store returned the outcome of another operation".to_owned()))
            }
        }
    }
}

/// The name of a record. An enum, so that a store's choice of a place for each kind is an exhaustive `match`.
///
/// The approval, the login and the grant of one authorization request have the same [`GrantId`], and at most one of the
/// three exists at a time. So a store can keep them in one place.
///
/// ```
/// use deputy::host::{GrantId, RecordKey};
///
/// let key = RecordKey::Grant(GrantId([0xab; 16]));
/// assert_eq!(format!("{}:{}", key.kind(), key.name()), "grant:abababababababababababababababab");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RecordKey {
    /// An authorization request that waits for the user's approval. Lives 10 minutes.
    Approval(GrantId),
    /// The use of a client's signed assertion, by the digest of client and `jti`. Lives as long as the assertion.
    Assertion(Digest),
    /// The clients that the operator has blocked. There is one such record.
    Blocklist(Digest),
    /// A metadata document, published keys of a client, a copy of the blocklist, or a stored registration. Reads may be stale.
    Client(String),
    /// How far a delivery of `PingOne`'s webhook was processed, by the digest of its body. Lives a day.
    Delivery(Digest),
    /// A grant. Lives as long as its refresh token.
    Grant(GrantId),
    /// A login under way at `PingOne`. Lives 10 minutes.
    Login(GrantId),
    /// A client's reply to a question of the server, in one of the few places of its grant. Lives 10 minutes.
    Reply(Digest),
    /// The index of one user's grants, by the digest of issuer and `sub`.
    User(Digest),
}

impl RecordKey {
    /// The kind of record, in lower case: a table name, a prefix, a label of a metric.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Approval(_) => "approval",
            Self::Assertion(_) => "assertion",
            Self::Blocklist(_) => "blocklist",
            Self::Client(_) => "client",
            Self::Delivery(_) => "delivery",
            Self::Grant(_) => "grant",
            Self::Login(_) => "login",
            Self::Reply(_) => "reply",
            Self::User(_) => "user",
        }
    }

    /// The name within its kind: short text for clients, otherwise lower-case hexadecimal.
    pub fn name(&self) -> String {
        match self {
            Self::Approval(id) | Self::Grant(id) | Self::Login(id) => hex(&id.0),
            Self::Client(id) => id.clone(),
            Self::Assertion(digest)
            | Self::Blocklist(digest)
            | Self::Delivery(digest)
            | Self::Reply(digest)
            | Self::User(digest) => hex(&digest.0),
        }
    }
}

/// A SHA-256 digest, used as a name or kept instead of a secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(#[serde(with = "crate::encoding::base64url")] pub [u8; 32]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({}…)", hex(&self.0[..4]))
    }
}

/// The random name of a grant, and of the approval and the login that lead to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GrantId(#[serde(with = "crate::encoding::base64url")] pub [u8; 16]);

impl GrantId {
    /// Parses [`RecordKey::name`] of a grant.
    pub fn from_hex(name: &str) -> Option<Self> {
        unhex(name.as_bytes()).map(Self)
    }

    /// The reference of the login: the first 40 bits.
    pub fn reference(&self) -> Reference {
        let mut bits = [0; 5];
        bits.copy_from_slice(&self.0[..5]);
        Reference::new(bits)
    }
}

impl fmt::Debug for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// A stored record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The value.
    pub value: Vec<u8>,
    /// Changes with every write of the record.
    pub version: Version,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// Which write of a record this is. Opaque; a record that was removed and written again has a version that no earlier
/// reader has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u64);

/// Storage failed. The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("storage failed: {0}")]
pub struct StoreError(pub String);
