//! Records in one SQLite file.
//!
//! One thread writes. It puts all queued writes into one transaction and confirms them when the commit is on disk, so
//! that concurrent writes share one `fsync`. Reads have connections of their own, which in WAL mode neither wait for
//! the writer nor block it, and see every confirmed write. Most reads run on the calling thread, since they take
//! microseconds.

mod backup;
mod count;
mod damage;
mod file;
mod grant_index;
mod lock;
mod reader;
mod schema;
mod watch;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use deputy::host::{
    BoxFuture, GrantIndex, Operation, Outcome, Record, RecordKey, Store, StoreError, Timestamp, Version,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_blocking,
    time::timeout,
};

use super::{NativeStore, SWEEP, integer, swept};

pub use backup::{BackupError, Restored, back_up, restore};
use damage::DamageCheck;
pub use file::OpenError;
pub(super) use file::open;
pub(crate) use file::{create_folder, path, private};
pub use grant_index::SqliteGrantIndex;
pub use lock::FolderLock;
use reader::Readers;
use watch::Watch;
pub(super) use writer::insert;
use writer::{Job, Write};

/// The store of the native host.
pub struct SqliteStore {
    /// `None` only while dropping.
    jobs: Option<mpsc::Sender<Job>>,
    readers: Readers,
    /// `None` for a small database, which was checked when it was opened, and while dropping.
    damage_check: Option<DamageCheck>,
    writer: Option<JoinHandle<()>>,
    watch: Watch,
    folder: PathBuf,
}

impl SqliteStore {
    /// Opens the database in `folder` and migrates it to the newest schema. Creates folder and file for their owner only.
    /// Refuses a damaged, foreign or newer file and leaves it unchanged. A large database is searched for damage while it is
    /// in use.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let path = file::prepare(folder)?;
        let connection = file::open(&path)?;
        let is_large = file::is_large(&connection).map_err(|error| OpenError::from_sqlite(&path, &error))?;
        let damage_check = is_large.then(|| DamageCheck::start(&path)).transpose()?;
        let readers = Readers::new(&path)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let watch = Watch::of(&path).map_err(|error| OpenError::Io(path.clone(), error))?;
        let writer = writer::start(connection, queue).map_err(|error| OpenError::Io(path, error))?;
        Ok(Self {
            jobs: Some(jobs),
            readers,
            damage_check,
            writer: Some(writer),
            watch,
            folder: folder.to_owned(),
        })
    }

    /// Whether the files of the database are still those that were opened. Logs every change.
    pub fn files_are_in_place(&self) -> bool {
        self.watch.files_are_in_place()
    }

    async fn write(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<writer::Done, StoreError>>) -> Job,
    ) -> Result<writer::Done, StoreError> {
        let gone = || StoreError("the writer has stopped; restart Deputy".to_owned());
        let (reply, done) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        let permit = timeout(QUEUE_TIMEOUT, jobs.reserve())
            .await
            .map_err(|_| StoreError("too many writes are waiting for the disk".to_owned()))?
            .map_err(|_| gone())?;
        permit.send(job(reply));
        // No timeout: the write may still happen, and the caller must not be told otherwise.
        done.await.map_err(|_| gone())?
    }
}

impl Store for SqliteStore {
    fn execute<'a>(
        &'a self,
        key: &'a RecordKey,
        operation: Operation,
    ) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(async move {
            let write = match operation {
                Operation::Get { now } => {
                    return self.readers.get(key.kind(), key.name(), now).await.map(Outcome::Record);
                }
                Operation::Put { value, expires_at } => Write::Put { key: key.clone(), value, expires_at },
                Operation::Replace { expected, value, expires_at, now } => {
                    Write::Replace { key: key.clone(), expected, value, expires_at, now }
                }
                Operation::Take { now } => Write::Take { key: key.clone(), now },
            };
            let is_take = matches!(write, Write::Take { .. });
            let done = self.write(|reply| Job { write, reply }).await?;
            Ok(if is_take { Outcome::Record(done.record) } else { Outcome::Written(done.count == 1) })
        })
    }

    /// Removes the oldest expired records, [`SWEEP`] at most. Logs each login that was given up.
    fn sweep(&self, now: Timestamp) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move {
            let done = self.write(|reply| Job { write: Write::Sweep { now }, reply }).await?;
            for key in &done.given_up {
                swept::log(key.kind(), &key.name());
            }
            Ok(done.count)
        })
    }

    /// Writes its own record and reads it within two seconds. Fails if damage was found, or if a file of the database
    /// was removed or replaced.
    fn probe(&self, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if !self.files_are_in_place() {
                return Err(StoreError("the database file was removed or replaced".to_owned()));
            }
            if let Some(damage) = self.damage_check.as_ref().and_then(DamageCheck::found) {
                return Err(StoreError(damage.to_string()));
            }
            let round_trip = async {
                self.write(|reply| Job { write: Write::Probe { now }, reply }).await?;
                // Time 0: another process with another clock may have written it since.
                self.readers.get("probe", String::new(), Timestamp(0)).await
            };
            match timeout(PROBE_TIMEOUT, round_trip).await {
                Ok(Ok(Some(_))) => Ok(()),
                Ok(Ok(None)) => Err(StoreError("a record that was written cannot be read".to_owned())),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(StoreError("the disk does not respond".to_owned())),
            }
        })
    }
}

impl NativeStore for SqliteStore {
    fn grant_index(&self) -> Arc<dyn GrantIndex> {
        Arc::new(SqliteGrantIndex::of(&self.folder))
    }

    fn waiting(&self) -> u32 {
        let waiting = self.jobs.as_ref().map_or(0, |jobs| jobs.max_capacity() - jobs.capacity());
        u32::try_from(waiting).unwrap_or(u32::MAX)
    }

    fn count(&self, kind: &'static str, now: Timestamp) -> BoxFuture<'_, Result<u64, StoreError>> {
        let folder = self.folder.clone();
        Box::pin(async move {
            let counted = spawn_blocking(move || count::count(&folder, kind, now)).await;
            counted.map_err(|_| StoreError("a count was canceled".to_owned()))?.map_err(failed)
        })
    }

    fn watch(&self) {
        self.files_are_in_place();
    }
}

impl Drop for SqliteStore {
    /// Closes the readers, then waits for the queued writes and for the checkpoint of the writer. After that the database is
    /// one file, which can be copied.
    fn drop(&mut self) {
        self.readers.close();
        self.damage_check = None;
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            // A panic of the writer is logged, and leaves nothing to close.
            let _ = writer.join();
        }
    }
}

fn record(row: &rusqlite::Row<'_>) -> rusqlite::Result<Record> {
    let unsigned = |index| row.get(index).map(|value: i64| value.unsigned_abs());
    Ok(Record { value: row.get(0)?, version: Version(unsigned(1)?), expires_at: Timestamp(unsigned(2)?) })
}

/// Converts an error. SQLite's messages contain tables and paths, never values.
#[expect(clippy::needless_pass_by_value, reason = "the argument of `map_err`")]
fn failed(error: rusqlite::Error) -> StoreError {
    StoreError(error.to_string())
}

/// Writes in the queue. Only a disk that hangs fills it.
const QUEUE: usize = 4096;

/// Time that a write waits for a place in the queue.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// Time for a probe. Health checks commonly wait for a few seconds.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
