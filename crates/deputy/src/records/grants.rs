//! Grants.

use super::{RecordError, decode, encode};
use crate::{
    host::{GrantId, Host, Record, RecordKey, Timestamp, Version},
    oauth::Grant,
};

/// Loads a grant, with the version for [`replace_grant`].
pub(crate) async fn grant(
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

/// Ends a grant: from now on none of its tokens is valid.
pub(crate) async fn end_grant(host: &Host, id: GrantId, now: Timestamp) -> Result<(), RecordError> {
    host.store().take(&RecordKey::Grant(id), now).await?;
    Ok(())
}
