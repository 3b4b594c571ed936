//! Records in a PostgreSQL database, which any number of processes share.
//!
//! Every operation is one statement, atomic by itself, on the primary. A write draws its version at random, so versions
//! repeat neither after a record was removed nor after a restored backup or a failover, and a process recognizes its own
//! write when the response to it was lost.

mod connections;
mod grant_index;
mod schema;
mod url;

use std::{sync::Arc, time::Duration};

use deadpool_postgres::Object;
use deputy::host::{
    BoxFuture, GrantIndex, Operation, Outcome, Record, RecordKey, Store, StoreError, Timestamp, Version,
};
use tokio::time::timeout;
use tokio_postgres::{Row, types::ToSql};

pub(super) use self::connections::cause;
use self::connections::{Connections, Failure};
use super::{NativeStore, SWEEP, integer, swept};
use crate::{host::fill_random, rotation::RETRY_INTERVAL};

pub use grant_index::PostgresGrantIndex;
pub use url::{StoreUrl, StoreUrlError};

/// Why a database cannot be used, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The certificates of the authorities cannot be used.
    #[error(
        "the certificates that authenticate PostgreSQL cannot be used: {0}. Set sslrootcert in STORE_URL to a file with the \
         certificate of the authority, or install the certificates of this computer"
    )]
    Authorities(String),
    /// A URL of another database, or with other settings for TLS.
    #[error(
        "STORE_URL names {0}, another database than before, or has other parameters for TLS. Restart Deputy to use it"
    )]
    Elsewhere(String),
    /// The database stores no Unicode.
    #[error(
        "the database {0} has the encoding {1}. Create one with UTF-8: CREATE DATABASE deputy ENCODING 'UTF8' TEMPLATE template0"
    )]
    Encoding(String, String),
    /// A newer Deputy has migrated the database.
    #[error(
        "the database {0} was written by a newer Deputy (its schema is {1}; this Deputy knows up to {newest}). Run the newer \
         Deputy, or set STORE_URL to another database",
        newest = schema::NEWEST
    )]
    Newer(String, i32),
    /// No connection with a changed URL can be used at the moment.
    #[error(
        "the database {0} cannot be used with the changed STORE_URL: {1}. Deputy tries again every {retry} seconds",
        retry = RETRY_INTERVAL.as_secs()
    )]
    NotYet(String, String),
    /// A changed URL whose user or parameters lead to another schema.
    #[error("STORE_URL leads to other tables in {0} than before, or to none. Restart Deputy to use it")]
    OtherTables(String),
    /// The database cannot be reached, or refuses what Deputy needs.
    #[error(
        "the database {0} cannot be used: {1}. Check STORE_URL, that PostgreSQL runs, and that the user may create tables"
    )]
    Unusable(String, String),
    /// The URL is wrong.
    #[error(transparent)]
    Url(#[from] StoreUrlError),
}

/// A store that several processes share.
pub struct PostgresStore {
    connections: Connections,
}

impl PostgresStore {
    /// A store with at most `connections` connections, which are opened when they are needed.
    pub fn new(url: &StoreUrl, connections: usize) -> Result<Self, PostgresError> {
        Self::named(url, connections, APPLICATION)
    }

    /// The store at `url`, with this name of its connections.
    pub(super) fn named(url: &StoreUrl, connections: usize, name: &str) -> Result<Self, PostgresError> {
        let mut url = url.parse()?;
        url.config.application_name(name);
        Ok(Self { connections: Connections::new(url, connections)? })
    }

    /// Host and database, for messages.
    pub(super) fn place(&self) -> &str {
        &self.connections.place
    }

    /// A connection for several statements.
    pub(super) async fn client(&self) -> Result<Object, StoreError> {
        self.connections.client().await
    }

    /// Connects, and migrates the database to the newest schema.
    pub async fn migrate(&self) -> Result<(), PostgresError> {
        schema::migrate(&self.connections).await
    }

