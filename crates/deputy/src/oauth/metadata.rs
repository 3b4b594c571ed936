//! The metadata documents by which clients discover this server.

use serde_json::{Value, json};

use crate::{config::Config, paths};

/// Protected resource metadata (RFC 9728 §2): the resource, its authorization server and its scopes.
pub fn protected_resource_metadata(config: &Config) -> Value {
    json!({
        "resource": config.public_url.resource(),
        "authorization_servers": [config.public_url.issuer()],
        "bearer_methods_supported": ["header"],
        "resource_name": "Deputy",
        "scopes_supported": config.api.scopes,
    })
}

/// Authorization server metadata (RFC 8414 §2): the issuer, its endpoints and its capabilities.
pub fn authorization_server_metadata(config: &Config) -> Value {
    let url = &config.public_url;
    let mut auth_methods = vec!["none", "client_secret_basic", "client_secret_post"];
    // The keys of a client are in its metadata document.
    let has_keys = config.admission.metadata_documents;
    auth_methods.extend(has_keys.then_some("private_key_jwt"));
    let mut scopes = config.api.scopes.to_vec();
    // Some clients request a refresh token with this scope. It is not a scope of the resource, whose metadata omits it.
    scopes.push("offline_access".to_owned());
    let mut document = json!({
        "issuer": url.issuer(),
        "authorization_endpoint": url.at(paths::AUTHORIZE),
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": config.admission.metadata_documents,
        "code_challenge_methods_supported": ["S256"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "response_modes_supported": ["query"],
        "response_types_supported": ["code"],
        "revocation_endpoint": url.at(paths::REVOKE),
        "revocation_endpoint_auth_methods_supported": auth_methods,
        "scopes_supported": scopes,
        "token_endpoint": url.at(paths::TOKEN),
        "token_endpoint_auth_methods_supported": auth_methods,
    });
    if has_keys {
        for endpoint in ["token", "revocation"] {
            document[format!("{endpoint}_endpoint_auth_signing_alg_values_supported")] =
                json!(["RS256", "ES256"]);
        }
    }
    if config.admission.registration {
        document["registration_endpoint"] = json!(url.at(paths::REGISTER));
    }
    document
}

/// Provider metadata (OpenID Connect Discovery 1.0 §3), for clients that look for an authorization server only there.
/// It is the authorization server metadata with the members that OpenID Connect requires.
///
/// This server issues no ID tokens. The key set is empty, and `openid` is not among the scopes, so that a client which
/// requests all scopes does not expect an ID token.
pub fn openid_provider_metadata(config: &Config) -> Value {
    let mut document = authorization_server_metadata(config);
    document["id_token_signing_alg_values_supported"] = json!(["RS256"]);
    document["jwks_uri"] = json!(config.public_url.at(paths::JWKS));
    document["subject_types_supported"] = json!(["public"]);
    document
}

/// The key set of this server (RFC 7517 §5). It is empty, since this server signs nothing.
pub fn key_set() -> Value {
    json!({ "keys": [] })
}
