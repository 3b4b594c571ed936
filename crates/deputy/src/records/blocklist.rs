//! The clients and hosts that the operator has blocked.
//!
//! One record is the list. A copy of it is stored beside the clients, which any number of requests can read, and which may
//! be a minute old. The copy refuses a login at its beginning. The list itself refuses its end.

use serde::{Deserialize, Serialize};

use super::{MOST_RACES, RecordError, decode, encode, read};
use crate::{
    host::{DAY, Host, Record, RecordKey, Timestamp},
    seal,
    types::ClientId,
};

/// The clients and hosts that the operator has blocked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Blocklist {
    pub(crate) entries: Vec<Blocked>,
}

/// An entry of the list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Blocked {
    #[serde(flatten)]
    pub(crate) subject: Subject,
    pub(crate) since: Timestamp,
}

/// The subject of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Subject {
    Client(ClientId),
    /// Every client with this host in its redirect URI, or in the URL of its metadata document.
    Host(String),
}

impl Subject {
    /// Whether it is the client `id` with a redirect URI at `host`.
    pub(crate) fn is(&self, id: &ClientId, host: Option<&str>) -> bool {
        match self {
            Self::Client(blocked) => blocked == id,
            Self::Host(blocked) => {
                let of_document = matches!(id, ClientId::Document(url) if url.host() == blocked);
                of_document || host == Some(blocked)
            }
        }
    }
}

impl Blocklist {
    /// Entries at most.
    pub(crate) const MOST: usize = 500;

    /// Whether the client `id` with a redirect URI at `host` is blocked.
    pub(crate) fn blocks(&self, id: &ClientId, host: Option<&str>) -> bool {
        self.entries.iter().any(|entry| entry.subject.is(id, host))
    }

    /// Whether a redirect URI at `host` is blocked for every client.
    pub(crate) fn blocks_host(&self, host: &str) -> bool {
        self.entries.iter().any(|entry| matches!(&entry.subject, Subject::Host(blocked) if blocked == host))
    }
}

/// The list.
pub(crate) async fn blocklist(host: &Host, now: Timestamp) -> Result<Blocklist, RecordError> {
    Ok(read(host, &blocklist_key(), now).await?.unwrap_or_default())
}

/// The copy of the list, which may be a minute old.
pub(crate) async fn blocklist_copy(host: &Host, now: Timestamp) -> Result<Blocklist, RecordError> {
    Ok(read(host, &copy_key(), now).await?.unwrap_or_default())
}

/// Applies a change to the list and to its copy. `false`: the change is refused, and nothing was written.
pub(crate) async fn change_blocklist(
    host: &Host,
    now: Timestamp,
    change: impl Fn(&mut Blocklist) -> bool,
) -> Result<bool, RecordError> {
    for _ in 0..MOST_RACES {
        let record = host.store.get(&blocklist_key(), now).await?;
        let version = record.as_ref().map(|record| record.version);
        let mut list = list_in(record)?;
        if !change(&mut list) {
            return Ok(false);
        }
        if host.store.replace(&blocklist_key(), version, encode(&list)?, until(&list, now), now).await? {
            copy_blocklist(host, now).await?;
            return Ok(true);
        }
    }
    Err(RecordError::Contended("list of blocked clients"))
}

/// Writes the copy until it is that of the last list: another change may have been written meanwhile.
async fn copy_blocklist(host: &Host, now: Timestamp) -> Result<(), RecordError> {
    let mut record = host.store.get(&blocklist_key(), now).await?;
    for _ in 0..MOST_RACES {
        let version = record.as_ref().map(|record| record.version);
        let list = list_in(record)?;
        host.store.put(&copy_key(), encode(&list)?, until(&list, now)).await?;
        record = host.store.get(&blocklist_key(), now).await?;
        if record.as_ref().map(|record| record.version) == version {
            return Ok(());
        }
    }
    Err(RecordError::Contended("list of blocked clients"))
}

fn list_in(record: Option<Record>) -> Result<Blocklist, RecordError> {
    Ok(record.map(|record| decode(&record.value)).transpose()?.unwrap_or_default())
}

/// An empty list expires at once.
fn until(list: &Blocklist, now: Timestamp) -> Timestamp {
    now.plus(if list.entries.is_empty() { 1 } else { LIFETIME })
}

/// The record of the list, also as that of the copy, so that another store gets both. Empty if no client is blocked.
pub(crate) async fn blocklist_records(
    host: &Host,
    now: Timestamp,
) -> Result<Vec<(RecordKey, Record)>, RecordError> {
    let Some(record) = host.store.get(&blocklist_key(), now).await? else { return Ok(Vec::new()) };
    Ok([blocklist_key(), copy_key()].map(|key| (key, record.clone())).into())
}

fn blocklist_key() -> RecordKey {
    RecordKey::Blocklist(seal::digest("blocklist", b""))
}

fn copy_key() -> RecordKey {
    RecordKey::Client("blocklist".to_owned())
}

/// Ten years.
const LIFETIME: u64 = 3650 * DAY;
