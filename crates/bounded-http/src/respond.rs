//! One request and its response.

use std::{convert::Infallible, future::poll_fn, panic::AssertUnwindSafe, sync::Arc};

use axum::{Router, body::Body};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version, header};
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use tower_service::Service;
use tracing::Level;

use crate::{
    ClientAddress, Running,
    body::TimedBody,
    client_address::{client_address, is_unconfigured_proxy},
    connection::Connection,
    responses::{bad_request, internal_error, too_busy},
    socket::Responding,
};

impl Connection {
    /// Has the router respond once the connection has a slot. The response holds `responding` until it is sent.
    pub(crate) async fn respond_to(
        self: Arc<Self>,
        mut request: Request<hyper::body::Incoming>,
        responding: Responding,
    ) -> Result<Response<Body>, Infallible> {
        let Running { server, slots, router, meters, .. } = &*self.running;
        let is_health_check = server.health_paths.contains(&request.uri().path());
        let is_quiet = is_health_check || server.quiet_paths.contains(&request.uri().path());
        let logged = LoggedRequest::of(&request, is_quiet);
        let address = self.client_address(request.headers(), is_health_check);
        (server.attribute)(request.extensions_mut(), address);
        if server.client_address_header.is_none() {
            // The client could choose it.
            request.headers_mut().remove(REQUEST_ID);
        }
        let is_host_named = names_one_host(&request);
        let mut response = if !is_health_check && !slots.promote(&self.slot).await {
            too_busy()
        } else if !is_host_named {
            bad_request()
        } else {
            let timed = |body| TimedBody::new(body, Arc::clone(&self.read_side), server.limits.body);
            let router = router.borrow().clone();
            routed(router, request.map(timed)).await
        };
        if slots.are_full() || self.slot.is_overflow() {
            // An idle connection would keep others waiting for its slot.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        meters.response(response.status());
        if let Some(logged) = logged {
            logged.log(server.name, &response);
        }
        Ok(response.map(|body| {
            Body::new(body.map_err(move |error| {
                let _ = &responding;
                error
            }))
        }))
    }

    /// The address of the client. Warns of a header that does not fit, but not at a health check, which a proxy sends itself.
    fn client_address(&self, headers: &HeaderMap, is_health_check: bool) -> ClientAddress {
        let Running { server, warned, .. } = &*self.running;
        let header = server.client_address_header.as_ref();
        let address = client_address(self.peer, headers, header);
        if is_health_check {
            return ClientAddress(address);
        }
        if header.is_none() && is_unconfigured_proxy(self.peer, headers) {
            warned.unconfigured_proxy.call_once(|| {
                tracing::warn!(
                    server = server.name,
                    proxy = %self.peer,
                    "a proxy names its clients in a header, but their requests are counted as its own. Set that header \
                     with {}",
                    server.client_address_setting
                );
            });
        }
        if header.is_some() && address.is_unspecified() {
            warned.missing_client_address.call_once(|| {
                tracing::warn!(
                    server = server.name,
                    "a request has no client address in the header that {} names, or one of this computer; all such requests are \
                     counted together, as from 0.0.0.0. Check how the proxy sets that header",
                    server.client_address_setting
                );
            });
        }
        ClientAddress(address)
    }
}

/// The header in which a trusted proxy gives a request an id. The router may put it into its response.
const REQUEST_ID: &str = "x-request-id";

/// A request as the log shows it.
struct LoggedRequest {
    is_quiet: bool,
    started: Instant,
    method: Method,
    path: String,
}

impl LoggedRequest {
    /// `None` while the log has no requests. A quiet one has the level `debug`.
    fn of<B>(request: &Request<B>, is_quiet: bool) -> Option<Self> {
        let is_logged =
            if is_quiet { tracing::enabled!(Level::DEBUG) } else { tracing::enabled!(Level::INFO) };
        is_logged.then(|| Self {
            is_quiet,
            started: Instant::now(),
            method: request.method().clone(),
            // Without the query, which may hold an authorization code.
            path: request.uri().path().chars().take(LOGGED_PATH).collect(),
        })
    }

    fn log<B>(self, server: &str, response: &Response<B>) {
        let Self { is_quiet, started, method, path } = self;
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let status = response.status().as_u16();
        let request = response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
        if is_quiet {
            tracing::debug!(server, request, %method, path, status, ms, "request");
        } else {
            tracing::info!(server, request, %method, path, status, ms, "request");
        }
    }
}

/// The response of the router, or 500 if it panics.
async fn routed(mut router: Router, request: Request<TimedBody>) -> Response<Body> {
    let response = AssertUnwindSafe(async move {
        let Ok(()) = poll_fn(|context| Service::<Request<TimedBody>>::poll_ready(&mut router, context)).await;
        let Ok(response) = router.call(request).await;
        response
    });
    response.catch_unwind().await.unwrap_or_else(|_| internal_error())
}

/// Whether a request has one `Host`, as HTTP/1.1 requires (RFC 9112 §3.2). hyper leaves the check to its user.
fn names_one_host<B>(request: &Request<B>) -> bool {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11)
}

/// Characters of a path in the log.
const LOGGED_PATH: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_without_exactly_one_host_is_refused() {
        let request = |version, hosts: &[&str]| {
            let request = Request::get("/").version(version);
            hosts.iter().fold(request, |request, host| request.header(header::HOST, *host)).body(()).unwrap()
        };
        assert!(names_one_host(&request(Version::HTTP_11, &["a"])));
        assert!(!names_one_host(&request(Version::HTTP_11, &[])));
        assert!(!names_one_host(&request(Version::HTTP_11, &["a", "a"])));
        assert!(names_one_host(&request(Version::HTTP_10, &[])));
    }
}
