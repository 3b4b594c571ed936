//! The thread that writes.

use std::thread::{self, JoinHandle};

use deputy::host::{GrantId, Record, RecordKey, StoreError, Timestamp, Version};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use tokio::sync::{
    mpsc::{Receiver, error::TryRecvError},
    oneshot,
};

use super::{failed, file, integer, record, schema};

/// A write, and the channel for its result.
pub(super) struct Job {
    pub(super) write: Write,
    pub(super) reply: oneshot::Sender<Result<Done, StoreError>>,
}

pub(super) enum Write {
    /// Writes the record of the store's own probe.
    Probe {
        now: Timestamp,
    },
    Put {
        key: RecordKey,
        value: Vec<u8>,
        expires_at: Timestamp,
    },
    Replace {
        key: RecordKey,
        expected: Option<Version>,
        value: Vec<u8>,
        expires_at: Timestamp,
        now: Timestamp,
    },
    Sweep {
        now: Timestamp,
    },
    Take {
        key: RecordKey,
        now: Timestamp,
    },
}

/// The result of a write.
#[derive(Clone, Debug, Default)]
pub(super) struct Done {
    /// Records written or removed.
    pub(super) count: usize,
    /// The record that was taken.
    pub(super) record: Option<Record>,
    /// The approvals and logins that a sweep removed.
    pub(super) given_up: Vec<RecordKey>,
}

/// Starts the thread. It ends when the queue is closed and empty.
pub(super) fn start(connection: Connection, queue: Receiver<Job>) -> std::io::Result<JoinHandle<()>> {
    let writer = Writer { connection, versions: Versions::default() };
    thread::Builder::new().name("deputy-store".to_owned()).spawn(move || writer.run(queue))
}

struct Writer {
    connection: Connection,
    versions: Versions,
}

impl Writer {
    fn run(mut self, mut queue: Receiver<Job>) {
        while let Some(first) = queue.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH {
                match queue.try_recv() {
                    Ok(job) => batch.push(job),
                    Err(TryRecvError::Disconnected | TryRecvError::Empty) => break,
                }
            }
            self.process(batch);
        }
        // Without this checkpoint, SQLite's log stays beside the file during a read, and a copy of the file alone lacks
        // its content.
        if !matches!(file::checkpoint(&self.connection), Ok(true)) {
            tracing::warn!(
                "the log of the database could not be written into its file. Copy the files that end in -wal and -shm with \
                 it, or use `deputy backup`"
            );
        }
    }

    /// Commits a batch and sends each result, or the error to all.
    fn process(&mut self, batch: Vec<Job>) {
        let (writes, replies): (Vec<_>, Vec<_>) = batch.into_iter().map(|job| (job.write, job.reply)).unzip();
        let results = match self.commit(&writes) {
            Ok(done) => done.into_iter().map(Ok).collect(),
            Err(error) => {
                tracing::error!(%error, writes = writes.len(), "a write to the database failed");
                vec![Err(failed(error)); replies.len()]
            }
        };
        for (reply, result) in replies.into_iter().zip(results) {
            // Fails if the caller was dropped. The write stays.
            let _ = reply.send(result);
        }
    }

    /// Applies the writes in one transaction. An error rolls it back.
    fn commit(&mut self, writes: &[Write]) -> rusqlite::Result<Vec<Done>> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // A block is reserved in the transaction that uses it first, and rolled back with it.
        let mut versions = self.versions;
        let done = writes
            .iter()
            .map(|write| apply(&transaction, write, &mut versions))
            .collect::<rusqlite::Result<Vec<_>>>()?;
        transaction.commit()?;
        self.versions = versions;
        Ok(done)
    }
}

