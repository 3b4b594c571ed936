//! Copying all records from one store to another.

mod postgres;
mod sqlite;

use std::path::PathBuf;

use deputy::host::{BoxFuture, Timestamp};

use self::{postgres::PostgresDatabase, sqlite::SqliteDatabase};
use super::{OpenError, Place, PostgresError, sqlite::path};

/// Why records were not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The records of a running Deputy changed while they were copied.
    #[error("{0} changed during the copy, so nothing was copied. Keep clients away from it, then copy again")]
    Changed(String),
    /// A store fails.
    #[error("{0} failed, so nothing was copied: {1}")]
    Failed(String, String),
    /// Processes use the database.
    #[error("Deputy has {1} connections to {0}. Stop every replica, then copy again")]
    InUse(String, i64),
    /// The store to copy from does not exist.
    #[error("there is no database {path}, so nothing was copied", path = .0.display())]
    Missing(PathBuf),
    /// The store to copy to has records.
    #[error("{0} has records already, and a copy would mix them. Copy to an empty database")]
    NotEmpty(String),
    /// A file cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A running Deputy does not hand its records out.
    #[error("{0}")]
    Remote(String),
    /// A PostgreSQL database cannot be opened.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
}

/// The result of [`copy_records`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Records.
    pub records: usize,
    /// Grants among them.
    pub grants: usize,
    /// The store that was copied, and the copy.
    pub places: [String; 2],
}

/// Copies every record that has not expired by `now`, completely or not at all. No process may use either store.
pub async fn copy_records(from: Place<'_>, to: Place<'_>, now: Timestamp) -> Result<Copied, CopyError> {
    if let Place::Folder(folder) = from
        && !path(folder).exists()
    {
        return Err(CopyError::Missing(path(folder)));
    }
    let from = open(from).await?;
    from.begin().await?;
    copy_from(&*from, to, now).await
}

/// Copies all records from a source that is open.
pub(crate) async fn copy_from<S: RecordSource + ?Sized>(
    from: &S,
    to: Place<'_>,
    now: Timestamp,
) -> Result<Copied, CopyError> {
    let to = open(to).await?;
    to.begin().await?;
    let mut after = Cursor::default();
    if !to.page(&after, Timestamp(0)).await?.rows.is_empty() {
        return Err(CopyError::NotEmpty(to.place().to_owned()));
    }
    let places = [from.place().to_owned(), to.place().to_owned()];
    let mut copied = Copied { records: 0, grants: 0, places };
    loop {
        let Page { rows, next } = from.page(&after, now).await?;
        to.write(&rows).await?;
        copied.records += rows.len();
        copied.grants += rows.iter().filter(|row| row.kind == "grant").count();
        match next {
            Some(next) => after = next,
            None => break,
        }
    }
    from.check_unused().await?;
    to.check_unused().await?;
    to.finish().await?;
    Ok(copied)
}

/// A record.
pub(crate) struct Row {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) value: Vec<u8>,
    pub(crate) expires_at: i64,
}

/// Some records, and the place after which the next ones are, unless there are none.
pub(crate) struct Page {
    pub(crate) rows: Vec<Row>,
    pub(crate) next: Option<Cursor>,
}

/// A kind and a name of a record.
#[derive(Default)]
pub(crate) struct Cursor {
    pub(crate) kind: String,
    pub(crate) name: String,
}

impl Page {
    /// The page that these rows of a database are.
    fn of(rows: Vec<Row>) -> Self {
        let next = rows.last().map(|row| Cursor { kind: row.kind.clone(), name: row.name.clone() });
        Self { rows, next }
    }
}

/// A store that is copied.
pub(crate) trait RecordSource: Send + Sync {
    /// The name of the store for messages.
    fn place(&self) -> &str;

    /// Records after this one, in order, that have not expired by `now`.
    fn page<'a>(&'a self, after: &'a Cursor, now: Timestamp) -> BoxFuture<'a, Result<Page, CopyError>>;

    /// Fails if a process uses the store.
    fn check_unused(&self) -> BoxFuture<'_, Result<(), CopyError>>;
}

/// A database in a transaction. Without [`Database::finish`] it stays as it was.
trait Database: RecordSource {
    /// Begins the transaction.
    fn begin(&self) -> BoxFuture<'_, Result<(), CopyError>>;

    fn write<'a>(&'a self, rows: &'a [Row]) -> BoxFuture<'a, Result<(), CopyError>>;

    /// Commits the transaction.
    fn finish(&self) -> BoxFuture<'_, Result<(), CopyError>>;
}

async fn open(place: Place<'_>) -> Result<Box<dyn Database>, CopyError> {
    Ok(match place {
        Place::Folder(folder) => Box::new(SqliteDatabase::open(folder)?),
        Place::Postgres(url, _) => Box::new(PostgresDatabase::open(url).await?),
    })
}

const PAGE_SIZE: i64 = 500;
