//! Responses that the router does not make.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};

/// The request lacks its one `Host` (RFC 9112 §3.2).
pub(super) fn bad_request() -> Response<Body> {
    let mut response = Response::new(Body::from("A request needs one Host header.\n"));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

/// Every place is taken, and too many requests wait for one already (RFC 9110 §15.6.4).
pub(super) fn too_busy() -> Response<Body> {
    let mut response =
        Response::new(Body::from("Too many requests wait for a response. Try again in a second.\n"));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// The router panicked.
pub(super) fn internal_error() -> Response<Body> {
    let mut response = Response::new(Body::from("Something went wrong on our side.\n"));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
