//! The index of all grants, from which an operator finds them.

use super::{BoxFuture, Digest, GrantId, StoreError, Timestamp};

/// The index of all grants. Logins, ends and the first refresh use it, and no tool call.
///
/// A store that can list its records implements [`GrantIndex::list`] alone. The entries are for a store that cannot.
pub trait GrantIndex: Send + Sync {
    /// The grants after `page.after` in the order of their ids, `page.limit` at most. Every grant that was entered, has not
    /// ended and matches `filter` is among them. Others may be, too: the caller reads the grants.
    fn list(
        &self,
        filter: GrantFilter,
        page: Page,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>>;

    /// Enters a grant until `until`, or prolongs its entry. Durable when it completes, and seen by every later
    /// [`GrantIndex::list`].
    fn enter(
        &self,
        entry: GrantEntry,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let _ = (entry, until, now);
        Box::pin(std::future::ready(Ok(())))
    }

    /// Removes the entry of a grant that has ended.
    fn remove(&self, id: GrantId) -> BoxFuture<'_, Result<(), StoreError>> {
        let _ = id;
        Box::pin(std::future::ready(Ok(())))
    }
}

/// An entry of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantEntry {
    /// The grant.
    pub id: GrantId,
    /// The digest of its `client_id`.
    pub client: Digest,
    /// The digest of its user.
    pub user: Digest,
}

/// A selection of grants. The default selects all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrantFilter {
    /// Those of one client.
    pub client: Option<Digest>,
    /// Those of one user.
    pub user: Option<Digest>,
}

impl GrantFilter {
    /// Whether it selects the grant of `entry`.
    pub fn selects(&self, entry: &GrantEntry) -> bool {
        self.client.is_none_or(|client| client == entry.client)
            && self.user.is_none_or(|user| user == entry.user)
    }
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The last grant of the part before.
    pub after: Option<GrantId>,
    /// Grants at most.
    pub limit: usize,
}
