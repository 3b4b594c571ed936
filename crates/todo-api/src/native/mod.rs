//! The backend of the native program.

mod sqlite;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;

pub use sqlite::{OpenError, SqliteTodos};

use crate::{
    backend::{Backend, BoxFuture, TodosError},
    todos::{Operation, Todo},
};

/// A backend with the clock and randomness of the operating system, todos in a [`SqliteTodos`], and an HTTP client of
/// the caller's. It needs tokio.
pub struct NativeBackend {
    todos: Arc<SqliteTodos>,
    fetch: Box<Fetch>,
}

/// A function that implements [`Backend::fetch`].
pub type Fetch =
    dyn Fn(http::Request<Bytes>) -> BoxFuture<'static, Result<http::Response<Bytes>, String>> + Send + Sync;

impl NativeBackend {
    /// A backend that sends requests with `fetch`.
    pub fn new(
        todos: SqliteTodos,
        fetch: impl Fn(http::Request<Bytes>) -> BoxFuture<'static, Result<http::Response<Bytes>, String>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self { todos: Arc::new(todos), fetch: Box::new(fetch) }
    }
}

impl Backend for NativeBackend {
    fn now(&self) -> u64 {
        #[expect(clippy::disallowed_methods, reason = "this is the native backend's clock")]
        let now = SystemTime::now();
        // A clock before 1970 has not been set.
        now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        #[expect(clippy::disallowed_methods, reason = "this is the native backend's randomness")]
        let filled = getrandom::fill(buffer);
        if let Err(error) = filled {
            tracing::error!(%error, "the operating system provides no randomness");
            std::process::abort();
        }
    }

    fn fetch(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, String>> {
        (self.fetch)(request)
    }

    fn apply(&self, user: String, operation: Operation) -> BoxFuture<'_, Result<Vec<Todo>, TodosError>> {
        let todos = Arc::clone(&self.todos);
        Box::pin(async move {
            tokio::task::spawn_blocking(move || todos.apply(&user, operation))
                .await
                .unwrap_or_else(|error| Err(TodosError::Storage(error.to_string())))
        })
    }
}
