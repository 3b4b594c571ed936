//! The records of a running Deputy, which `deputy store copy` takes to another store.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Mutex,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use deputy::host::{BoxFuture, Timestamp};
use http::StatusCode;
use serde::Deserialize;
use tokio::time::sleep;

use super::remote::{AdminError, Remote};
use crate::{
    store::{CopyError, Cursor, Page, RecordSource, Row},
    sync::lock,
};

/// The admin interface as the place that records are copied from.
pub(crate) struct RemoteRecords {
    remote: Remote,
    place: String,
    /// The kind, the name and a hash of the value of each record that was read.
    read: Mutex<HashMap<(String, String), u64>>,
}

#[derive(Deserialize)]
struct Part {
    records: Vec<Stored>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Stored {
    kind: String,
    name: String,
    value: String,
    expires_at: u64,
}

impl RemoteRecords {
    pub(crate) fn of(remote: Remote) -> Self {
        Self { place: remote.base().to_string(), remote, read: Mutex::default() }
    }

    /// The records after a grant. Waits while there were too many requests.
    async fn part(&self, after: &str) -> Result<Part, AdminError> {
        let after: Vec<_> = (!after.is_empty()).then(|| ("after", after.to_owned())).into_iter().collect();
        for _ in 0..MOST_TRIES {
            match self.remote.get("records", &after).await {
                Err(AdminError::Refused { status: StatusCode::TOO_MANY_REQUESTS, .. }) => sleep(PAUSE).await,
                result => return result,
            }
        }
        self.remote.get("records", &after).await
    }
}

impl RecordSource for RemoteRecords {
    fn place(&self) -> &str {
        &self.place
    }

    fn page<'a>(&'a self, after: &'a Cursor, _: Timestamp) -> BoxFuture<'a, Result<Page, CopyError>> {
        Box::pin(async move {
            let part = self.part(&after.name).await.map_err(|error| CopyError::Remote(error.to_string()))?;
            let mut rows = Vec::new();
            for Stored { kind, name, value, expires_at } in part.records {
                let value = STANDARD.decode(value).map_err(|_| self.unexpected())?;
                // The record of a user comes with each part that has a grant of the user.
                if lock(&self.read).insert((kind.clone(), name.clone()), hash(&value)).is_none() {
                    let expires_at = i64::try_from(expires_at).map_err(|_| self.unexpected())?;
                    rows.push(Row { kind, name, value, expires_at });
                }
            }
            Ok(Page { rows, next: part.next.map(|name| Cursor { kind: "grant".to_owned(), name }) })
        })
    }

    /// Reads everything once more.
    fn check_unused(&self) -> BoxFuture<'_, Result<(), CopyError>> {
        Box::pin(async move {
            let before = std::mem::take(&mut *lock(&self.read));
            let mut after = Cursor::default();
            while let Some(next) = self.page(&after, Timestamp(0)).await?.next {
                after = next;
            }
            if *lock(&self.read) == before { Ok(()) } else { Err(CopyError::Changed(self.place.clone())) }
        })
    }
}

impl RemoteRecords {
    fn unexpected(&self) -> CopyError {
        CopyError::Remote(format!("{} responded with something else than records", self.place))
    }
}

fn hash(value: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Time until a request is sent again that was one too many.
const PAUSE: Duration = Duration::from_secs(10);

const MOST_TRIES: usize = 12;
