//! Records in one SQLite file.
//!
//! One thread writes. It takes everything that waits, does it in one transaction, and answers when the commit is on
//! disk, so that concurrent writes share one `fsync`. Reads go to other connections, which in WAL mode neither wait for
//! the writer nor hold it up, and see every write that has been answered.

mod file;
mod reader;
mod schema;
mod writer;

use std::{path::Path, thread::JoinHandle, time::Duration};

use deputy::host::{BoxFuture, Key, Record, Store, StoreError, Timestamp, Version};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

pub use file::OpenError;
use reader::Readers;
use writer::{Job, Write};

/// The store of the native host.
pub struct SqliteStore {
    // `None` only while dropping.
    jobs: Option<mpsc::Sender<Job>>,
    readers: Readers,
    writer: Option<JoinHandle<()>>,
}

impl SqliteStore {
    /// Opens the database in `folder`, creating folder and file for their owner only, and brings it to the newest
    /// schema. Refuses a damaged, foreign or newer file and leaves it as it is.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let path = file::prepare(folder)?;
        let connection = file::open(&path)?;
        let readers = Readers::new(&path)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writer = writer::start(connection, queue).map_err(|error| OpenError::Io(path, error))?;
        Ok(Self { jobs: Some(jobs), readers, writer: Some(writer) })
    }

    /// Removes a bounded number of records that have expired, the oldest first, and answers how many. When that is
    /// [`SqliteStore::SWEEP`], there may be more.
    pub async fn sweep(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.write(|answer| Job { write: Write::Sweep { now }, answer }).await.map(|done| done.count)
    }

    /// The most that one [`SqliteStore::sweep`] removes: few enough that a login does not notice waiting behind it.
    pub const SWEEP: usize = 250;

    async fn write(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<writer::Done, StoreError>>) -> Job,
    ) -> Result<writer::Done, StoreError> {
        let gone = || StoreError("the writer has stopped; restart Deputy".to_owned());
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        let place = timeout(PATIENCE, jobs.reserve())
            .await
            .map_err(|_| StoreError("too many writes are waiting for the disk".to_owned()))?
            .map_err(|_| gone())?;
        place.send(job(answer));
        // Not bounded: a write whose answer nobody awaits may still happen, and the caller must not be told otherwise.
        answered.await.map_err(|_| gone())?
    }
}

impl Store for SqliteStore {
    fn get<'a>(&'a self, key: &'a Key, now: Timestamp) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        Box::pin(self.readers.get(key, now))
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        value: Vec<u8>,
        expires_at: Timestamp,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        let write = Write::Put { key: key.clone(), value, expires_at };
        Box::pin(async move { self.write(|answer| Job { write, answer }).await.map(|_| ()) })
    }

    fn replace<'a>(
        &'a self,
        key: &'a Key,
        expected: Option<Version>,
        value: Vec<u8>,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        let write = Write::Replace { key: key.clone(), expected, value, expires_at, now };
        Box::pin(async move { self.write(|answer| Job { write, answer }).await.map(|done| done.count == 1) })
    }

    fn take<'a>(&'a self, key: &'a Key, now: Timestamp) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        let write = Write::Take { key: key.clone(), now };
        Box::pin(async move { self.write(|answer| Job { write, answer }).await.map(|done| done.record) })
    }
}

impl Drop for SqliteStore {
    /// Waits for what has been queued, and for SQLite to fold its log into the file.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has been reported, and there is nothing left to close.
            let _ = writer.join();
        }
    }
}

/// SQLite's integers are signed; no time or version comes near the limit.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn record(row: &rusqlite::Row<'_>) -> rusqlite::Result<Record> {
    let unsigned = |index| row.get(index).map(|value: i64| value.unsigned_abs());
    Ok(Record { value: row.get(0)?, version: Version(unsigned(1)?), expires_at: Timestamp(unsigned(2)?) })
}

/// The text is for the log. SQLite's messages name tables and paths, never values.
#[expect(clippy::needless_pass_by_value, reason = "the argument of `map_err`")]
fn failed(error: rusqlite::Error) -> StoreError {
    StoreError(error.to_string())
}

/// Writes that may wait. More than the connections that the server accepts, so that only a stuck disk fills it.
const QUEUE: usize = 4096;

/// How long a write waits for a place in the queue.
const PATIENCE: Duration = Duration::from_secs(5);
