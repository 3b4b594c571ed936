//! The metadata documents.

use std::sync::Arc;

use axum::extract::State;
use http::{HeaderValue, StatusCode, header};

use crate::{
    app::App,
    http::{Response, json},
    oauth::{authorization_server_metadata, key_set, openid_provider_metadata, protected_resource_metadata},
};

/// `GET /.well-known/oauth-protected-resource` (RFC 9728 §3).
pub(crate) async fn resource(State(app): State<Arc<App>>) -> Response {
    document(&protected_resource_metadata(&app.config))
}

/// `GET /.well-known/oauth-authorization-server` (RFC 8414 §3).
pub(crate) async fn authorization_server(State(app): State<Arc<App>>) -> Response {
    document(&authorization_server_metadata(&app.config))
}

/// `GET /.well-known/openid-configuration` (OpenID Connect Discovery 1.0 §4).
pub(crate) async fn openid_provider(State(app): State<Arc<App>>) -> Response {
    document(&openid_provider_metadata(&app.config))
}

/// `GET /jwks`.
pub(crate) async fn keys() -> Response {
    document(&key_set())
}

/// A public document that changes with the configuration only.
fn document(document: &serde_json::Value) -> Response {
    let mut response = json(StatusCode::OK, document);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}
