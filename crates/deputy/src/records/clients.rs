//! Clients that a metadata document describes, and stored registrations.
//!
//! Registrations are not stored: the `client_id` contains the metadata. There are two exceptions. A client that gets tokens
//! while the server key changes is stored, and so keeps its `client_id` when the old key is removed. And earlier versions
//! stored every registration.

use super::{
    RecordError, decode,
    documents::{Document, StoredKeys, keep_fetched},
    encode,
};
use crate::{
    config::Config,
    encoding::base64url_encode,
    host::{DAY, Host, RecordKey, Timestamp},
    jose::ClientKeys,
    oauth::{Client, SealedClient},
    seal,
    types::ClientIdUrl,
};

/// The place of a client's metadata. The use of a client prolongs its record.
#[derive(Debug)]
pub(crate) enum MetadataSource {
    /// In its document.
    Document(ClientIdUrl),
    /// In its `client_id`, under a key that the operator is about to remove.
    Retiring(RecordKey),
    /// In its `client_id`, or in the configuration.
    NotStored,
    /// In a record that expires then.
    Stored(RecordKey, Timestamp),
}

/// Finds a client that registered, and where its metadata is. There is none while clients cannot register.
pub(crate) async fn registered_client(
    host: &Host,
    config: &Config,
    client_id: &str,
    now: Timestamp,
) -> Result<Option<(Client, MetadataSource)>, RecordError> {
    if !config.admission.registration {
        return Ok(None);
    }
    match SealedClient::open(client_id, config) {
        Some(SealedClient { client, is_retiring: false }) => Ok(Some((client, MetadataSource::NotStored))),
        Some(SealedClient { client, is_retiring: true }) => {
            Ok(Some((client, MetadataSource::Retiring(registration_key(client_id)))))
        }
        None => {
            let key = registration_key(client_id);
            let Some(record) = host.store.get(&key, now).await? else { return Ok(None) };
            Ok(Some((decode(&record.value)?, MetadataSource::Stored(key, record.expires_at))))
        }
    }
}

/// Finds the client of an authorization request, and prolongs a stored registration: a client that seldom finishes a login
/// must not lose its `client_id`.
pub(crate) async fn find_and_prolong_client(
    host: &Host,
    config: &Config,
    client_id: &str,
    now: Timestamp,
) -> Result<Option<Client>, RecordError> {
    let Some((client, source)) = registered_client(host, config, client_id, now).await? else {
        return Ok(None);
    };
    if let MetadataSource::Stored(key, expires_at) = source
        && let Err(error) = prolong(host, key, &client, expires_at, Client::UNUSED_LIFETIME, now).await
    {
        tracing::error!(client = %client.id, %error, "a registration could not be prolonged");
    }
    Ok(Some(client))
}

/// Keeps a client that was issued tokens for its whole lifetime from now.
pub(crate) async fn keep_client(
    host: &Host,
    config: &Config,
    client: &Client,
    source: MetadataSource,
    now: Timestamp,
) -> Result<(), RecordError> {
    let lifetime = Client::lifetime(config);
    if let Some(ClientKeys::AtUrl(keys)) = &client.keys {
        keep_fetched::<StoredKeys>(host, keys, now).await?;
    }
    match source {
        MetadataSource::Document(url) => keep_fetched::<Document>(host, &url, now).await,
        MetadataSource::Retiring(key) => {
            let stored = host.store.get(&key, now).await?;
            prolong(host, key, client, stored.map_or(now, |record| record.expires_at), lifetime, now).await
        }
        MetadataSource::NotStored => Ok(()),
        MetadataSource::Stored(key, expires_at) => {
            prolong(host, key, client, expires_at, lifetime, now).await
        }
    }
}

/// Stores a registration for `lifetime` seconds from now, unless that would add less than a day.
async fn prolong(
    host: &Host,
    key: RecordKey,
    client: &Client,
    expires_at: Timestamp,
    lifetime: u64,
    now: Timestamp,
) -> Result<(), RecordError> {
    if expires_at.plus(DAY) > now.plus(lifetime) {
        return Ok(());
    }
    Ok(host.store.put(&key, encode(client)?, now.plus(lifetime)).await?)
}

/// The key of a stored registration. Earlier versions issued a `client_id` without a dot, which was the key.
fn registration_key(client_id: &str) -> RecordKey {
    if !client_id.contains('.') {
        return RecordKey::Client(client_id.to_owned());
    }
    let digest = seal::digest("registered client", client_id.as_bytes());
    RecordKey::Client(format!("registered-{}", base64url_encode(&digest.0)))
}
