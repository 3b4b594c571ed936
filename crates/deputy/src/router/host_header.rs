//! The `Host` of requests, and the security headers of every response.

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
};
use http::{HeaderValue, StatusCode, header};

use crate::{
    app::App,
    http::{Response, error},
    oauth::ErrorCode,
};

/// Refuses a request that [`admit`] refuses. Every response forbids content sniffing, and on https requires https.
pub(super) async fn checked(app: &App, request: Request, next: Next) -> Response {
    let url = &app.config.public_url;
    // Elsewhere nothing depends on `Host`, and proxies change it.
    let is_admitted = |host: &[u8]| !url.is_loopback() || is_loopback_host(host, url.port());
    let mut response = match admit(&request, is_admitted) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if url.is_https() {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(year);
    }
    response
}

/// Has `router`, which serves http at `port` of a loopback address, refuse requests that name another host. A page could
/// otherwise rebind a name of its own with DNS, and reach the server under it.
pub fn only_loopback_hosts(router: Router, port: u16) -> Router {
    // Browsers leave out port 80.
    let port = (port != 80).then_some(port);
    router.layer(from_fn(move |request: Request, next: Next| async move {
        match admit(&request, |host| is_loopback_host(host, port)) {
            Ok(()) => next.run(request).await,
            Err(refusal) => refusal.response(),
        }
    }))
}

/// Refuses a request with two `Host` fields (RFC 9112 §3.2), and one that names a host that is not admitted.
fn admit(request: &Request, is_admitted: impl Fn(&[u8]) -> bool) -> Result<(), HostError> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (_, Some(_)) => return Err(HostError::Repeated),
        (host, None) => host.map(HeaderValue::as_bytes),
    };
    // RFC 9112 §3.2.2: a target in absolute form overrides `Host`. HTTP/2 has the authority only.
    let target = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    // Requests inside of a process have no host.
    if target.or(host).is_none_or(is_admitted) { Ok(()) } else { Err(HostError::Misdirected) }
}

fn is_loopback_host(host: &[u8], port: Option<u16>) -> bool {
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| {
        let named = host.split_at_checked(name.len());
        let rest =
            named.filter(|(named, _)| name.as_bytes().eq_ignore_ascii_case(named)).map(|(_, rest)| rest);
        rest.is_some_and(|rest| match port {
            Some(port) => rest.strip_prefix(b":") == Some(port.to_string().as_bytes()),
            None => rest.is_empty(),
        })
    })
}

#[derive(Debug, PartialEq, Eq)]
enum HostError {
    Misdirected,
    Repeated,
}

impl HostError {
    fn response(&self) -> Response {
        let (status, text) = match self {
            Self::Misdirected => {
                (StatusCode::MISDIRECTED_REQUEST, "this server does not have that host name")
            }
            Self::Repeated => (StatusCode::BAD_REQUEST, "a request must have one Host field"),
        };
        error(status, ErrorCode::InvalidRequest, text)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn request_to_another_host_than_loopback_is_refused() {
        let checked = |target: &str, host: &str| {
            let request = Request::get(target).header(header::HOST, host).body(Body::empty()).unwrap();
            admit(&request, |host| is_loopback_host(host, Some(1)))
        };
        for (target, host) in [("/", "localhost:1"), ("/", "LocalHost:1"), ("http://localhost:1/", "evil")] {
            assert_eq!(checked(target, host), Ok(()), "{target} {host}");
        }
        for (target, host) in [
            ("/", "evil:1"),
            ("/", "localhost"),
            ("/", "localhost:1.evil"),
            ("/", ""),
            ("http://evil/", "localhost:1"),
            ("http://evil@localhost:1/", "localhost:1"),
        ] {
            assert_eq!(checked(target, host), Err(HostError::Misdirected), "{target} {host}");
        }
    }
}
