//! Records in one SQLite file.
//!
//! One thread writes. It takes everything that waits, does it in one transaction, and answers when the commit is on
//! disk, so that concurrent writes share one `fsync`. Reads go to other connections, which in WAL mode neither wait for
//! the writer nor hold it up, and see every write that has been answered.

mod backup;
mod file;
mod lock;
mod reader;
mod schema;
mod watch;
mod writer;

use std::{path::Path, thread::JoinHandle, time::Duration};

use deputy::host::{BoxFuture, Key, Record, Store, StoreError, Timestamp, Version};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

pub use backup::{BackupError, Restored, back_up, restore};
pub use file::OpenError;
pub use lock::FolderLock;
use reader::Readers;
use watch::Watch;
use writer::{Job, Write};

/// The store of the native host.
pub struct SqliteStore {
    // `None` only while dropping.
    jobs: Option<mpsc::Sender<Job>>,
    readers: Readers,
    writer: Option<JoinHandle<()>>,
    watch: Watch,
}

impl SqliteStore {
    /// Opens the database in `folder`, creating folder and file for their owner only, and brings it to the newest
    /// schema. Refuses a damaged, foreign or newer file and leaves it as it is.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let path = file::prepare(folder)?;
        let connection = file::open(&path)?;
        let readers = Readers::new(&path)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let watch = Watch::of(&path).map_err(|error| OpenError::Io(path.clone(), error))?;
        let writer = writer::start(connection, queue).map_err(|error| OpenError::Io(path, error))?;
        Ok(Self { jobs: Some(jobs), readers, writer: Some(writer), watch })
    }

    /// Whether the files of the database are still those that were opened. Logs every change of the answer.
    pub fn files_are_there(&self) -> bool {
        self.watch.files_are_there()
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
        Box::pin(self.readers.get(key.kind(), key.name(), now))
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

    /// Writes a record of its own and reads it again, within `PROBE`.
    fn probe(&self, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if !self.files_are_there() {
                return Err(StoreError("the database file was removed or replaced".to_owned()));
            }
            let round = async {
                self.write(|answer| Job { write: Write::Probe { now }, answer }).await?;
                // Also where another process, with another clock, has written it meanwhile.
                self.readers.get("probe", String::new(), Timestamp(0)).await
            };
            match timeout(PROBE, round).await {
                Ok(Ok(Some(_))) => Ok(()),
                Ok(Ok(None)) => Err(StoreError("a record that was written cannot be read".to_owned())),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(StoreError("the disk does not answer".to_owned())),
            }
        })
    }
}

impl Drop for SqliteStore {
    /// Closes the readers, then waits for the queued writes and for the writer, which folds the log into the file. The
    /// folder then holds the whole database in one file, which can be copied.
    fn drop(&mut self) {
        self.readers.close();
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

/// How long a probe may take. Health checks commonly wait for a few seconds.
const PROBE: Duration = Duration::from_secs(2);
