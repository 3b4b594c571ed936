//! Documents that this server fetched from the publishers of clients: client metadata, and the keys of clients.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{RecordError, decode, encode, read};
use crate::{
    encoding::base64url_encode,
    host::{Host, RecordKey, Timestamp},
    oauth::Client,
    seal,
    types::ClientIdUrl,
};

/// The client that a metadata document describes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Document {
    pub(crate) client: Client,
    /// When the document has to be fetched again.
    pub(crate) fresh_until: Timestamp,
    /// Until when it may be used while it is out of reach.
    pub(crate) stale_until: Timestamp,
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

/// A kind of fetched document.
pub(crate) trait Fetched: Serialize + DeserializeOwned {
    /// The name of the record of `url`.
    fn key(url: &ClientIdUrl) -> RecordKey;

    /// Until when it may be used while it cannot be fetched again.
    fn stale_until(&self) -> Timestamp;
}

impl Fetched for Document {
    fn key(url: &ClientIdUrl) -> RecordKey {
        // Earlier versions cannot read the authentication methods of today, and keep their own records.
        key("document", "described client 2", url)
    }

    fn stale_until(&self) -> Timestamp {
        self.stale_until
    }
}

impl Fetched for StoredKeys {
    fn key(url: &ClientIdUrl) -> RecordKey {
        key("keys", "keys of a client", url)
    }

    fn stale_until(&self) -> Timestamp {
        self.stale_until
    }
}

fn key(kind: &str, purpose: &str, url: &ClientIdUrl) -> RecordKey {
    let digest = seal::digest(purpose, url.as_str().as_bytes());
    RecordKey::Client(format!("{kind}-{}", base64url_encode(&digest.0)))
}

/// The stored document of `url`, fresh or stale.
pub(crate) async fn fetched<T: Fetched>(
    host: &Host,
    url: &ClientIdUrl,
    now: Timestamp,
) -> Result<Option<T>, RecordError> {
    read(host, &T::key(url), now).await
}

/// Stores a document.
pub(crate) async fn put_fetched<T: Fetched>(
    host: &Host,
    url: &ClientIdUrl,
    document: &T,
    until: Timestamp,
) -> Result<(), RecordError> {
    Ok(host.store.put(&T::key(url), encode(document)?, until).await?)
}

/// Stores a document for as long as it may be used stale, since the client got tokens with it. Writes once.
pub(super) async fn keep_fetched<T: Fetched>(
    host: &Host,
    url: &ClientIdUrl,
    now: Timestamp,
) -> Result<(), RecordError> {
    let Some(record) = host.store.get(&T::key(url), now).await? else { return Ok(()) };
    let document: T = decode(&record.value)?;
    if record.expires_at >= document.stale_until() {
        return Ok(());
    }
    put_fetched(host, url, &document, document.stale_until()).await
}

/// Removes a document.
pub(crate) async fn forget_fetched<T: Fetched>(
    host: &Host,
    url: &ClientIdUrl,
    now: Timestamp,
) -> Result<(), RecordError> {
    host.store.take(&T::key(url), now).await?;
    Ok(())
}
