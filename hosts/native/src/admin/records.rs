//! The records of a running Deputy, which `deputy store copy` takes to another store.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use deputy::host::{BoxFuture, FetchError, Timestamp};
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
    /// Grants in each part at most.
    limit: AtomicUsize,
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
        let limit = AtomicUsize::new(MOST_GRANTS);
        Self { place: remote.base().to_string(), remote, limit, read: Mutex::default() }
    }

    /// The records after a grant. Waits while there were too many requests, and asks for fewer grants when they are too large.
    async fn part(&self, after: &str) -> Result<Part, AdminError> {
        let mut tries = 0;
        loop {
            let limit = self.limit.load(Ordering::Relaxed);
            let mut params = vec![("limit", limit.to_string())];
            params.extend((!after.is_empty()).then(|| ("after", after.to_owned())));
            match self.remote.get("records", &params).await {
                Err(AdminError::Refused { status: StatusCode::TOO_MANY_REQUESTS, .. })
                    if tries < MOST_TRIES =>
                {
                    tries += 1;
                    sleep(PAUSE).await;
                }
                Err(AdminError::Unreachable { error: FetchError::TooLarge, .. }) if limit > 1 => {
                    self.limit.store(limit / 2, Ordering::Relaxed);
                }
                result => return result,
            }
        }
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
                let hash = hash(&value);
                // The record of a user comes with each part that has a grant of the user.
                match lock(&self.read).insert((kind.clone(), name.clone()), hash) {
                    Some(before) if before == hash => {}
                    Some(_) => return Err(CopyError::Changed(self.place.clone())),
                    None => {
                        let expires_at = i64::try_from(expires_at).map_err(|_| self.unexpected())?;
                        rows.push(Row { kind, name, value, expires_at });
                    }
                }
            }
            // Without a later grant, the same part would be read for ever.
            if part.next.as_ref().is_some_and(|next| *next <= after.name) {
                return Err(self.unexpected());
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

/// Grants in a part until a part is too large. The server may give fewer.
const MOST_GRANTS: usize = 50;

/// Pause after a `429`.
const PAUSE: Duration = Duration::from_secs(10);

const MOST_TRIES: usize = 12;

#[cfg(test)]
mod tests {
    use axum::{Router, extract::Request};
    use reqwest::Url;
    use serde_json::{Value, json};
    use tokio::net::TcpListener;

    use super::*;
    use crate::env_file::EnvFile;

    type Params = HashMap<String, String>;

    /// The records of a server that responds with `part`.
    async fn source(part: impl Fn(&Params) -> Value + Clone + Send + Sync + 'static) -> RemoteRecords {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let router = Router::new().fallback(async move |request: Request| {
            let url = Url::parse(&format!("http://localhost{}", request.uri())).unwrap();
            part(&url.query_pairs().into_owned().collect()).to_string()
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        let mut file = EnvFile::default();
        file.insert("ADMIN_TOKEN".to_owned(), "operator".to_owned());
        RemoteRecords::of(Remote::new(Some(url), &file).unwrap())
    }

    fn user(value: &str) -> Value {
        json!({ "kind": "user", "name": "alice", "value": STANDARD.encode(value), "expires_at": 9 })
    }

    async fn all(source: &RemoteRecords) -> Result<Vec<Row>, CopyError> {
        let (mut rows, mut after) = (Vec::new(), Cursor::default());
        loop {
            let page = source.page(&after, Timestamp(0)).await?;
            rows.extend(page.rows);
            let Some(next) = page.next else { return Ok(rows) };
            after = next;
        }
    }

    #[tokio::test]
    async fn record_that_changes_between_parts_ends_the_copy() {
        let parts = |values: [&'static str; 2]| {
            source(move |params| match params.get("after") {
                None => json!({ "records": [user(values[0])], "next": "01" }),
                Some(_) => json!({ "records": [user(values[1])] }),
            })
        };
        assert_eq!(all(&parts(["one", "one"]).await).await.unwrap().len(), 1);
        assert!(matches!(all(&parts(["one", "two"]).await).await, Err(CopyError::Changed(_))));
    }

    #[tokio::test]
    async fn part_that_is_too_large_is_read_with_fewer_grants() {
        let source = source(|params| {
            let limit: usize = params["limit"].parse().unwrap();
            json!({ "records": [user(&"x".repeat(limit * 100_000))] })
        })
        .await;
        let rows = all(&source).await.unwrap();
        assert_eq!(rows[0].value.len() / 100_000, MOST_GRANTS / 2);
    }

    #[tokio::test]
    async fn part_that_repeats_its_cursor_is_refused() {
        let source = source(|_| json!({ "records": [], "next": "01" })).await;
        assert!(matches!(all(&source).await, Err(CopyError::Remote(_))));
    }
}
