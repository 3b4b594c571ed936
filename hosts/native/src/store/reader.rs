//! Connections that read.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use deputy::host::{Record, StoreError, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::{
    failed,
    file::{self, OpenError},
    integer, record,
};

/// A few connections, each used by one reader at a time on tokio's threads for blocking work.
pub(super) struct Readers {
    /// `None` once closed.
    idle: Arc<Mutex<Option<Vec<Connection>>>>,
    permits: Arc<Semaphore>,
    path: PathBuf,
}

impl Readers {
    /// Opens the first connection, so that a file that cannot be read is found at once.
    pub(super) fn new(path: &Path) -> Result<Self, OpenError> {
        let first = file::open_reader(path).map_err(|error| OpenError::from_sqlite(path, &error))?;
        Ok(Self {
            idle: Arc::new(Mutex::new(Some(vec![first]))),
            permits: Arc::new(Semaphore::new(READERS)),
            path: path.to_owned(),
        })
    }

    /// Closes the idle connections, and each of the others at the end of its read.
    pub(super) fn close(&self) {
        lock(&self.idle).take();
    }

    pub(super) fn get(
        &self,
        kind: &'static str,
        name: String,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Record>, StoreError>> + Send + use<> {
        let (idle, permits, path) = (Arc::clone(&self.idle), Arc::clone(&self.permits), self.path.clone());
        async move {
            let permit = timeout(PATIENCE, permits.acquire_owned())
                .await
                .map_err(|_| StoreError("too many reads are waiting for the disk".to_owned()))?
                .map_err(|_| StoreError("the readers have stopped".to_owned()))?;
            let read = spawn_blocking(move || {
                // The permit ends with the read, not with the caller, who may hang up.
                let _permit = permit;
                let spare = lock(&idle).as_mut().and_then(Vec::pop);
                let connection = match spare {
                    Some(connection) => connection,
                    None => file::open_reader(&path)?,
                };
                let found = connection
                    .prepare_cached(GET)?
                    .query_row(params![kind, name, integer(now.0)], record)
                    .optional()?;
                // A connection that failed is closed, and the next reader opens another.
                if let Some(idle) = lock(&idle).as_mut() {
                    idle.push(connection);
                }
                Ok(found)
            });
            read.await.map_err(|_| StoreError("a read was broken off".to_owned()))?.map_err(|error| {
                tracing::error!(%error, "a read of the database failed");
                failed(error)
            })
        }
    }
}

fn lock(idle: &Mutex<Option<Vec<Connection>>>) -> std::sync::MutexGuard<'_, Option<Vec<Connection>>> {
    // A list of connections is whole at every moment, whatever its last holder did.
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads at a time. They are short, and nearly always answered from memory.
const READERS: usize = 4;

/// How long a read waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

const GET: &str = "
    SELECT value, version, expires_at FROM record WHERE kind = ?1 AND name = ?2 AND expires_at > ?3";