    /// Connects, and describes the database without changing it.
    pub(crate) async fn examine(&self) -> Result<String, PostgresError> {
        let (_, applied) = schema::look(&self.connections).await?;
        let tables = match applied {
            None => "has no tables of Deputy yet; the first start creates them",
            Some(applied) if applied < schema::NEWEST => {
                "has tables of an older Deputy; the next start changes them"
            }
            Some(_) => "has the tables of this Deputy",
        };
        Ok(format!("{} {tables}", self.connections.place))
    }

    /// The index of the grants in this store.
    pub fn grant_index(&self) -> PostgresGrantIndex {
        PostgresGrantIndex(self.connections.clone())
    }

    /// Executes a write with a version of its own. `true`: it was written. If the response was lost, the record tells.
    async fn write(
        &self,
        operation: &'static str,
        key: (&str, &str),
        sql: &str,
        version: i64,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<bool, StoreError> {
        match self.connections.query(sql, params).await {
            Ok(rows) => Ok(!rows.is_empty()),
            Err(Failure::NotExecuted(error)) => Err(logged(operation, key.0, error)),
            Err(Failure::Unknown(error)) => {
                let found = self.connections.read(VERSION, &[&key.0, &key.1]).await;
                let found = found.ok().and_then(|rows| rows.first()?.try_get::<_, i64>(0).ok());
                if found == Some(version) {
                    tracing::warn!(operation, kind = key.0, %error, "the response to a write was lost; the record was written");
                    return Ok(true);
                }
                // Another process may have written over it. The caller reads again.
                Err(logged(operation, key.0, error))
            }
        }
    }
}

impl Store for PostgresStore {
    fn execute<'a>(
        &'a self,
        key: &'a RecordKey,
        operation: Operation,
    ) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(async move {
            let (kind, name, version) = (key.kind(), key.name(), new_version());
            let failed = |operation| move |error| logged(operation, kind, error);
            let written = match operation {
                Operation::Get { now } => {
                    let rows = self.connections.read(GET, &[&kind, &name, &integer(now.0)]).await;
                    return rows.and_then(|rows| record(&rows)).map_err(failed("get"));
                }
                Operation::Take { now } => {
                    let rows = self.connections.query(TAKE, &[&kind, &name, &integer(now.0)]).await;
                    // After a lost response nothing tells whether this process took the record.
                    let taken = rows.map_err(Failure::into_error).and_then(|rows| record(&rows));
                    return taken.map_err(failed("take"));
                }
                Operation::Put { value, expires_at } => {
                    let params: [&(dyn ToSql + Sync); 5] =
                        [&kind, &name, &value, &version, &integer(expires_at.0)];
                    self.write("put", (kind, &name), PUT, version, &params).await
                }
                Operation::Replace { expected: None, value, expires_at, now } => {
                    let params: [&(dyn ToSql + Sync); 6] =
                        [&kind, &name, &value, &version, &integer(expires_at.0), &integer(now.0)];
                    self.write("create", (kind, &name), CREATE, version, &params).await
                }
                Operation::Replace { expected: Some(expected), value, expires_at, now } => {
                    let expected = integer(expected.0);
                    let params: [&(dyn ToSql + Sync); 7] =
                        [&kind, &name, &value, &version, &integer(expires_at.0), &integer(now.0), &expected];
                    self.write("replace", (kind, &name), REPLACE, version, &params).await
                }
            };
            written.map(Outcome::Written)
        })
    }

    /// Removes the oldest expired records, [`SWEEP`] at most, and passes over those that another replica is removing.
    fn sweep(&self, now: Timestamp) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move {
            let params: [&(dyn ToSql + Sync); 2] = [&integer(now.0), &integer(SWEEP as u64)];
            let rows = self.connections.query(SWEEP_EXPIRED, &params).await;
            let rows = rows.map_err(|failure| logged("sweep", "of any kind", failure.into_error()))?;
            for row in &rows {
                if let (Ok(kind), Ok(name)) = (row.try_get(0), row.try_get(1)) {
                    swept::log(kind, name);
                }
            }
            Ok(rows.len())
        })
    }

    /// Writes its own record. Waits for a server that restarts, for almost as long as other requests.
    fn probe(&self, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let expires_at = integer(now.plus(PROBE_LIFETIME).0);
            let version = new_version();
            let params: [&(dyn ToSql + Sync); 5] = [&"probe", &"", &&b""[..], &version, &expires_at];
            match timeout(PROBE_TIMEOUT, self.connections.query(PUT, &params)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(failure)) => Err(failure.into_error()),
                Err(_) => Err(StoreError("PostgreSQL does not respond".to_owned())),
            }
        })
    }
}

