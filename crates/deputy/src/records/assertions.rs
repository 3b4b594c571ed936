//! The uses of client assertions, and the published keys of clients.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{RecordError, decode, encode};
use crate::{
    encoding::base64url_encode,
    host::{Host, RecordKey, Timestamp},
    oauth::VerifiedAssertion,
    seal,
    types::ClientIdUrl,
};

/// Records the use of an assertion. `false`: it was used before.
pub(crate) async fn use_assertion(
    host: &Host,
    assertion: &VerifiedAssertion,
    now: Timestamp,
) -> Result<bool, RecordError> {
    let key = RecordKey::Assertion(assertion.name);
    Ok(host.store().replace(&key, None, Vec::new(), assertion.until, now).await?)
}

/// The keys at a `jwks_uri`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoredKeys {
    pub(crate) jwks: Value,
    pub(crate) fetched_at: Timestamp,
    /// When they have to be fetched again.
    pub(crate) fresh_until: Timestamp,
    /// Until when they may be used while newer ones cannot be fetched.
    pub(crate) stale_until: Timestamp,
}

/// The stored keys of `url`, fresh or stale.
pub(crate) async fn client_keys(
    host: &Host,
    url: &ClientIdUrl,
    now: Timestamp,
) -> Result<Option<StoredKeys>, RecordError> {
    let record = host.store().get(&keys_key(url), now).await?;
    record.map(|record| decode(&record.value)).transpose()
}

/// Stores keys for as long as they may be used stale, since the client got tokens with one of them. Writes once.
pub(super) async fn keep_client_keys(
    host: &Host,
    url: &ClientIdUrl,
    now: Timestamp,
) -> Result<(), RecordError> {
    let Some(record) = host.store().get(&keys_key(url), now).await? else { return Ok(()) };
    let keys: StoredKeys = decode(&record.value)?;
    if record.expires_at >= keys.stale_until {
        return Ok(());
    }
    put_client_keys(host, url, &keys, keys.stale_until).await
}

/// Stores keys.
pub(crate) async fn put_client_keys(
    host: &Host,
    url: &ClientIdUrl,
    keys: &StoredKeys,
    until: Timestamp,
) -> Result<(), RecordError> {
    Ok(host.store().put(&keys_key(url), encode(keys)?, until).await?)
}

fn keys_key(url: &ClientIdUrl) -> RecordKey {
    let digest = seal::digest("keys of a client", url.as_str().as_bytes());
    RecordKey::Client(format!("keys-{}", base64url_encode(&digest.0)))
}
