//! Answers, and reading requests.

pub(crate) mod remainder;

use std::{pin::pin, time::Duration};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{
    FutureExt as _,
    future::{Either, select},
};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use serde::Serialize;

use crate::{
    host::Host,
    oauth::{ErrorCode, ErrorResponse},
};

/// An answer.
pub(crate) type Answer = Response<Body>;

/// A JSON document that must not be kept by a cache.
pub(crate) fn json(status: StatusCode, document: &impl Serialize) -> Answer {
    // Documents are made of strings, numbers, lists and maps with string keys.
    json_text(status, serde_json::to_string(document).unwrap_or_default())
}

/// A JSON document that is text already.
pub(crate) fn json_text(status: StatusCode, document: String) -> Answer {
    let mut response = Response::new(Body::from(document));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An error response (OAuth 2.1 §3.2.4).
pub(crate) fn error(status: StatusCode, error: ErrorCode, description: impl ToString) -> Answer {
    json(status, &ErrorResponse { error, error_description: description.to_string() })
}

/// An empty answer.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A redirect that makes a `GET` of whatever it answers (RFC 9700 §4.12).
pub(crate) fn redirect(location: &str) -> Answer {
    let mut response = empty(StatusCode::SEE_OTHER);
    let headers = response.headers_mut();
    // Locations are made of checked URIs and form-encoded parameters, which are visible ASCII.
    if let Ok(location) = HeaderValue::try_from(location) {
        headers.insert(header::LOCATION, location);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// The whole body, if it is no longer than `limit` bytes and arrives in time.
pub(crate) async fn body(host: &dyn Host, body: Body, limit: usize) -> Result<Bytes, BodyError> {
    counted_body(host, body, limit, |_| true).await
}

/// The same, for as long as `admits` takes the bytes that have come.
pub(crate) async fn counted_body(
    host: &dyn Host,
    body: Body,
    limit: usize,
    admits: impl FnMut(usize) -> bool,
) -> Result<Bytes, BodyError> {
    let mut whole = pin!(collect(body, limit, admits));
    // Most bodies are there.
    if let Some(read) = whole.as_mut().now_or_never() {
        return read;
    }
    match select(whole, host.sleep(TIME)).await {
        Either::Left((read, _)) => read,
        Either::Right(_) => Err(BodyError::Late),
    }
}

/// Copies the bytes: a body that comes in a million pieces takes no more than one that comes in one.
async fn collect(
    body: Body,
    limit: usize,
    mut admits: impl FnMut(usize) -> bool,
) -> Result<Bytes, BodyError> {
    let mut body = pin!(body);
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| BodyError::Broken)?;
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len() + data.len() > limit {
            return Err(BodyError::TooLarge);
        }
        if !admits(data.len()) {
            return Err(BodyError::TooMany);
        }
        bytes.extend_from_slice(data);
    }
    Ok(bytes.freeze())
}

/// How long a body may take, and then what remains of it. The native host gives it less.
const TIME: Duration = Duration::from_secs(20);

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The connection broke.
    Broken,
    /// It did not arrive in time.
    Late,
    /// Longer than allowed.
    TooLarge,
    /// There are too many others.
    TooMany,
}

impl BodyError {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

/// Whether the body's media type is `media_type`, whatever its parameters.
pub(crate) fn has_media_type(headers: &HeaderMap, media_type: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(media_type)
}

/// Whether the body is JSON, by itself or as another format's syntax (RFC 6839 §3.1).
pub(crate) fn has_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.starts_with("application/") && essence.ends_with("+json")
}

/// The cookies of a request, in order.
pub(crate) fn cookies(headers: &HeaderMap) -> Vec<(String, String)> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Sets a cookie that only this host gets, over TLS (or on this computer), and no script sees.
pub(crate) fn set_cookie(response: &mut Answer, name: &str, value: &str, seconds: u64) {
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; Secure; SameSite=Lax");
    // Names and values are base64url and hexadecimal.
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
