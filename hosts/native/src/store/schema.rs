//! The tables, and how older files become newer ones.

use rusqlite::{Connection, TransactionBehavior};

/// Brings the database to the newest schema. Each step is applied once, in a transaction with the number that says so.
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

/// How many steps have been applied to the database.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Whether the database is marked as ours.
pub(super) fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0)).map(|id: i32| id == APPLICATION)
}

/// Whether anything has been made in the database.
pub(super) fn has_tables(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))
}

/// The number of steps that this Deputy knows.
#[expect(clippy::cast_possible_truncation, reason = "nobody writes so many steps")]
pub(super) const NEWEST: u32 = MIGRATIONS.len() as u32;

/// Takes a block of as many versions as its parameter says, and answers the first.
pub(super) const TAKE_VERSIONS: &str = "UPDATE version_counter SET next = next + ?1 RETURNING next - ?1";

/// Never change a step that has been released; append the next one.
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

/// `application_id` in the file's header: "Dpty".
const APPLICATION: i32 = 0x4470_7479;
