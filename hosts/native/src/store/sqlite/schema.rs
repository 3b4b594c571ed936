//! The tables, and the migration of older files.

use rusqlite::{Connection, TransactionBehavior};

/// Migrates the database to the newest schema. One transaction applies the steps and sets the version number.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let applied = version(&transaction)?;
    for step in MIGRATIONS.iter().skip(applied as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", NEWEST)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.commit()
}

/// Number of migrations that were applied to the database.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Whether the database is Deputy's.
pub(super) fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0)).map(|id: i32| id == APPLICATION)
}

pub(super) fn has_tables(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))
}

/// Number of migrations that this Deputy knows.
#[expect(clippy::cast_possible_truncation, reason = "there are a few")]
pub(super) const NEWEST: u32 = MIGRATIONS.len() as u32;

/// Reserves as many versions as its parameter says, and returns the first.
pub(super) const TAKE_VERSIONS: &str = "UPDATE version_counter SET next = next + ?1 RETURNING next - ?1";

/// Never change a released migration; append another.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE record (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        value BLOB NOT NULL,
        version INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        UNIQUE (kind, name)
    ) STRICT;
    CREATE INDEX record_by_expiry ON record (expires_at);
    CREATE TABLE version_counter (next INTEGER NOT NULL) STRICT;
    INSERT INTO version_counter VALUES (1);
"];

/// `application_id` in the header of the file: "Dpty".
const APPLICATION: i32 = 0x4470_7479;
