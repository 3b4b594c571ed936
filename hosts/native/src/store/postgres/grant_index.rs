//! The index of all grants: the records themselves, which this store can list.

use deputy::host::{BoxFuture, GrantFilter, GrantId, GrantIndex, Page, RecordKey, StoreError, Timestamp};

use super::{connections::Connections, logged};
use crate::store::integer;

/// Lists the grants in the database.
pub struct PostgresGrantIndex(pub(super) Connections);

impl GrantIndex for PostgresGrantIndex {
    /// Ignores the filter: records are opaque here.
    fn list(
        &self,
        _: GrantFilter,
        Page { after, limit }: Page,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>> {
        Box::pin(async move {
            let after = after.map(|id| RecordKey::Grant(id).name()).unwrap_or_default();
            let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
                [&after, &integer(now.0), &integer(limit as u64)];
            let rows = self.0.read(LIST, &params).await.map_err(|error| logged("list", "grant", error))?;
            Ok(rows.iter().filter_map(|row| GrantId::from_hex(row.try_get(0).ok()?)).collect())
        })
    }
}

const LIST: &str = "
    SELECT name FROM deputy_record WHERE kind = 'grant' AND name > $1 AND expires_at > $2 ORDER BY name LIMIT $3";
