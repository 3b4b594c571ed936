//! The `Host` of requests, and the security headers of every response.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
};
use http::{HeaderValue, StatusCode, header};

use crate::{
    app::App,
    http::{Response, error},
    oauth::ErrorCode,
};

/// Refuses a request with two `Host` fields (RFC 9112 §3.2). On a loopback address, refuses one with another host name:
/// a page could have rebound that name with DNS. Every response forbids content sniffing, and on https requires https.
pub(super) async fn checked(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let mut response = match (hosts.next(), hosts.next()) {
        (_, Some(_)) => {
            error(StatusCode::BAD_REQUEST, ErrorCode::InvalidRequest, "a request must have one Host field")
        }
        (host, None) => {
            // RFC 9112 §3.2.2: a target in absolute form overrides `Host`. HTTP/2 has the authority only.
            let target = request.uri().authority().map(|authority| authority.as_str().as_bytes());
            match target.or(host.map(HeaderValue::as_bytes)) {
                Some(named) if !is_this_server(&app, named) => misdirected(),
                // Requests inside of a process have no host.
                Some(_) | None => next.run(request).await,
            }
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if app.config.public_url.is_https() {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(year);
    }
    response
}

/// Whether `host` names this server. Checked on a loopback address only. Elsewhere nothing depends on `Host`, and
/// proxies change it.
fn is_this_server(app: &App, host: &[u8]) -> bool {
    let url = &app.config.public_url;
    if !url.is_loopback() {
        return true;
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let names = ["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}{port}"));
    names.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(host))
}

fn misdirected() -> Response {
    let text = "this server does not have that host name";
    error(StatusCode::MISDIRECTED_REQUEST, ErrorCode::InvalidRequest, text)
}
