//! Places for records: an SQLite file, or a PostgreSQL database.

mod copy;
mod postgres;
mod sqlite;
mod swept;

use std::{path::Path, sync::Arc};

use deputy::host::{BoxFuture, GrantIndex, Store, StoreError, Timestamp};

pub use copy::{Copied, CopyError, copy_records};
pub(crate) use copy::{Cursor, Page, RecordSource, Row, copy_from};
pub use postgres::{PostgresError, PostgresGrantIndex, PostgresStore, StoreUrl, StoreUrlError};
pub use sqlite::{
    BackupError, FolderLock, OpenError, Restored, SqliteGrantIndex, SqliteStore, back_up, restore,
};
pub(crate) use sqlite::{create_folder, path as file_in, private};

/// A store with what the server and its metrics need of it besides records.
pub(crate) trait NativeStore: Store {
    /// The index of the grants in this store.
    fn grant_index(&self) -> Arc<dyn GrantIndex>;

    /// Operations that wait for their turn.
    fn waiting(&self) -> u32;

    /// The number of records of a kind that have not expired.
    fn count(&self, kind: &'static str, now: Timestamp) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Opens further connections with the user and the password of `url`, after a first one has shown that they can be used. A
    /// store in a file has none.
    fn use_url<'a>(&'a self, _url: &'a StoreUrl) -> BoxFuture<'a, Result<(), PostgresError>> {
        Box::pin(async { Ok(()) })
    }

    /// Looks for a loss of what is stored, and logs it.
    fn watch(&self) {}
}

/// The place for the records of a server.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// The SQLite file in this folder.
    Folder(&'a Path),
    /// A PostgreSQL database, with this number of connections at most.
    Postgres(&'a StoreUrl, usize),
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreOpenError {
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error(transparent)]
    Sqlite(#[from] OpenError),
}

/// Opens the store at `place`, and migrates it to the newest schema.
pub(crate) async fn open(place: Place<'_>) -> Result<Arc<dyn NativeStore>, StoreOpenError> {
    Ok(match place {
        Place::Folder(folder) => Arc::new(SqliteStore::open(folder)?),
        Place::Postgres(url, connections) => {
            let store = PostgresStore::new(url, connections)?;
            store.migrate().await?;
            Arc::new(store)
        }
    })
}

/// Integers of the databases are signed. No time or version comes near the limit.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Records that one sweep removes at most. A sweep this small delays a login imperceptibly.
pub const SWEEP: usize = 250;
