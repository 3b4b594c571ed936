//! Refusal of compressed request bodies.

use axum::{extract::Request, middleware::Next};
use http::{HeaderValue, Method, StatusCode, header};

use crate::{
    http::{Response, error},
    oauth::ErrorCode,
};

/// Refuses a compressed body, which the endpoints would misread (RFC 9110 §15.5.16, §12.5.3).
pub(super) async fn required(request: Request, next: Next) -> Response {
    let codings = request.headers().get_all(header::CONTENT_ENCODING).iter();
    let mut codings = codings.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let plain = |coding: &[u8]| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity");
    if request.method() != Method::POST || codings.all(|coding| plain(coding.trim_ascii())) {
        return next.run(request).await;
    }
    let text = "the body must not be compressed: send it without Content-Encoding";
    let mut response = error(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::InvalidRequest, text);
    response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    response
}
