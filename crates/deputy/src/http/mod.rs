//! Responses, and reading of requests.

mod body;
mod cookies;
mod fetch_metadata;
mod fields;

pub(crate) use body::{BodyError, TIME, read_body, read_counted_body};
pub(crate) use cookies::{cookies, set_cookie};
pub(crate) use fetch_metadata::{Initiator, is_in_background};
pub(crate) use fields::{essence, has_json, has_media_type, list};

use axum::body::Body;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{
    host::RetryAfter,
    oauth::{ErrorCode, ErrorResponse},
};

pub(crate) type Response = http::Response<Body>;

/// An extension of a response: its body is a stream that stays open while a tool works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StaysOpen;

/// A JSON document that caches must not store.
pub(crate) fn json(status: StatusCode, document: &impl Serialize) -> Response {
    // Documents consist of strings, numbers, lists and maps with string keys, so this cannot fail.
    json_text(status, serde_json::to_string(document).unwrap_or_default())
}

/// A response with JSON text.
pub(crate) fn json_text(status: StatusCode, document: String) -> Response {
    let mut response = Response::new(Body::from(document));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An error response (OAuth 2.1 §3.2.4).
pub(crate) fn error(status: StatusCode, error: ErrorCode, description: impl ToString) -> Response {
    json(status, &ErrorResponse { error, error_description: description.to_string() })
}

/// A response without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A redirect that the browser follows with `GET`, whatever the method of the request (RFC 9700 §4.12).
pub(crate) fn redirect(location: &str) -> Response {
    let mut response = empty(StatusCode::SEE_OTHER);
    let headers = response.headers_mut();
    // Locations consist of checked URIs and form-encoded parameters, which are visible ASCII.
    if let Ok(location) = HeaderValue::try_from(location) {
        headers.insert(header::LOCATION, location);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Adds `Retry-After` (RFC 9110 §10.2.3).
pub(crate) fn with_retry_after(mut response: Response, RetryAfter(seconds): RetryAfter) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
