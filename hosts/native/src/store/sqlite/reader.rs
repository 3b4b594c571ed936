//! Connections for reads.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    thread::available_parallelism,
    time::Duration,
};

use deputy::host::{Record, StoreError, Timestamp};
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};
use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{Instant, timeout},
};

use super::{
    failed,
    file::{self, OpenError},
    integer, record,
};
use crate::sync::lock;

/// Direct connections for reads on the threads of the runtime, and idle ones for reads on blocking threads.
///
/// A read takes microseconds, less than a switch of threads. So it runs on the calling thread if a direct connection is
/// free. There are fewer direct connections than threads, so that a hanging disk does not stop all threads. Other
/// reads, and those that would wait for a lock, run on blocking threads.
pub(super) struct Readers {
    direct: Arc<[Mutex<Direct>]>,
    /// `None` after [`Readers::close`].
    idle: Arc<Mutex<Option<Vec<Connection>>>>,
    permits: Arc<Semaphore>,
    path: PathBuf,
}

/// A connection for reads on the threads of the runtime.
struct Direct {
    /// `None` after [`Readers::close`], and after an error until a read on another thread has succeeded.
    connection: Option<Connection>,
    /// Slow reads in a row.
    slow: u32,
    /// After some slow reads in a row, the time until which blocking threads read instead.
    rests_until: Option<Instant>,
}

impl Direct {
    /// Reads a record, if that needs no waiting.
    fn get(&mut self, kind: &str, name: &str, now: Timestamp) -> Result<Option<Record>, NotHere> {
        let begin = Instant::now();
        if self.rests_until.is_some_and(|until| begin < until) {
            return Err(NotHere);
        }
        let found = read(self.connection.as_ref().ok_or(NotHere)?, kind, name, now);
        self.slow = if begin.elapsed() > SLOW { self.slow + 1 } else { 0 };
        self.rests_until = (self.slow >= SLOW_READS).then(|| begin + REST);
        match found {
            Ok(found) => Ok(found),
            Err(error) if is_locked(&error) => Err(NotHere),
            Err(_) => {
                self.connection = None;
                Err(NotHere)
            }
        }
    }
}

/// The read has to run on a blocking thread, which reports an error if it fails.
struct NotHere;

impl Readers {
    /// Opens the direct connections. Fails if the file cannot be read.
    pub(super) fn new(path: &Path) -> Result<Self, OpenError> {
        let failed = |error| OpenError::from_sqlite(path, &error);
        let direct = || {
            let connection = file::open_reader(path).and_then(without_waiting).map_err(failed)?;
            Ok(Mutex::new(Direct { connection: Some(connection), slow: 0, rests_until: None }))
        };
        Ok(Self {
            direct: (0..direct_readers()).map(|_| direct()).collect::<Result<_, _>>()?,
            idle: Arc::new(Mutex::new(Some(Vec::new()))),
            permits: Arc::new(Semaphore::new(READERS)),
            path: path.to_owned(),
        })
    }

    /// Closes the idle connections now, and the others at the end of their reads.
    pub(super) fn close(&self) {
        lock(&self.idle).take();
        for direct in &*self.direct {
            lock(direct).connection = None;
        }
    }

    /// Reads a record.
    pub(super) async fn get(
        &self,
        kind: &'static str,
        name: String,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        match self.free_direct().and_then(|mut direct| direct.get(kind, &name, now)) {
            Ok(found) => Ok(found),
            Err(NotHere) => self.get_on_another_thread(kind, name, now).await,
        }
    }

    /// A direct connection, if one is free or becomes free within a few microseconds: the switch to another thread takes
    /// longer than a read.
    fn free_direct(&self) -> Result<MutexGuard<'_, Direct>, NotHere> {
        for _ in 0..SPINS {
            if let Some(direct) = self.direct.iter().find_map(free) {
                return Ok(direct);
            }
            std::hint::spin_loop();
        }
        Err(NotHere)
    }

    async fn get_on_another_thread(
        &self,
        kind: &'static str,
        name: String,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        let permit = timeout(QUEUE_TIMEOUT, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| StoreError("too many reads are waiting for the disk".to_owned()))?
            .map_err(|_| StoreError("the readers have stopped".to_owned()))?;
        let (direct, idle, path) = (Arc::clone(&self.direct), Arc::clone(&self.idle), self.path.clone());
        let read = spawn_blocking(move || {
            // The read, and so the permit, outlives a caller that is dropped.
            let _permit = permit;
            let spare = lock(&idle).as_mut().and_then(Vec::pop);
            let connection = match spare {
                Some(connection) => connection,
                None => file::open_reader(&path)?,
            };
            let found = read(&connection, kind, &name, now)?;
            // A failed connection is dropped above, and the next read opens another.
            if let Some(idle) = lock(&idle).as_mut() {
                match direct.iter().filter_map(free).find(|direct| direct.connection.is_none()) {
                    Some(mut direct) => direct.connection = without_waiting(connection).ok(),
                    None => idle.push(connection),
                }
            }
            Ok(found)
        });
        read.await.map_err(|_| StoreError("a read was cancelled".to_owned()))?.map_err(|error| {
            tracing::error!(%error, "a read of the database failed");
            failed(error)
        })
    }
}

fn read(connection: &Connection, kind: &str, name: &str, now: Timestamp) -> rusqlite::Result<Option<Record>> {
    connection.prepare_cached(GET)?.query_row(params![kind, name, integer(now.0)], record).optional()
}

/// Makes a connection fail instead of waiting for a lock.
fn without_waiting(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(Duration::ZERO)?;
    Ok(connection)
}

fn is_locked(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Locks the value, unless another thread holds the lock.
fn free<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(PoisonError::into_inner(poisoned)),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Half of the runtime's threads, of which there are two or more.
fn direct_readers() -> usize {
    (available_parallelism().map_or(1, NonZeroUsize::get) / 2).max(1)
}

/// Concurrent reads on blocking threads.
const READERS: usize = 4;

/// Time that a read waits for its turn.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// Time that a read takes only from a slow disk, or if the thread has to wait for a processor. A read from an SSD is faster.
const SLOW: Duration = Duration::from_millis(2);

/// Slow reads in a row that tell a slow disk from a busy processor, which seldom interrupts two reads one after the other.
const SLOW_READS: u32 = 3;

/// Attempts to find a free direct connection: some tens of microseconds.
const SPINS: u32 = 1_000;

const REST: Duration = Duration::from_secs(1);

const GET: &str = "
    SELECT value, version, expires_at FROM record WHERE kind = ?1 AND name = ?2 AND expires_at > ?3";
