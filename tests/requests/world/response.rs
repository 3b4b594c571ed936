//! Responses of Deputy.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use url::Url;

/// A response with its whole body.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Response {
    pub(crate) fn of(response: http::Response<Bytes>) -> Self {
        let (parts, body) = response.into_parts();
        let text = String::from_utf8_lossy(&body).into_owned();
        Self { status: parts.status, headers: parts.headers, text }
    }

    pub(crate) fn header(&self, name: &str) -> String {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {} {}", self.status, self.text))
    }

    pub(crate) fn location(&self) -> Url {
        Url::parse(&self.header("location")).expect("a location")
    }
}

/// A response that is a stream of events.
pub(crate) struct Stream {
    body: Body,
    text: String,
}

impl Stream {
    pub(crate) fn of(response: http::Response<Body>) -> Self {
        Self { body: response.into_body(), text: String::new() }
    }

    /// Whether the stream ends without another message.
    pub(crate) async fn is_over(&mut self) -> bool {
        while let Some(frame) = self.body.frame().await {
            self.text +=
                str::from_utf8(&frame.expect("a whole stream").into_data().expect("data")).expect("UTF-8");
        }
        !self.text.contains("data: ")
    }

    /// The next JSON-RPC message.
    pub(crate) async fn next(&mut self) -> Value {
        tokio::time::timeout(PATIENCE, self.message()).await.expect("a message in time")
    }

    async fn message(&mut self) -> Value {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let rest = self.text.split_off(end + 2);
                let event = std::mem::replace(&mut self.text, rest);
                match event.split_once("data: ") {
                    Some((_, data)) => return serde_json::from_str(data).expect("JSON"),
                    // A comment, which keeps the connection alive.
                    None => continue,
                }
            }
            let frame = self.body.frame().await.expect("an event before the end").expect("a whole stream");
            self.text += str::from_utf8(&frame.into_data().expect("data")).expect("UTF-8");
        }
    }
}

/// Time after which a message is missing. The comments of a stream would go on for as long as its call waits.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(2);
