//! The route table, and the layers around all routes.

mod cors;
mod host_header;
mod plain_bodies;
mod unread_body;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::Response,
    routing::{MethodRouter, any, get, post},
};

pub use host_header::only_loopback_hosts;
use http::HeaderValue;
use tracing::Instrument as _;

use crate::{
    app::App,
    endpoint::{
        admin, agents, approve, authorize, callback, health, home, mcp, metadata, method_not_allowed,
        not_found, pingone_events, register, revoke, token,
    },
    host::ClientAddress,
    log_context::{self, LogContext, REQUEST_ID},
    paths, trace,
};

/// The place of the admin interface.
pub(crate) enum Admin {
    Elsewhere,
    /// With all other routes.
    Here,
}

/// The routes of `app`.
pub(crate) fn routes(app: &Arc<App>, admin: Admin) -> Router {
    let for_operators = match admin {
        Admin::Elsewhere => Router::new(),
        Admin::Here => for_operators(),
    };
    let metadata = Router::new().route(paths::JWKS, get(metadata::keys));
    let metadata = well_known(metadata, "oauth-protected-resource", &get(metadata::resource));
    let metadata = well_known(metadata, "oauth-authorization-server", &get(metadata::authorization_server));
    let metadata = well_known(metadata, "openid-configuration", &get(metadata::openid_provider));
    let with_any_origin = metadata
        .route(paths::REGISTER, post(register::post))
        .route(paths::TOKEN, post(token::post))
        .route(paths::REVOKE, post(revoke::post))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn(cors::any_origin));
    let without_cors = Router::new()
        .route(paths::AGENTS, get(agents::get).post(agents::post))
        .route(paths::AUTHORIZE, get(authorize::get))
        .route(paths::APPROVE, post(approve::post))
        .route(paths::CALLBACK, get(callback::get))
        .route(paths::FAVICON, get(home::icon))
        .route(paths::HEALTH, get(health::storage))
        .route(paths::HEALTHZ, get(health::process))
        .route(paths::HOME, get(home::get))
        .route(paths::ICON, get(home::icon))
        .route(paths::READYZ, get(health::ready))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn(plain_bodies::required));
    // Pages of other origins cannot send the secret, so this route has no CORS.
    let for_pingone = Router::new()
        .route(paths::PINGONE_EVENTS, any(pingone_events::any))
        .layer(from_fn(plain_bodies::required));
    let mcp_endpoint = Router::new()
        .route(paths::MCP, any(mcp::any))
        // Some users configure the URL with a final slash. Every document names it without.
        .route(&format!("{}/", paths::MCP), any(mcp::any))
        .layer(from_fn_with_state(Arc::clone(app), cors::admitted_origins));
    Router::new()
        .merge(with_any_origin)
        .merge(without_cors)
        .merge(for_pingone)
        .merge(mcp_endpoint)
        .merge(for_operators)
        .fallback(not_found)
        .layer(from_fn_with_state(Arc::clone(app), around_every_route))
        .with_state(Arc::clone(app))
}

/// The routes of the admin interface alone.
pub(crate) fn admin_routes(app: &Arc<App>) -> Router {
    let layer = from_fn_with_state(Arc::clone(app), in_log_context);
    for_operators().fallback(not_found).layer(layer).with_state(Arc::clone(app))
}

/// Pages of other origins cannot send the token of the operator, so these routes have no CORS.
fn for_operators() -> Router<Arc<App>> {
    let path = format!("{}{{*path}}", paths::ADMIN);
    Router::new().route(&path, any(admin::any)).layer(from_fn(plain_bodies::required))
}

/// One layer, since each takes microseconds.
async fn around_every_route(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let respond = |request| {
        unread_body::respond_and_read_rest(&app, request, |request| host_header::checked(&app, request, next))
    };
    within_log_context(&app, request, respond).await
}

/// The layer around the routes of the admin interface alone.
async fn in_log_context(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    within_log_context(&app, request, |request| next.run(request)).await
}

/// The response, whose lines in the log have the id and the remote address of the request. The response has the id too.
async fn within_log_context<F>(app: &App, request: Request, respond: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let id = app.request_ids.of(request.headers());
    let address = request.extensions().get().map(|ClientAddress(address)| address.to_string());
    let context = LogContext::new(&id, address);
    let span = trace::request(&request);
    let respond = log_context::within(context, respond(request));
    let mut response = match span {
        None => respond.await,
        Some(span) => {
            let response = respond.instrument(span.clone()).await;
            trace::responded(&span, response.status());
            response
        }
    };
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Serves a metadata document at every URL where clients look for it: at the origin, and for the MCP endpoint with the
/// well-known path inserted (RFC 8414 §3.1, RFC 9728 §3.1) or appended, with and without a final slash.
fn well_known(router: Router<Arc<App>>, name: &str, document: &MethodRouter<Arc<App>>) -> Router<Arc<App>> {
    let inserted = ["", "/", "/mcp", "/mcp/"].map(|path| format!("/.well-known/{name}{path}"));
    let paths = inserted.into_iter().chain([format!("/mcp/.well-known/{name}")]);
    paths.fold(router, |router, path| router.route(&path, document.clone()))
}
