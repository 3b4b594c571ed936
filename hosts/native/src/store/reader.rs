//! Connections for reads.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
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
use crate::sync::lock;

/// A few connections. A read uses one of them, on a thread for blocking work.
pub(super) struct Readers {
    /// `None` after [`Readers::close`].
    idle: Arc<Mutex<Option<Vec<Connection>>>>,
    permits: Arc<Semaphore>,
    path: PathBuf,
}

impl Readers {
    /// Opens the first connection, which shows whether the file can be read.
    pub(super) fn new(path: &Path) -> Result<Self, OpenError> {
        let first = file::open_reader(path).map_err(|error| OpenError::from_sqlite(path, &error))?;
        Ok(Self {
            idle: Arc::new(Mutex::new(Some(vec![first]))),
            permits: Arc::new(Semaphore::new(READERS)),
            path: path.to_owned(),
        })
    }

    /// Closes the idle connections now, and the others at the end of their reads.
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
            let permit = timeout(QUEUE_TIMEOUT, permits.acquire_owned())
                .await
                .map_err(|_| StoreError("too many reads are waiting for the disk".to_owned()))?
                .map_err(|_| StoreError("the readers have stopped".to_owned()))?;
            let read = spawn_blocking(move || {
                // The permit ends with the read, which outlives a caller that is dropped.
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
                // A failed connection is dropped above, and the next read opens another.
                if let Some(idle) = lock(&idle).as_mut() {
                    idle.push(connection);
                }
                Ok(found)
            });
            read.await.map_err(|_| StoreError("a read was cancelled".to_owned()))?.map_err(|error| {
                tracing::error!(%error, "a read of the database failed");
                failed(error)
            })
        }
    }
}

/// Reads at a time. They are short, and nearly always served from memory.
const READERS: usize = 4;

/// Time that a read waits for its turn.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

const GET: &str = "
    SELECT value, version, expires_at FROM record WHERE kind = ?1 AND name = ?2 AND expires_at > ?3";
