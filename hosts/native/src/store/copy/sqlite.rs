//! An SQLite file as one end of a copy.

use std::{path::Path, sync::Mutex};

use deputy::host::{BoxFuture, Timestamp};
use rusqlite::{Connection, params};

use super::{
    super::{FolderLock, SqliteStore, integer, sqlite},
    CopyError, Cursor, Database, PAGE_SIZE, Page, RecordSource, Row,
};
use crate::sync::lock;

/// A file whose folder is locked, so that no server uses it.
pub(super) struct SqliteDatabase {
    place: String,
    connection: Mutex<Connection>,
    _lock: FolderLock,
}

impl SqliteDatabase {
    /// Creates the file if there is none.
    pub(super) fn open(folder: &Path) -> Result<Self, CopyError> {
        let folder_lock = FolderLock::take(folder)?;
        // Creates the file, or migrates it.
        drop(SqliteStore::open(folder)?);
        let path = sqlite::path(folder);
        let connection = Mutex::new(sqlite::open(&path)?);
        Ok(Self { place: path.display().to_string(), connection, _lock: folder_lock })
    }

    /// Uses the connection. A command has no other work meanwhile.
    fn with<'a, T: Send + 'a>(
        &'a self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> BoxFuture<'a, Result<T, CopyError>> {
        let done = work(&lock(&self.connection));
        let done = done.map_err(|error| CopyError::Failed(self.place.clone(), error.to_string()));
        Box::pin(std::future::ready(done))
    }
}

impl RecordSource for SqliteDatabase {
    fn place(&self) -> &str {
        &self.place
    }

    fn page<'a>(&'a self, after: &'a Cursor, now: Timestamp) -> BoxFuture<'a, Result<Page, CopyError>> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(PAGE)?;
            let params = params![after.kind, after.name, integer(now.0), PAGE_SIZE];
            let rows = statement.query_map(params, |row| {
                let (kind, name) = (row.get(0)?, row.get(1)?);
                Ok(Row { kind, name, value: row.get(2)?, expires_at: row.get(3)? })
            })?;
            rows.collect::<Result<_, _>>().map(Page::of)
        })
    }

    /// The lock of the folder has excluded every process.
    fn check_unused(&self) -> BoxFuture<'_, Result<(), CopyError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Database for SqliteDatabase {
    fn begin(&self) -> BoxFuture<'_, Result<(), CopyError>> {
        self.with(|connection| connection.execute_batch("BEGIN IMMEDIATE"))
    }

    fn write<'a>(&'a self, rows: &'a [Row]) -> BoxFuture<'a, Result<(), CopyError>> {
        let rows = rows.iter().map(|row| (&*row.kind, &*row.name, &*row.value, row.expires_at));
        self.with(|connection| sqlite::insert(connection, rows))
    }

    fn finish(&self) -> BoxFuture<'_, Result<(), CopyError>> {
        self.with(|connection| connection.execute_batch("COMMIT"))
    }
}

const PAGE: &str = "
    SELECT kind, name, value, expires_at FROM record
    WHERE (kind, name) > (?1, ?2) AND expires_at > ?3 AND kind <> 'probe' ORDER BY kind, name LIMIT ?4";
