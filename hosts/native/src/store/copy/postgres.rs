//! A PostgreSQL database as one end of a copy.

use deadpool_postgres::Object;
use deputy::host::{BoxFuture, StoreError, Timestamp};
use tokio_postgres::types::ToSql;

use super::{
    super::{
        PostgresStore, StoreUrl, integer,
        postgres::{self, cause, new_version},
    },
    CopyError, Cursor, Database, PAGE_SIZE, Page, RecordSource, Row,
};

/// One connection to a database that no server uses.
pub(super) struct PostgresDatabase {
    place: String,
    client: Object,
}

impl PostgresDatabase {
    /// Creates the tables if there are none.
    pub(super) async fn open(url: &StoreUrl) -> Result<Self, CopyError> {
        let store = PostgresStore::named(url, 1, APPLICATION)?;
        store.migrate().await?;
        let place = store.place().to_owned();
        let client =
            store.client().await.map_err(|StoreError(cause)| CopyError::Failed(place.clone(), cause))?;
        let side = Self { place, client };
        side.check_unused().await?;
        Ok(side)
    }

    fn failed(&self, error: &tokio_postgres::Error) -> CopyError {
        CopyError::Failed(self.place.clone(), cause(error))
    }

    async fn execute(&self, statements: &str) -> Result<(), CopyError> {
        self.client.batch_execute(statements).await.map_err(|error| self.failed(&error))
    }
}

impl RecordSource for PostgresDatabase {
    fn place(&self) -> &str {
        &self.place
    }

    fn page<'a>(&'a self, after: &'a Cursor, now: Timestamp) -> BoxFuture<'a, Result<Page, CopyError>> {
        Box::pin(async move {
            let params: [&(dyn ToSql + Sync); 4] = [&after.kind, &after.name, &integer(now.0), &PAGE_SIZE];
            let rows = self.client.query(PAGE, &params).await;
            let parse = |row: &tokio_postgres::Row| -> Result<Row, tokio_postgres::Error> {
                let (kind, name) = (row.try_get(0)?, row.try_get(1)?);
                Ok(Row { kind, name, value: row.try_get(2)?, expires_at: row.try_get(3)? })
            };
            let parsed = rows.and_then(|rows| rows.iter().map(parse).collect());
            parsed.map(Page::of).map_err(|error| self.failed(&error))
        })
    }

    fn check_unused(&self) -> BoxFuture<'_, Result<(), CopyError>> {
        Box::pin(async move {
            let row = self.client.query_one(CONNECTIONS, &[&postgres::APPLICATION]).await;
            match row.and_then(|row| row.try_get(0)).map_err(|error| self.failed(&error))? {
                0 => Ok(()),
                others => Err(CopyError::InUse(self.place.clone(), others)),
            }
        })
    }
}

impl Database for PostgresDatabase {
    fn begin(&self) -> BoxFuture<'_, Result<(), CopyError>> {
        Box::pin(self.execute(BEGIN))
    }

    fn write<'a>(&'a self, rows: &'a [Row]) -> BoxFuture<'a, Result<(), CopyError>> {
        Box::pin(async move {
            let kinds: Vec<_> = rows.iter().map(|row| row.kind.as_str()).collect();
            let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
            let values: Vec<_> = rows.iter().map(|row| row.value.as_slice()).collect();
            let versions: Vec<_> = rows.iter().map(|_| new_version()).collect();
            let expiries: Vec<_> = rows.iter().map(|row| row.expires_at).collect();
            let written = self.client.execute(WRITE, &[&kinds, &names, &values, &versions, &expiries]).await;
            written.map(|_| ()).map_err(|error| self.failed(&error))
        })
    }

    fn finish(&self) -> BoxFuture<'_, Result<(), CopyError>> {
        Box::pin(self.execute("COMMIT"))
    }
}

/// The name of the connections of a copy.
const APPLICATION: &str = "deputy store copy";

/// A replica that starts meanwhile cannot write.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ; LOCK TABLE deputy_record IN EXCLUSIVE MODE";

/// Connections with this name to the same database. A user sees those of the same user.
const CONNECTIONS: &str = "
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1";

const PAGE: &str = "
    SELECT kind, name, value, expires_at FROM deputy_record
    WHERE (kind, name) > ($1, $2) AND expires_at > $3 AND kind <> 'probe' ORDER BY kind, name LIMIT $4";

const WRITE: &str = "
    INSERT INTO deputy_record (kind, name, value, version, expires_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::bigint[])";
