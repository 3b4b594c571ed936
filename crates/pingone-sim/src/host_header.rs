//! The hosts under which the program serves.

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header},
    middleware::{Next, from_fn},
    response::IntoResponse as _,
};
use url::{Position, Url};

/// Has `router`, which serves at `port`, refuse requests to other hosts than this computer and that of `base_url` (RFC 9110
/// §7.4). A page could otherwise rebind a name of its own with DNS, and read users and tokens at `/sim/state`.
pub fn only_known_hosts(router: Router, base_url: &str, port: u16) -> Router {
    let mut known: Vec<_> = ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("{host}:{port}")).to_vec();
    if port == 80 {
        // Browsers leave it out.
        known.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
    }
    known.extend(Url::parse(base_url).map(|url| url[Position::BeforeHost..Position::AfterPort].to_owned()));
    router.layer(from_fn(move |request: Request, next: Next| {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let is_known = host.is_some_and(|host| known.iter().any(|known| known.eq_ignore_ascii_case(host)));
        async move {
            if is_known {
                next.run(request).await
            } else {
                (StatusCode::MISDIRECTED_REQUEST, "This simulator has another host name.\n").into_response()
            }
        }
    }))
}
