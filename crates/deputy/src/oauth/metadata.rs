//! The documents that clients discover us by.

use serde_json::{Value, json};

use crate::config::Config;

/// Protected resource metadata (RFC 9728 §2).
pub fn protected_resource_metadata(config: &Config) -> Value {
    json!({
        "resource": config.public_url.resource(),
        "authorization_servers": [config.public_url.issuer()],
        "bearer_methods_supported": ["header"],
        "resource_name": "Deputy",
        "scopes_supported": config.api.scopes,
    })
}

/// Authorization server metadata (RFC 8414 §2), also served where OpenID Connect clients look for it.
pub fn authorization_server_metadata(config: &Config) -> Value {
    let url = &config.public_url;
    let auth_methods = ["none", "client_secret_basic", "client_secret_post"];
    let mut scopes = config.api.scopes.to_vec();
    // Here only: some clients ask for a refresh token by this scope, and none must be told to by the resource.
    scopes.push("offline_access".to_owned());
    json!({
        "issuer": url.issuer(),
        "authorization_endpoint": url.at("/authorize"),
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": config.client_id_metadata_documents,
        "code_challenge_methods_supported": ["S256"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "registration_endpoint": url.at("/register"),
        "response_modes_supported": ["query"],
        "response_types_supported": ["code"],
        "revocation_endpoint": url.at("/revoke"),
        "revocation_endpoint_auth_methods_supported": auth_methods,
        "scopes_supported": scopes,
        "token_endpoint": url.at("/token"),
        "token_endpoint_auth_methods_supported": auth_methods,
    })
}
