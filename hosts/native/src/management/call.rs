//! Requests that are repeated while their failure may pass, and the outcomes that they have otherwise.

use std::time::Duration;

use bytes::Bytes;
use deputy::{host::FetchError, retry_after};
use http::{Method, Request, Response, StatusCode, header};
use serde_json::Value;

use super::{
    Management,
    pages::{Pages, Truncated},
};
use crate::admin::printable;

/// Why a request has no result. No text contains a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The object at the path, or that above it, does not exist.
    #[error("{0} responds with 404: it does not exist")]
    Absent(String),
    /// The roles of the worker do not allow the request.
    #[error("{0} responds with {1}: the roles of the worker do not allow it")]
    Forbidden(String, u16),
    /// A property is not acceptable.
    #[error("{request} responds with {status}: {reason}")]
    Invalid { request: String, status: u16, reason: String },
    /// Another object has the name, or the same contents.
    #[error("{0} responds with 400: there is such an object already")]
    NotUnique(String),
    /// The collection is not complete.
    #[error("{0}")]
    Truncated(Truncated),
    /// The request may have taken effect.
    #[error("{0}, and whether it took effect is not known")]
    Unknown(String),
    /// The request took no effect, or was a read, and fails again and again.
    #[error("{0}")]
    Unavailable(String),
}

/// The meaning of a `404`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absence {
    /// There is no such object.
    Counts,
    /// PingOne has named the object, and does not find it everywhere yet.
    Passes,
}

/// The result of one attempt.
enum Attempt {
    Done(Value),
    Failed(CallError),
    /// The request took no effect, or may be sent twice. PingOne may demand a pause.
    Again {
        reason: String,
        pause: Option<u64>,
    },
}

