//! Clients that a metadata document describes, and stored registrations.
//!
//! Registrations are not stored: the `client_id` contains the metadata. There are two exceptions. A client that gets tokens
//! while the server key changes is stored, and so keeps its `client_id` when the old key is removed. And earlier versions
//! stored every registration.

use serde::{Deserialize, Serialize};

use super::{RecordError, assertions::keep_client_keys, decode, encode};
use crate::{
    config::Config,
    encoding::base64url_encode,
    host::{DAY, Host, RecordKey, Timestamp},
    oauth::{Client, ClientKeys, SealedClient},
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
            let Some(record) = host.store().get(&key, now).await? else { return Ok(None) };
            Ok(Some((decode(&record.value)?, MetadataSource::Stored(key, record.expires_at))))
        }
    }
}

/// Finds the client of an authorization request, and prolongs a stored registration: a client that seldom finishes a login
/// must not lose its `client_id`.
pub(crate) async fn authorizing_client(
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

/// The client that a metadata document describes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Document {
    pub(crate) client: Client,
    /// When the document has to be fetched again.
    pub(crate) fresh_until: Timestamp,
    /// Until when it may be used while it is out of reach.
    pub(crate) stale_until: Timestamp,
}

/// The stored document of `url`, fresh or stale.
pub(crate) async fn document(
    host: &Host,
    url: &ClientIdUrl,
    now: Timestamp,
) -> Result<Option<Document>, RecordError> {
    let record = host.store().get(&document_key(url), now).await?;
    record.map(|record| decode(&record.value)).transpose()
}

/// Stores a document.
pub(crate) async fn put_document(
    host: &Host,
    url: &ClientIdUrl,
    document: &Document,
    until: Timestamp,
) -> Result<(), RecordError> {
    Ok(host.store().put(&document_key(url), encode(document)?, until).await?)
}

/// Stores a document for as long as it may be used stale, since a user has logged in with it. Writes once.
async fn keep_document(host: &Host, url: &ClientIdUrl, now: Timestamp) -> Result<(), RecordError> {
    let Some(record) = host.store().get(&document_key(url), now).await? else { return Ok(()) };
    let document: Document = decode(&record.value)?;
    if record.expires_at >= document.stale_until {
        return Ok(());
    }
    put_document(host, url, &document, document.stale_until).await
}

/// Removes a document.
pub(crate) async fn forget_document(
    host: &Host,
    url: &ClientIdUrl,
    now: Timestamp,
) -> Result<(), RecordError> {
    host.store().take(&document_key(url), now).await?;
    Ok(())
}

fn document_key(url: &ClientIdUrl) -> RecordKey {
    // Earlier versions cannot read the authentication methods of today, and keep their own records.
    let digest = seal::digest("described client 2", url.as_str().as_bytes());
    RecordKey::Client(format!("document-{}", base64url_encode(&digest.0)))
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
    match source {
        MetadataSource::Document(url) => {
            if let Some(ClientKeys::AtUrl(keys)) = &client.keys {
                keep_client_keys(host, keys, now).await?;
            }
            keep_document(host, &url, now).await
        }
        MetadataSource::Retiring(key) => {
            let stored = host.store().get(&key, now).await?;
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
    Ok(host.store().put(&key, encode(client)?, now.plus(lifetime)).await?)
}

/// The key of a stored registration. Earlier versions issued a `client_id` without a dot, which was the key.
fn registration_key(client_id: &str) -> RecordKey {
    if !client_id.contains('.') {
        return RecordKey::Client(client_id.to_owned());
    }
    let digest = seal::digest("registered client", client_id.as_bytes());
    RecordKey::Client(format!("registered-{}", base64url_encode(&digest.0)))
}
