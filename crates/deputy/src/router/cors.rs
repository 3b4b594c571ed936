//! The origins whose pages may call an endpoint (CORS, Fetch §3.2). These endpoints take plain bodies.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::plain_bodies;
use crate::{
    app::App,
    http::{Response, empty},
};

/// For endpoints without cookies: pages of every origin may call them.
pub(super) async fn any_origin(request: Request, next: Next) -> Response {
    let preflight = request.method() == Method::OPTIONS;
    let mut response =
        if preflight { empty(StatusCode::NO_CONTENT) } else { plain_bodies::required(request, next).await };
    allow(response.headers_mut(), HeaderValue::from_static("*"), preflight);
    response
}

/// For the MCP endpoint: pages of the configured origins may call it, and can read its challenges.
pub(super) async fn admitted_origins(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let allowed = origin.filter(|origin| origin.to_str().is_ok_and(|origin| app.allows_origin(origin)));
    let preflight = request.method() == Method::OPTIONS;
    let mut response =
        if preflight { empty(StatusCode::NO_CONTENT) } else { plain_bodies::required(request, next).await };
    response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = allowed {
        allow(response.headers_mut(), origin, preflight);
    }
    response
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue, preflight: bool) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let pairs: &[(HeaderName, &'static str)] = if preflight { &PREFLIGHT } else { &EXPOSED };
    for (name, value) in pairs {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

const EXPOSED: [(HeaderName, &str); 1] =
    [(header::ACCESS_CONTROL_EXPOSE_HEADERS, "WWW-Authenticate, MCP-Protocol-Version, Mcp-Session-Id")];
const PREFLIGHT: [(HeaderName, &str); 3] = [
    // `DELETE` would end a session. The endpoint refuses it, with a response that the page can read.
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE, OPTIONS"),
    // `*` does not cover Authorization (Fetch §4.10).
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "Authorization, Content-Type, Accept, Last-Event-ID, MCP-Protocol-Version, \
      Mcp-Session-Id, Mcp-Method, Mcp-Name, *",
    ),
    (header::ACCESS_CONTROL_MAX_AGE, "600"),
];