impl Management {
    /// Reads the object at a path that another response named.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, CallError> {
        self.send(&Method::GET, &self.url(path), None, Absence::Passes).await
    }

    /// Reads the object at a path, if there is one.
    pub(crate) async fn find(&self, path: &str) -> Result<Option<Value>, CallError> {
        match self.send(&Method::GET, &self.url(path), None, Absence::Counts).await {
            Err(CallError::Absent(_)) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Reads the items of the collection at a path, which has this name.
    pub(crate) async fn list(&self, path: &str, name: &str) -> Result<Vec<Value>, CallError> {
        let mut pages = Pages::of(self.url(path), name);
        while let Some(url) = pages.next().map_err(CallError::Truncated)? {
            pages.add(self.send(&Method::GET, &url, None, Absence::Passes).await?);
        }
        Ok(pages.items)
    }

    /// Creates an object in the collection at a path, and returns it.
    pub(crate) async fn create(&self, path: &str, body: &Value) -> Result<Value, CallError> {
        self.send(&Method::POST, &self.url(path), Some(body), Absence::Passes).await
    }

    /// Replaces the object at a path, and returns it.
    pub(crate) async fn replace(&self, path: &str, body: &Value) -> Result<Value, CallError> {
        self.send(&Method::PUT, &self.url(path), Some(body), Absence::Passes).await
    }

    /// Deletes the object at a path, if it is still there.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), CallError> {
        match self.send(&Method::DELETE, &self.url(path), None, Absence::Counts).await {
            Ok(_) | Err(CallError::Absent(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Waits before attempt `number` at something that PingOne does not show yet.
    pub(crate) async fn pause(&self, number: u32) {
        let millis = FIRST_PAUSE << number.saturating_sub(1).min(6);
        let mut random = [0];
        self.probe.host().fill(&mut random);
        // Up to half of it more, so that two runs do not go on in step.
        let more = millis / 2 * u64::from(random[0]) / 255;
        self.probe.host().sleep(Duration::from_millis(millis + more)).await;
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Sends a request until it has an outcome, [`ATTEMPTS`] times at most.
    async fn send(
        &self,
        method: &Method,
        url: &str,
        body: Option<&Value>,
        absence: Absence,
    ) -> Result<Value, CallError> {
        for number in 1.. {
            let (reason, pause) = match self.attempt(method, url, body).await {
                Attempt::Done(value) => return Ok(value),
                Attempt::Failed(CallError::Absent(request))
                    if absence == Absence::Passes && number < ATTEMPTS =>
                {
                    (request, None)
                }
                Attempt::Failed(error) => return Err(error),
                Attempt::Again { reason, pause } => (reason, pause),
            };
            match pause {
                Some(seconds) if seconds > LONGEST_PAUSE => {
                    let reason = format!("{reason}, and wants the next request after {seconds} seconds");
                    return Err(CallError::Unavailable(reason));
                }
                _ if number >= ATTEMPTS => return Err(CallError::Unavailable(reason)),
                Some(seconds) => self.probe.host().sleep(Duration::from_secs(seconds)).await,
                None => self.pause(number).await,
            }
        }
        unreachable!("the loop returns at the last attempt")
    }

    async fn attempt(&self, method: &Method, url: &str, body: Option<&Value>) -> Attempt {
        let name = self.name(method, url);
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token.expose()))
            .body(body.map(|body| Bytes::from(body.to_string())).unwrap_or_default());
        let sent = match request {
            Ok(request) => self.probe.fetch(request).await,
            Err(_) => Err(FetchError::Connection("this is not a URL".to_owned())),
        };
        let response = match sent {
            Ok(response) => response,
            Err(error) => return repeated(method, format!("{name}: {error}"), None),
        };
        let status = response.status();
        match status {
            StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => {
                match serde_json::from_slice(response.body()) {
                    Ok(value) => Attempt::Done(value),
                    Err(_) if response.body().is_empty() => Attempt::Done(Value::Null),
                    Err(_) => repeated(method, format!("{name}: the response is not JSON"), None),
                }
            }
            StatusCode::NOT_FOUND => Attempt::Failed(CallError::Absent(name)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Attempt::Failed(CallError::Forbidden(name, status.as_u16()))
            }
            // PingOne has not processed these.
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Attempt::Again {
                reason: format!("{name} responds with {}", status.as_u16()),
                pause: retry_after(&response, self.probe.host().now()),
            },
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                repeated(method, format!("{name} responds with {}", status.as_u16()), None)
            }
            _ => Attempt::Failed(invalid(name, &response)),
        }
    }

    /// A request in texts: its method, and its path below the environment.
    fn name(&self, method: &Method, url: &str) -> String {
        let path = url.strip_prefix(&self.base).unwrap_or(url);
        format!("{method} {}", path.split('?').next().unwrap_or_default())
    }
}

/// A failure after which only requests that may be sent twice are repeated.
fn repeated(method: &Method, reason: String, pause: Option<u64>) -> Attempt {
    if *method == Method::POST {
        Attempt::Failed(CallError::Unknown(reason))
    } else {
        Attempt::Again { reason, pause }
    }
}

/// The error in a response. Its message is left out, since it may repeat a value of the request.
fn invalid(request: String, response: &Response<Bytes>) -> CallError {
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let details = body["details"].as_array().map(Vec::as_slice).unwrap_or_default();
    if details.iter().any(|detail| detail["code"] == "UNIQUENESS_VIOLATION") {
        return CallError::NotUnique(request);
    }
    let text =
        |value: &Value| printable(&value.as_str().unwrap_or_default().chars().take(80).collect::<String>());
    let reasons: Vec<_> = details
        .iter()
        .take(3)
        .map(|detail| format!("{} {}", text(&detail["code"]), text(&detail["target"])).trim().to_owned())
        .collect();
    let reason = if reasons.is_empty() { text(&body["code"]) } else { reasons.join(", ") };
    CallError::Invalid { request, status: response.status().as_u16(), reason }
}

/// Attempts at one request.
pub(crate) const ATTEMPTS: u32 = 6;

/// Milliseconds before the second attempt; each further pause is twice as long.
const FIRST_PAUSE: u64 = 400;

/// Seconds that PingOne may demand before the next attempt. After that the command fails, and can be run again.
const LONGEST_PAUSE: u64 = 60;
