//! Grants.

use super::{
    RecordError, decode, encode,
    users::{user_digest, user_key},
};
use crate::{
    config::Config,
    host::{Digest, GrantEntry, GrantFilter, GrantId, Host, Record, RecordKey, Timestamp, Version},
    oauth::Grant,
    seal,
    types::ClientId,
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
    let record = host.store.get(&RecordKey::Grant(id), now).await?;
    record.map(|Record { value, version, .. }| Ok((decode(&value)?, version))).transpose()
}

/// The record of a grant as it is stored, with the key of its user's record if it can be read.
pub(crate) async fn grant_record(
    host: &Host,
    config: &Config,
    id: GrantId,
    now: Timestamp,
) -> Result<Option<(Record, Option<RecordKey>)>, RecordError> {
    let Some(record) = host.store.get(&RecordKey::Grant(id), now).await? else { return Ok(None) };
    let user = decode::<Grant>(&record.value).ok().map(|grant| user_key(config, &grant.user.sub));
    Ok(Some((record, user)))
}

/// Writes a grant over the version that was loaded, or for the first time. `false`: another writer came first.
pub(crate) async fn replace_grant(
    host: &Host,
    grant: &Grant,
    version: Option<Version>,
    now: Timestamp,
) -> Result<bool, RecordError> {
    let value = encode(grant)?;
    Ok(host.store.replace(&RecordKey::Grant(grant.id), version, value, grant.expires_at, now).await?)
}

/// Removes a grant: from now on none of its tokens is valid. `false`: it was removed before.
pub(crate) async fn remove_grant(host: &Host, id: GrantId, now: Timestamp) -> Result<bool, RecordError> {
    Ok(host.store.take(&RecordKey::Grant(id), now).await?.is_some())
}

/// Enters a grant into the index of all grants.
pub(crate) async fn enter_in_grant_index(
    host: &Host,
    config: &Config,
    grant: &Grant,
    until: Timestamp,
    now: Timestamp,
) -> Result<(), RecordError> {
    let (client, user) = (client_digest(&grant.client_id), user_digest(config, &grant.user.sub));
    Ok(host.grant_index.enter(GrantEntry { id: grant.id, client, user }, until, now).await?)
}

/// Selects the grants of a client or of a user in the index of all grants.
pub(crate) fn grant_filter(config: &Config, client: Option<&ClientId>, user: Option<&str>) -> GrantFilter {
    GrantFilter { client: client.map(client_digest), user: user.map(|sub| user_digest(config, sub)) }
}

fn client_digest(id: &ClientId) -> Digest {
    seal::digest("client of grants", id.as_str().as_bytes())
}
