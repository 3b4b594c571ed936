//! The icon of the pages: the operator's logo, or a shield.

use axum::body::Body;
use http::{HeaderValue, Response, header};

use crate::config::Brand;

/// The icon. A browser that opens it as a page runs no script of it and loads nothing for it, whatever is in the file.
pub(crate) fn icon(brand: &Brand) -> Response<Body> {
    let (media_type, bytes) = match &brand.logo {
        Some(logo) => (logo.media_type.as_str(), logo.bytes.clone()),
        None => ("image/svg+xml", include_bytes!("../../templates/icon.svg").to_vec()),
    };
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'",
        ),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}
