//! Registered clients, and clients that a metadata document describes.

use serde::{Deserialize, Serialize};

use super::{RecordError, decode, encode};
use crate::{
    config::Config,
    encoding::base64url_encode,
    host::{DAY, Host, RecordKey, Timestamp},
    oauth::Client,
    seal,
    types::{ClientId, ClientIdUrl, RegisteredId},
};

/// Loads the client of an authorization request, and prolongs its registration: a client that seldom finishes a login must not
/// lose its `client_id`.
pub(crate) async fn authorizing_client(
    host: &Host,
    id: &RegisteredId,
    now: Timestamp,
) -> Result<Option<Client>, RecordError> {
    let Some((client, expires_at)) = client(host, id, now).await? else { return Ok(None) };
    if let Err(error) = prolong_client(host, &client, expires_at, Client::UNUSED_LIFETIME, now).await {
        tracing::error!(client = %client.id, %error, "a registration could not be prolonged");
    }
    Ok(Some(client))
}

/// Loads a client, and when its registration expires.
pub(crate) async fn client(
    host: &Host,
    id: &RegisteredId,
    now: Timestamp,
) -> Result<Option<(Client, Timestamp)>, RecordError> {
    let record = host.store().get(&RecordKey::Client(id.to_string()), now).await?;
    record.map(|record| Ok((decode(&record.value)?, record.expires_at))).transpose()
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
    let digest = seal::digest("described client", url.as_str().as_bytes());
    RecordKey::Client(format!("document-{}", base64url_encode(&digest.0)))
}

/// Stores a new registration. Anybody can register clients and fill the store, so a registration lives for a shorter time until
/// a user has logged in with it.
pub(crate) async fn put_new_client(host: &Host, client: &Client, now: Timestamp) -> Result<(), RecordError> {
    put_client(host, client, now.plus(Client::UNUSED_LIFETIME)).await
}

/// Prolongs a client that was issued tokens to its whole lifetime from now. Its registration, as this request read it, expires
/// at `expires_at`.
pub(crate) async fn keep_client(
    host: &Host,
    config: &Config,
    client: &Client,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<(), RecordError> {
    match &client.id {
        ClientId::Document(url) => keep_document(host, url, now).await,
        ClientId::Registered(_) => {
            prolong_client(host, client, expires_at, Client::lifetime(config), now).await
        }
    }
}

/// Prolongs a registration to `lifetime` seconds from now, unless that would add less than a day.
async fn prolong_client(
    host: &Host,
    client: &Client,
    expires_at: Timestamp,
    lifetime: u64,
    now: Timestamp,
) -> Result<(), RecordError> {
    if expires_at.plus(DAY) > now.plus(lifetime) {
        return Ok(());
    }
    put_client(host, client, now.plus(lifetime)).await
}

async fn put_client(host: &Host, client: &Client, until: Timestamp) -> Result<(), RecordError> {
    Ok(host.store().put(&RecordKey::Client(client.id.to_string()), encode(client)?, until).await?)
}
