//! Copying all records from one store to another.

use std::path::PathBuf;

use deadpool_postgres::Object;
use deputy::host::{StoreError, Timestamp};
use rusqlite::{Connection, params};

use super::{
    FolderLock, OpenError, Place, PostgresError, PostgresStore, SqliteStore, integer, postgres, sqlite,
};

/// Why records were not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
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
        && !sqlite::path(folder).exists()
    {
        return Err(CopyError::Missing(sqlite::path(folder)));
    }
    let (from, to) = (Side::open(from).await?, Side::open(to).await?);
    from.begin().await?;
    to.begin().await?;
    if !to.page(("", ""), Timestamp(0)).await?.is_empty() {
        return Err(CopyError::NotEmpty(to.place));
    }
    let mut copied = Copied { records: 0, grants: 0, places: [from.place.clone(), to.place.clone()] };
    let mut last = (String::new(), String::new());
    loop {
        let page = from.page((&last.0, &last.1), now).await?;
        let Some(row) = page.last() else { break };
        last = (row.kind.clone(), row.name.clone());
        to.write(&page).await?;
        copied.records += page.len();
        copied.grants += page.iter().filter(|row| row.kind == "grant").count();
    }
    from.check_unused().await?;
    to.check_unused().await?;
    to.finish().await?;
    Ok(copied)
}

/// A record.
struct Row {
    kind: String,
    name: String,
    value: Vec<u8>,
    expires_at: i64,
}

/// A store that is copied, or the copy. Without [`Side::finish`] it stays as it was.
struct Side {
    place: String,
    access: Access,
}

enum Access {
    Postgres(Object),
    Sqlite { connection: Connection, _lock: FolderLock },
}

impl Side {
    async fn open(place: Place<'_>) -> Result<Self, CopyError> {
        match place {
            Place::Folder(folder) => {
                let lock = FolderLock::take(folder)?;
                // Creates the file, or migrates it.
                drop(SqliteStore::open(folder)?);
                let path = sqlite::path(folder);
                let place = path.display().to_string();
                let connection = sqlite::open(&path)?;
                Ok(Self { place, access: Access::Sqlite { connection, _lock: lock } })
            }
            Place::Postgres(url, _) => {
                let store = PostgresStore::named(url, 1, APPLICATION)?;
                store.migrate().await?;
                let place = store.place().to_owned();
                let client = store
                    .client()
                    .await
                    .map_err(|StoreError(cause)| CopyError::Failed(place.clone(), cause))?;
                let side = Self { place, access: Access::Postgres(client) };
                side.check_unused().await?;
                Ok(side)
            }
        }
    }

    /// Fails if replicas have connections. The lock of a folder says the same of SQLite.
    async fn check_unused(&self) -> Result<(), CopyError> {
        let Access::Postgres(client) = &self.access else { return Ok(()) };
        let row = client.query_one(CONNECTIONS, &[&postgres::APPLICATION]).await;
        match row.and_then(|row| row.try_get(0)).map_err(|error| self.refused(&error))? {
            0 => Ok(()),
            others => Err(CopyError::InUse(self.place.clone(), others)),
        }
    }

    async fn begin(&self) -> Result<(), CopyError> {
        match &self.access {
            Access::Postgres(client) => {
                client.batch_execute(BEGIN).await.map_err(|error| self.refused(&error))
            }
            Access::Sqlite { connection, .. } => {
                connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| self.failed(&error))
            }
        }
    }

    /// Records after this kind and name, in order.
    async fn page(&self, after: (&str, &str), now: Timestamp) -> Result<Vec<Row>, CopyError> {
        match &self.access {
            Access::Postgres(client) => {
                let rows = client.query(PAGE, &[&after.0, &after.1, &integer(now.0), &PAGE_SIZE]).await;
                let parse = |row: &tokio_postgres::Row| -> Result<Row, tokio_postgres::Error> {
                    let (kind, name) = (row.try_get(0)?, row.try_get(1)?);
                    Ok(Row { kind, name, value: row.try_get(2)?, expires_at: row.try_get(3)? })
                };
                let parsed = rows.and_then(|rows| rows.iter().map(parse).collect());
                parsed.map_err(|error| self.refused(&error))
            }
            Access::Sqlite { connection, .. } => {
                let read = || -> rusqlite::Result<Vec<Row>> {
                    let mut statement = connection.prepare_cached(SQLITE_PAGE)?;
                    let rows =
                        statement.query_map(params![after.0, after.1, integer(now.0), PAGE_SIZE], |row| {
                            let (kind, name) = (row.get(0)?, row.get(1)?);
                            Ok(Row { kind, name, value: row.get(2)?, expires_at: row.get(3)? })
                        })?;
                    rows.collect()
                };
                read().map_err(|error| self.failed(&error))
            }
        }
    }

    async fn write(&self, page: &[Row]) -> Result<(), CopyError> {
        match &self.access {
            Access::Postgres(client) => {
                let kinds: Vec<_> = page.iter().map(|row| row.kind.as_str()).collect();
                let names: Vec<_> = page.iter().map(|row| row.name.as_str()).collect();
                let values: Vec<_> = page.iter().map(|row| row.value.as_slice()).collect();
                let versions: Vec<_> = page.iter().map(|_| postgres::new_version()).collect();
                let expiries: Vec<_> = page.iter().map(|row| row.expires_at).collect();
                let written = client.execute(WRITE, &[&kinds, &names, &values, &versions, &expiries]).await;
                written.map(|_| ()).map_err(|error| self.refused(&error))
            }
            Access::Sqlite { connection, .. } => sqlite::insert(
                connection,
                page.iter().map(|row| (&*row.kind, &*row.name, &*row.value, row.expires_at)),
            )
            .map_err(|error| self.failed(&error)),
        }
    }

    async fn finish(&self) -> Result<(), CopyError> {
        match &self.access {
            Access::Postgres(client) => {
                client.batch_execute("COMMIT").await.map_err(|error| self.refused(&error))
            }
            Access::Sqlite { connection, .. } => {
                connection.execute_batch("COMMIT").map_err(|error| self.failed(&error))
            }
        }
    }

    fn refused(&self, error: &tokio_postgres::Error) -> CopyError {
        CopyError::Failed(self.place.clone(), postgres::cause(error))
    }

    fn failed(&self, error: &rusqlite::Error) -> CopyError {
        CopyError::Failed(self.place.clone(), error.to_string())
    }
}

/// The name of the connections of a copy.
const APPLICATION: &str = "deputy store copy";

const PAGE_SIZE: i64 = 500;

/// A replica that starts meanwhile cannot write.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ; LOCK TABLE deputy_record IN EXCLUSIVE MODE";

/// Connections with this name to the same database. A user sees those of the same user.
const CONNECTIONS: &str = "
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1";

const PAGE: &str = "
    SELECT kind, name, value, expires_at FROM deputy_record
    WHERE (kind, name) > ($1, $2) AND expires_at > $3 AND kind <> 'probe' ORDER BY kind, name LIMIT $4";

const SQLITE_PAGE: &str = "
    SELECT kind, name, value, expires_at FROM record
    WHERE (kind, name) > (?1, ?2) AND expires_at > ?3 AND kind <> 'probe' ORDER BY kind, name LIMIT ?4";

const WRITE: &str = "
    INSERT INTO deputy_record (kind, name, value, version, expires_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::bigint[])";
