//! The discovery document.

use axum::{extract::State, http::StatusCode, response::Response};
use serde_json::json;

use crate::{
    failure::Failure,
    response::{document, forced_status},
    simulator::Simulator,
};

pub(crate) async fn get(State(sim): State<Simulator>) -> Response {
    sim.count("discovery");
    sim.delay(|failure| match failure {
        Failure::DiscoveryAfter(seconds) => Some(seconds.saturating_mul(1000)),
        _ => None,
    })
    .await;
    let statuses = sim.forced(|failure| match failure {
        Failure::Discovery(status) => Some(*status),
        _ => None,
    });
    if let Some(status) = statuses.first() {
        return forced_status(*status);
    }
    let issuers = sim.forced(|failure| match failure {
        Failure::DiscoveryIssuer(issuer) => Some(issuer.clone()),
        _ => None,
    });
    let issuer = sim.config().issuer();
    let requires_pushed = sim.state().settings.require_pushed_requests;
    let at = |path: &str| format!("{issuer}/{path}");
    let body = json!({
        "issuer": issuers.last().unwrap_or(&issuer),
        "authorization_endpoint": at("authorize"),
        "pushed_authorization_request_endpoint": at("par"),
        "token_endpoint": at("token"),
        "userinfo_endpoint": at("userinfo"),
        "jwks_uri": at("jwks"),
        "end_session_endpoint": at("signoff"),
        "revocation_endpoint": at("revoke"),
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "require_pushed_authorization_requests": requires_pushed,
        "scopes_supported": ["openid", "profile", "email", "address", "phone"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "userinfo_signing_alg_values_supported": ["none"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
        "claim_types_supported": ["normal"],
        "claims_supported": ["sub", "iss", "auth_time", "acr", "given_name", "family_name", "preferred_username", "email"],
        "code_challenge_methods_supported": ["plain", "S256"],
    });
    document(StatusCode::OK, &body)
}
