//! Requests, each with a time limit, all of them within one.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use deputy::{
    host::{Clock, FetchError, FetchLimits, HttpClient, Reach, SecureRandom},
    oidc::Proof,
};
use http::{Request, Response, StatusCode, header};
use serde_json::Value;
use tokio::time::Instant;

use super::pages::Pages;
use crate::host::fill_random;

/// Clock, randomness and outgoing HTTP.
pub(crate) trait Parts: Clock + HttpClient + SecureRandom {}

impl<T: Clock + HttpClient + SecureRandom> Parts for T {}

/// Sends requests until its deadline.
#[derive(Clone)]
pub(crate) struct Probe {
    host: Arc<dyn Parts>,
    deadline: Instant,
    /// The longest time for one request.
    each: Duration,
}

/// A JSON document of the management API.
pub(crate) type Read = Result<Value, Unread>;

/// Why a document was not read.
#[derive(Clone, Debug)]
pub(crate) enum Unread {
    /// There is no such object.
    Absent,
    /// The worker may not read it. The URL and the status of the response.
    Forbidden(String, u16),
    /// It is not known whether there is one.
    Unknown(String),
}

impl Probe {
    /// A probe whose requests all end within `duration`.
    pub(crate) fn within(host: Arc<dyn Parts>, duration: Duration) -> Self {
        Self { host, deadline: Instant::now() + duration, each: EACH }
    }

    /// This probe with another time limit for one request.
    pub(crate) fn with_each(self, each: Duration) -> Self {
        Self { each, ..self }
    }

    pub(crate) fn host(&self) -> &Arc<dyn Parts> {
        &self.host
    }

    /// The time and the randomness for a client assertion.
    pub(crate) fn proof(&self) -> Proof<'_> {
        Proof { now: self.host.now(), random: &fill_random }
    }

    pub(crate) async fn fetch(&self, request: Request<Bytes>) -> Result<Response<Bytes>, FetchError> {
        let deadline = self.deadline.saturating_duration_since(Instant::now()).min(self.each);
        let limits = FetchLimits { deadline, max_bytes: 4 * 1024 * 1024, reach: Reach::Anywhere };
        self.host.fetch(request, limits).await
    }

    /// Sends a `GET` request, with a bearer token if there is one.
    pub(crate) async fn get(&self, url: &str, token: Option<&str>) -> Result<Response<Bytes>, FetchError> {
        let mut request = Request::get(url).header(header::ACCEPT, "application/json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Bytes::new());
        self.fetch(request.map_err(|_| FetchError::Connection("this is not a URL".to_owned()))?).await
    }

    /// Reads a document of the management API.
    pub(crate) async fn read(&self, url: &str, token: &str) -> Read {
        let unknown = |reason: String| Unread::Unknown(format!("{url} {reason}"));
        let response = self.get(url, Some(token)).await.map_err(|error| unknown(error.to_string()))?;
        match response.status() {
            StatusCode::OK => {
                serde_json::from_slice(response.body()).map_err(|_| unknown("is not JSON".to_owned()))
            }
            StatusCode::NOT_FOUND => Err(Unread::Absent),
            status @ (StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) => {
                Err(Unread::Forbidden(url.to_owned(), status.as_u16()))
            }
            status => Err(unknown(format!("responds with {}", status.as_u16()))),
        }
    }

    /// Reads all pages of a collection, and returns its items.
    pub(crate) async fn read_all(&self, url: &str, token: &str, name: &str) -> Read {
        let mut pages = Pages::of(url.to_owned(), name);
        let truncated = |truncated| Unread::Unknown(format!("{url} {truncated}"));
        while let Some(next) = pages.next().map_err(truncated)? {
            pages.add(self.read(&next, token).await?);
        }
        Ok(Value::Array(pages.items))
    }
}

/// The longest time for one request, unless another one is set.
const EACH: Duration = Duration::from_secs(4);