impl NativeStore for PostgresStore {
    fn grant_index(&self) -> Arc<dyn GrantIndex> {
        Arc::new(Self::grant_index(self))
    }

    fn use_url<'a>(&'a self, url: &'a StoreUrl) -> BoxFuture<'a, Result<(), PostgresError>> {
        Box::pin(async move { self.connections.use_url(url.parse()?).await })
    }

    fn waiting(&self) -> u32 {
        self.connections.waiting()
    }

    fn count(&self, kind: &'static str, now: Timestamp) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let rows = self.connections.read(COUNT, &[&kind, &integer(now.0)]).await?;
            let row = rows.first().ok_or_else(|| StoreError("a count has no row".to_owned()))?;
            row.try_get(0).map(i64::unsigned_abs).map_err(|error| StoreError(error.to_string()))
        })
    }
}

/// Logs the error of an operation on records of this kind.
fn logged(operation: &'static str, kind: &str, error: StoreError) -> StoreError {
    tracing::error!(operation, kind, error = %error.0, "an operation of the database failed");
    error
}

fn record(rows: &[Row]) -> Result<Outcome, StoreError> {
    let parse = |row: &Row| -> Result<Record, tokio_postgres::Error> {
        let unsigned = |index| row.try_get(index).map(|value: i64| value.unsigned_abs());
        Ok(Record {
            value: row.try_get(0)?,
            version: Version(unsigned(1)?),
            expires_at: Timestamp(unsigned(2)?),
        })
    };
    let record = rows.first().map(parse).transpose();
    record.map(Outcome::Record).map_err(|error| StoreError(error.to_string()))
}

/// Draws a version of 63 bits.
pub(super) fn new_version() -> i64 {
    let mut bytes = [0; 8];
    fill_random(&mut bytes);
    i64::from_be_bytes(bytes) & i64::MAX
}

/// The name of Deputy's connections, for administrators.
pub(super) const APPLICATION: &str = "deputy";

/// Seconds.
const PROBE_LIFETIME: u64 = 60;

/// Time for a probe. It is longer than most restarts, so that a proxy does not turn away from replicas whose requests succeed.
const PROBE_TIMEOUT: Duration = Duration::from_millis(3_500);

const GET: &str = "
    SELECT value, version, expires_at FROM deputy_record WHERE kind = $1 AND name = $2 AND expires_at > $3";

const PUT: &str = "
    INSERT INTO deputy_record (kind, name, value, version, expires_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (kind, name) DO UPDATE
    SET value = excluded.value, version = excluded.version, expires_at = excluded.expires_at
    RETURNING version";

const CREATE: &str = "
    INSERT INTO deputy_record (kind, name, value, version, expires_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (kind, name) DO UPDATE
    SET value = excluded.value, version = excluded.version, expires_at = excluded.expires_at
    WHERE deputy_record.expires_at <= $6
    RETURNING version";

const REPLACE: &str = "
    UPDATE deputy_record SET value = $3, version = $4, expires_at = $5
    WHERE kind = $1 AND name = $2 AND version = $7 AND expires_at > $6
    RETURNING version";

const TAKE: &str = "
    DELETE FROM deputy_record WHERE kind = $1 AND name = $2 AND expires_at > $3
    RETURNING value, version, expires_at";

const VERSION: &str = "SELECT version FROM deputy_record WHERE kind = $1 AND name = $2";

const COUNT: &str = "SELECT count(*) FROM deputy_record WHERE kind = $1 AND expires_at > $2";

const SWEEP_EXPIRED: &str = "
    WITH expired AS (
        SELECT kind, name FROM deputy_record WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
        FOR UPDATE SKIP LOCKED
    )
    DELETE FROM deputy_record USING expired
    WHERE deputy_record.kind = expired.kind AND deputy_record.name = expired.name
    RETURNING deputy_record.kind, deputy_record.name";
