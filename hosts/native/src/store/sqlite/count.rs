//! Counting records, for metrics.

use std::path::Path;

use deputy::host::Timestamp;
use rusqlite::params;

use super::{file, integer};

/// Counts the records of a kind that have not expired, with a connection of its own: it may take a while.
pub(crate) fn count(folder: &Path, kind: &str, now: Timestamp) -> rusqlite::Result<u64> {
    let connection = file::open_reader(&file::path(folder))?;
    connection.query_row(COUNT, params![kind, integer(now.0)], |row| row.get(0).map(i64::unsigned_abs))
}

const COUNT: &str = "SELECT count(*) FROM record WHERE kind = ?1 AND expires_at > ?2";
