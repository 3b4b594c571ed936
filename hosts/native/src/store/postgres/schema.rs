//! The tables, and the migration of older ones.

use deadpool_postgres::Object;
use deputy::host::StoreError;
use tokio_postgres::{Client, Error, Row, types::FromSql};

use super::{
    PostgresError,
    connections::{Connections, cause},
};

/// Migrates the database to the newest schema, while other replicas wait.
pub(super) async fn migrate(connections: &Connections) -> Result<(), PostgresError> {
    let (mut client, applied) = look(connections).await?;
    let place = &connections.place;
    // The user needs no right to create tables once they exist.
    if applied != Some(NEWEST) {
        let applied = apply(&mut client).await.map_err(|error| unusable(place, &error))?;
        applied.map_err(|newer| newer_than(place, newer))?;
    }
    if let Some(access) = Access::find(&client).await.map_err(|error| unusable(place, &error))? {
        // A later migration finds the same schema.
        let _ = connections.schema.set(access.schema);
    }
    Ok(())
}

/// The rights of a connection.
pub(super) struct Access {
    /// The schema with Deputy's tables.
    pub(super) schema: String,
    /// Whether the user may read and write them.
    pub(super) is_sufficient: bool,
}

impl Access {
    /// `None`: the connection sees no tables of Deputy.
    pub(super) async fn find(client: &Client) -> Result<Option<Self>, Error> {
        let rows = client.query(ACCESS, &[]).await?;
        let parse = |row: &Row| Ok(Self { schema: row.try_get(0)?, is_sufficient: row.try_get(1)? });
        rows.first().map(parse).transpose()
    }
}

/// A connection, and the number of migrations that were applied to the database. `None`: it has no tables of Deputy.
pub(super) async fn look(connections: &Connections) -> Result<(Object, Option<i32>), PostgresError> {
    let place = &connections.place;
    let client = connections.client().await;
    let client = client.map_err(|StoreError(cause)| PostgresError::Unusable(place.clone(), cause))?;
    let encoding: String = value(&client, ENCODING).await.map_err(|error| unusable(place, &error))?;
    if encoding != "UTF8" {
        return Err(PostgresError::Encoding(place.clone(), encoding));
    }
    let applied = applied(&client).await.map_err(|error| unusable(place, &error))?;
    match applied {
        Some(newer) if newer > NEWEST => Err(newer_than(place, newer)),
        applied => Ok((client, applied)),
    }
}

async fn applied(client: &Object) -> Result<Option<i32>, Error> {
    if !value::<bool>(client, HAS_TABLES).await? {
        return Ok(None);
    }
    let rows = client.query(APPLIED, &[]).await?;
    rows.first().map(|row| row.try_get(0)).transpose()
}

/// Applies the missing migrations in one transaction. The inner error is the version of a newer Deputy, which migrated first.
async fn apply(client: &mut Object) -> Result<Result<(), i32>, Error> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(LOCKED).await?;
    let rows = transaction.query(APPLIED, &[]).await?;
    let applied: i32 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
    if applied > NEWEST {
        return Ok(Err(applied));
    }
    for step in MIGRATIONS.iter().skip(usize::try_from(applied).unwrap_or_default()) {
        transaction.batch_execute(step).await?;
    }
    transaction.execute("DELETE FROM deputy_schema", &[]).await?;
    transaction.execute("INSERT INTO deputy_schema VALUES ($1)", &[&NEWEST]).await?;
    transaction.commit().await.map(Ok)
}

async fn value<T: for<'a> FromSql<'a>>(client: &Object, sql: &str) -> Result<T, Error> {
    client.query_one(sql, &[]).await?.try_get(0)
}

fn unusable(place: &str, error: &Error) -> PostgresError {
    PostgresError::Unusable(place.to_owned(), cause(error))
}

fn newer_than(place: &str, version: i32) -> PostgresError {
    PostgresError::Newer(place.to_owned(), version)
}

/// Number of migrations that this Deputy knows.
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "there are a few")]
pub(super) const NEWEST: i32 = MIGRATIONS.len() as i32;

const ENCODING: &str = "SELECT current_setting('server_encoding')";

const HAS_TABLES: &str = "SELECT to_regclass('deputy_schema') IS NOT NULL";

const APPLIED: &str = "SELECT version FROM deputy_schema";

const ACCESS: &str = "
    SELECT nspname, has_table_privilege(deputy.oid, 'SELECT') AND has_table_privilege(deputy.oid, 'INSERT')
        AND has_table_privilege(deputy.oid, 'UPDATE') AND has_table_privilege(deputy.oid, 'DELETE')
    FROM pg_class AS deputy JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE deputy.oid = to_regclass('deputy_record')";

/// Waits until no other replica migrates. The lock is "Dpty", so that no other program has the same one, and is released at
/// the end of the transaction.
const LOCKED: &str = "
    SET LOCAL statement_timeout = '1min';
    SET LOCAL lock_timeout = '1min';
    SELECT pg_advisory_xact_lock(x'44707479'::integer, 0);
    CREATE TABLE IF NOT EXISTS deputy_schema (version integer NOT NULL)";

/// Never change a released migration; append another. During an update, replicas of the release before use the tables too:
/// a migration adds, and only a later release removes.
const MIGRATIONS: &[&str] = &[r#"
    CREATE TABLE deputy_record (
        kind text COLLATE "C" NOT NULL,
        name text COLLATE "C" NOT NULL,
        value bytea NOT NULL,
        version bigint NOT NULL,
        expires_at bigint NOT NULL,
        PRIMARY KEY (kind, name)
    );
    CREATE INDEX deputy_record_by_expiry ON deputy_record (expires_at)
"#];
