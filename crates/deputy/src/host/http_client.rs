//! Outgoing HTTP.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;

use super::BoxFuture;

/// Outgoing HTTP.
pub trait HttpClient: Send + Sync {
    /// Sends a request and reads the whole response. Follows no redirects, sends no cookies, and gives up at the limits. Where
    /// the request carries a [`Meter`], each part of the body is counted by it as it arrives.
    fn fetch(
        &self,
        request: http::Request<Bytes>,
        limits: FetchLimits,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, FetchError>>;
}

/// The limits of one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchLimits {
    /// From the start of the connection to the last byte of the response.
    pub deadline: Duration,
    /// Bytes of the response body.
    pub max_bytes: usize,
    /// The hosts to which the request may go.
    pub reach: Reach,
}

/// The hosts to which a request may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every host: the operator named it.
    Anywhere,
    /// Public hosts only: an unauthenticated client named it. The host resolves the name once, refuses it if any address is
    /// not [`is_public`](super::is_public), and connects to an address that it has checked.
    PublicInternet,
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum FetchError {
    /// There is no connection, so nothing was sent. The text is for the log and contains no secret.
    #[error("connection failed: {0}")]
    Connection(String),
    /// The response was not complete at the deadline.
    #[error("no whole answer before the deadline")]
    Deadline,
    /// The connection broke before the whole response had arrived, or the platform does not say whether there was one. The request may
    /// have been processed. The text is for the log and contains no secret.
    #[error("connection broke: {0}")]
    Interrupted(String),
    /// The host has an address that is not public. No connection was made.
    #[error("the host is not on the public Internet")]
    NotPublic,
    /// The body is longer than [`FetchLimits::max_bytes`].
    #[error("the answer is larger than allowed")]
    TooLarge,
    /// The [`Meter`] of the request refused more bytes.
    #[error("too many bytes of answers are kept at a time")]
    TooMany,
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
