//! The host that a request names.

use axum::body::Body;
use http::{HeaderValue, Request, Response, Version, header};

use crate::responses::{bad_request, misdirected};

/// Checks that a request has one `Host`, and names one of `admitted`.
pub(crate) fn check<B>(request: &Request<B>, admitted: Option<&[String]>) -> Result<(), HostError> {
    let mut hosts = request.headers().get_all(header::HOST).iter().map(HeaderValue::as_bytes);
    // RFC 9112 §3.2: hyper leaves both checks to its user.
    let host = match (hosts.next(), hosts.next()) {
        (None, _) if request.version() >= Version::HTTP_11 => return Err(HostError::Missing),
        (_, Some(_)) => return Err(HostError::Repeated),
        (host, None) => host,
    };
    let Some(admitted) = admitted else { return Ok(()) };
    // RFC 9112 §3.2.2: a target in absolute form overrides `Host`.
    let target = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let host = target.or(host).unwrap_or_default();
    if admitted.iter().any(|admitted| admitted.as_bytes().eq_ignore_ascii_case(host)) {
        Ok(())
    } else {
        Err(HostError::Misdirected)
    }
}

/// Why a request is refused by its host.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HostError {
    /// The host is not one of the server's.
    Misdirected,
    Missing,
    Repeated,
}

impl HostError {
    pub(crate) fn response(&self) -> Response<Body> {
        match self {
            Self::Misdirected => misdirected(),
            Self::Missing | Self::Repeated => bad_request(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str, hosts: &[&str]) -> Request<()> {
        let request = Request::get(target);
        hosts.iter().fold(request, |request, host| request.header(header::HOST, *host)).body(()).unwrap()
    }

    #[test]
    fn request_without_exactly_one_host_is_refused() {
        assert_eq!(check(&request("/", &["a"]), None), Ok(()));
        assert_eq!(check(&request("/", &[]), None), Err(HostError::Missing));
        assert_eq!(check(&request("/", &["a", "a"]), None), Err(HostError::Repeated));
        let mut old = request("/", &[]);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(check(&old, None), Ok(()));
    }

    #[test]
    fn request_to_a_host_that_is_not_admitted_is_misdirected() {
        let admitted = ["localhost:1".to_owned()];
        let checked = |target: &str, host: &str| check(&request(target, &[host]), Some(&admitted));
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
