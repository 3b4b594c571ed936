//! The index of all grants: the records themselves, which this store can list.

use std::path::{Path, PathBuf};

use deputy::host::{BoxFuture, GrantFilter, GrantId, GrantIndex, Page, RecordKey, StoreError, Timestamp};
use rusqlite::params;
use tokio::task::spawn_blocking;

use super::{failed, file, integer};

/// Lists the grants in the database of a folder. A grant is found as soon as it is written, and has no entry that could
/// differ from it.
#[derive(Clone, Debug)]
pub struct SqliteGrantIndex(PathBuf);

impl SqliteGrantIndex {
    /// The index of the database in `folder`.
    pub fn of(folder: &Path) -> Self {
        Self(file::path(folder))
    }
}

impl GrantIndex for SqliteGrantIndex {
    /// Ignores the filter: records are opaque here, and a read of each takes microseconds.
    fn list(
        &self,
        _: GrantFilter,
        page: Page,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>> {
        let path = self.0.clone();
        Box::pin(async move {
            let listed = spawn_blocking(move || read(&path, page, now)).await;
            let listed = listed.map_err(|_| StoreError("a list of grants was canceled".to_owned()))?;
            listed.map_err(|error| {
                tracing::error!(%error, "the grants in the database could not be listed");
                failed(error)
            })
        })
    }
}

/// Reads with a connection of its own: an operator lists seldom.
fn read(path: &Path, Page { after, limit }: Page, now: Timestamp) -> rusqlite::Result<Vec<GrantId>> {
    let connection = file::open_reader(path)?;
    let after = after.map(|id| RecordKey::Grant(id).name()).unwrap_or_default();
    let mut statement = connection.prepare(LIST)?;
    let names = statement
        .query_map(params![after, integer(now.0), integer(limit as u64)], |row| row.get::<_, String>(0))?;
    let ids = names.filter_map(|name| name.map(|name| GrantId::from_hex(&name)).transpose());
    ids.collect()
}

const LIST: &str = "
    SELECT name FROM record WHERE kind = 'grant' AND name > ?1 AND expires_at > ?2 ORDER BY name LIMIT ?3";
