//! Responses of the server itself.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};

pub(crate) fn bad_request() -> Response<Body> {
    response(StatusCode::BAD_REQUEST, "A request needs exactly one Host header.\n")
}

pub(crate) fn internal_error() -> Response<Body> {
    response(StatusCode::INTERNAL_SERVER_ERROR, "The server failed on this request. Its log says where.\n")
}

/// Too many requests wait for a connection slot (RFC 9110 §15.6.4).
pub(crate) fn too_busy() -> Response<Body> {
    let text = "Too many requests are waiting. Try again in a second.\n";
    let mut response = response(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn response(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}
