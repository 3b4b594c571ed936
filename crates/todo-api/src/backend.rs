//! The interface between the API and the platform it runs on.

use std::{future::Future, pin::Pin};

use bytes::Bytes;

use crate::todos::{Operation, Todo};

/// A boxed future, so that backends can be trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The clock, randomness, outgoing HTTP and storage of the API.
pub trait Backend: Send + Sync + 'static {
    /// Seconds since 1970-01-01 00:00:00 UTC.
    fn now(&self) -> u64;

    /// Fills `buffer` from a cryptographically secure source. A backend without one must abort.
    fn fill_random(&self, buffer: &mut [u8]);

    /// Sends a request to the issuer and reads the whole response, whatever its status. It must not follow redirects,
    /// and must limit time and size; 10 seconds and 256 KiB are enough. The error is text for the log.
    fn fetch(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, String>>;

    /// Applies `operation` to the todos of `user` atomically, and returns all of the user's todos after it, the oldest
    /// first. The change is durable when this returns. `user` is any text; users share nothing.
    fn apply(&self, user: String, operation: Operation) -> BoxFuture<'_, Result<Vec<Todo>, TodosError>>;
}

/// Why an [`Operation`] failed. It changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TodosError {
    /// The user has [`MAX_TODOS`](crate::MAX_TODOS) already.
    #[error("the list is full")]
    Full,
    /// Storage failed. The text is for the log.
    #[error("storage failed: {0}")]
    Storage(String),
    /// The user has no todo with this id.
    #[error("there is no such todo")]
    Unknown,
}
