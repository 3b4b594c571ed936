//! The index of one user's grants.

use serde::{Deserialize, Serialize};

use super::{MOST_RACES, RecordError, decode, encode, end_grant};
use crate::{
    config::Config,
    host::{GrantId, Host, RecordKey, Timestamp},
    oauth::Grant,
    seal,
};

/// The index of one user's grants, so that they can be listed and revoked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct UserGrants {
    pub(crate) grants: Vec<UserGrant>,
}

/// One entry of the index. Everything else about a grant is in the grant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UserGrant {
    pub(crate) id: GrantId,
    pub(crate) until: Timestamp,
}

/// Grants of one user at a time. One more ends the oldest.
const GRANTS_OF_ONE_USER: usize = 100;

/// The key of a user's index.
pub(crate) fn user_key(config: &Config, sub: &str) -> RecordKey {
    let name = format!("{}\n{sub}", config.pingone.issuer);
    RecordKey::User(seal::digest("user", name.as_bytes()))
}

/// Enters a grant into its user's index until `until`, or prolongs its entry.
pub(crate) async fn index_grant(
    host: &Host,
    config: &Config,
    grant: &Grant,
    until: Timestamp,
    now: Timestamp,
) -> Result<(), RecordError> {
    let mut ended = Vec::new();
    update_index(host, config, &grant.user.sub, now, |index| {
        index.grants.retain(|entry| entry.id != grant.id);
        index.grants.push(UserGrant { id: grant.id, until });
        let surplus = index.grants.len().saturating_sub(GRANTS_OF_ONE_USER);
        ended = index.grants.drain(..surplus).map(|entry| entry.id).collect();
    })
    .await?;
    for id in ended {
        end_grant(host, id, now).await?;
    }
    Ok(())
}

/// Removes a grant from its user's index.
pub(crate) async fn unindex_grant(
    host: &Host,
    config: &Config,
    sub: &str,
    id: GrantId,
    now: Timestamp,
) -> Result<(), RecordError> {
    update_index(host, config, sub, now, |index| index.grants.retain(|entry| entry.id != id)).await
}

async fn update_index(
    host: &Host,
    config: &Config,
    sub: &str,
    now: Timestamp,
    mut change: impl FnMut(&mut UserGrants) + Send,
) -> Result<(), RecordError> {
    let key = user_key(config, sub);
    // The loser of a race was beaten by a writer that made progress.
    for _ in 0..MOST_RACES {
        let record = host.store().get(&key, now).await?;
        let version = record.as_ref().map(|record| record.version);
        let mut index: UserGrants =
            record.map(|record| decode(&record.value)).transpose()?.unwrap_or_default();
        index.grants.retain(|entry| entry.until > now);
        change(&mut index);
        // An empty index expires at once. Taking it could take an entry that was written meanwhile.
        let until = index.grants.iter().map(|entry| entry.until).max().unwrap_or(now.plus(1));
        if host.store().replace(&key, version, encode(&index)?, until, now).await? {
            return Ok(());
        }
    }
    Err(RecordError::Contended("index of a user's grants"))
}
