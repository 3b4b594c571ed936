//! The seam between the API and the machine it runs on.

use std::{future::Future, pin::Pin};

use bytes::Bytes;

use crate::todos::{Operation, Todo};

/// A boxed future, so that backends can be trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the API needs of a machine.
pub trait Backend: Send + Sync + 'static {
    /// Seconds since 1970-01-01 00:00:00 UTC.
    fn now(&self) -> u64;

    /// Fills `buffer` from a cryptographically secure source. A backend that cannot must abort.
    fn fill_random(&self, buffer: &mut [u8]);

    /// Sends a request to the issuer and reads the whole answer, whatever its status. Follows no redirects, and ends
    /// at a deadline and at a size of its choice; 10 seconds and 256 KiB are plenty. An error is text for the log.
    fn fetch(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, String>>;

    /// Does `operation` on the todos of `user` as one atomic step, and answers all of them as they are after it, the
    /// oldest first. What it did is durable when it answers. `user` is any text; no two users share anything.
    fn apply(&self, user: String, operation: Operation) -> BoxFuture<'_, Result<Vec<Todo>, TodosError>>;
}

/// Why an [`Operation`] did nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TodosError {
    /// [`Operation::Create`] with [`MAX_TODOS`](crate::MAX_TODOS) there already.
    #[error("the list is full")]
    Full,
    /// Storage failed. The text is for the log.
    #[error("storage failed: {0}")]
    Storage(String),
    /// The user has no todo with this id.
    #[error("there is no such todo")]
    Unknown,
}