fn apply(transaction: &Transaction<'_>, write: &Write, versions: &mut Versions) -> rusqlite::Result<Done> {
    let count = match write {
        Write::Probe { now } => transaction.prepare_cached(PUT)?.execute(params![
            "probe",
            "",
            b"",
            versions.next(transaction)?,
            integer(now.plus(PROBE_LIFETIME).0)
        ])?,
        Write::Put { key, value, expires_at } => transaction.prepare_cached(PUT)?.execute(params![
            key.kind(),
            key.name(),
            value,
            versions.next(transaction)?,
            integer(expires_at.0)
        ])?,
        Write::Replace { key, expected: None, value, expires_at, now } => {
            transaction.prepare_cached(CREATE)?.execute(params![
                key.kind(),
                key.name(),
                value,
                versions.next(transaction)?,
                integer(expires_at.0),
                integer(now.0)
            ])?
        }
        Write::Replace { key, expected: Some(expected), value, expires_at, now } => {
            transaction.prepare_cached(REPLACE)?.execute(params![
                key.kind(),
                key.name(),
                value,
                versions.next(transaction)?,
                integer(expires_at.0),
                integer(now.0),
                integer(expected.0)
            ])?
        }
        Write::Sweep { now } => return sweep(transaction, *now),
        Write::Take { key, now } => {
            let record = transaction
                .prepare_cached(TAKE)?
                .query_row(params![key.kind(), key.name(), integer(now.0)], record)
                .optional()?;
            return Ok(Done { count: usize::from(record.is_some()), record, given_up: Vec::new() });
        }
    };
    Ok(Done { count, record: None, given_up: Vec::new() })
}

/// Inserts records, each with its kind, name, value and expiry, in a transaction of the caller.
pub(in crate::store) fn insert<'a>(
    connection: &Connection,
    records: impl Iterator<Item = (&'a str, &'a str, &'a [u8], i64)>,
) -> rusqlite::Result<()> {
    for (kind, name, value, expires_at) in records {
        let version: i64 =
            connection.prepare_cached(schema::TAKE_VERSIONS)?.query_row([1], |row| row.get(0))?;
        connection.prepare_cached(PUT)?.execute(params![kind, name, value, version, expires_at])?;
    }
    Ok(())
}

/// Removes the oldest expired records.
fn sweep(transaction: &Transaction<'_>, now: Timestamp) -> rusqlite::Result<Done> {
    let mut statement = transaction.prepare_cached(SWEEP)?;
    let mut rows = statement.query(params![integer(now.0), integer(super::SWEEP as u64)])?;
    let mut done = Done { count: 0, record: None, given_up: Vec::new() };
    while let Some(row) = rows.next()? {
        done.count += 1;
        let key = match (row.get_ref(0)?.as_str()?, GrantId::from_hex(row.get_ref(1)?.as_str()?)) {
            ("approval", Some(id)) => RecordKey::Approval(id),
            ("login", Some(id)) => RecordKey::Login(id),
            _ => continue,
        };
        done.given_up.push(key);
    }
    Ok(done)
}

/// Versions, reserved in the database in blocks. No two processes get the same block, and most commits do not write the
/// counter.
#[derive(Clone, Copy, Default)]
struct Versions {
    next: i64,
    end: i64,
}

impl Versions {
    fn next(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
        if self.next == self.end {
            self.next =
                transaction.prepare_cached(schema::TAKE_VERSIONS)?.query_row([BLOCK], |row| row.get(0))?;
            self.end = self.next + BLOCK;
        }
        self.next += 1;
        Ok(self.next - 1)
    }
}

/// Writes in one transaction. With more, the first write would wait longer than the shared `fsync` saves.
const BATCH: usize = 256;

const BLOCK: i64 = 65_536;

/// Seconds.
const PROBE_LIFETIME: u64 = 60;

const PUT: &str = "
    INSERT INTO record (kind, name, value, version, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT DO UPDATE SET value = excluded.value, version = excluded.version, expires_at = excluded.expires_at";

const CREATE: &str = "
    INSERT INTO record (kind, name, value, version, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT DO UPDATE SET value = excluded.value, version = excluded.version, expires_at = excluded.expires_at
    WHERE record.expires_at <= ?6";

const REPLACE: &str = "
    UPDATE record SET value = ?3, version = ?4, expires_at = ?5
    WHERE kind = ?1 AND name = ?2 AND version = ?7 AND expires_at > ?6";

const TAKE: &str = "
    DELETE FROM record WHERE kind = ?1 AND name = ?2 AND expires_at > ?3 RETURNING value, version, expires_at";

const SWEEP: &str = "
    DELETE FROM record WHERE id IN (SELECT id FROM record WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)
    RETURNING kind, name";
