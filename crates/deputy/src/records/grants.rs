//! Grants.

use super::{RecordError, decode, encode};
use crate::{
    host::{GrantId, Host, Record, RecordKey, Timestamp, Version},
    oauth::Grant,
};

/// Loads a grant that has not ended, with the version for [`replace_grant`].
pub(crate) async fn grant(
    host: &Host,
    id: GrantId,
    now: Timestamp,
) -> Result<Option<(Grant, Version)>, RecordError> {
    Ok(stored_grant(host, id, now).await?.filter(|(grant, _)| !grant.has_ended()))
}

/// Loads a grant, also one that has ended and whose tokens at `PingOne` are still to be revoked.
pub(crate) async fn stored_grant(
    host: &Host,
    id: GrantId,
    now: Timestamp,
) -> Result<Option<(Grant, Version)>, RecordError> {
    let record = host.store().get(&RecordKey::Grant(id), now).await?;
    record.map(|Record { value, version, .. }| Ok((decode(&value)?, version))).transpose()
}

/// Writes a grant over the version that was loaded, or for the first time. `false`: another writer came first.
pub(crate) async fn replace_grant(
    host: &Host,
    grant: &Grant,
    version: Option<Version>,
    now: Timestamp,
) -> Result<bool, RecordError> {
    let value = encode(grant)?;
    Ok(host.store().replace(&RecordKey::Grant(grant.id), version, value, grant.expires_at, now).await?)
}

/// Removes a grant: from now on none of its tokens is valid. `false`: it was removed before.
pub(crate) async fn end_grant(host: &Host, id: GrantId, now: Timestamp) -> Result<bool, RecordError> {
    Ok(host.store().take(&RecordKey::Grant(id), now).await?.is_some())
}
