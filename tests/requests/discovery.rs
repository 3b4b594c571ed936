//! Metadata of the protected resource (RFC 9728) and of the authorization server (RFC 8414).

use http::StatusCode;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn request_without_a_token_is_pointed_to_the_metadata() {
    let world = World::new();
    let response = world.mcp(None, &json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})).await;
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        response.header("www-authenticate"),
        "Bearer resource_metadata=\"https://deputy.example/.well-known/oauth-protected-resource/mcp\", \
         scope=\"todo:read todo:write\""
    );
}

#[tokio::test]
async fn metadata_is_served_at_every_well_known_path() {
    let world = World::new();
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
        "/mcp/.well-known/oauth-protected-resource",
    ] {
        let response = world.get(path).await;
        assert_eq!(response.status, StatusCode::OK, "{path}");
        let document = response.json();
        assert_eq!(document["resource"], "https://deputy.example/mcp", "{path}");
        assert_eq!(document["authorization_servers"], json!(["https://deputy.example"]));
        assert_eq!(document["scopes_supported"], json!(["todo:read", "todo:write"]));
    }
    for name in ["oauth-authorization-server", "openid-configuration"] {
        for path in [
            format!("/.well-known/{name}"),
            format!("/.well-known/{name}/mcp"),
            format!("/mcp/.well-known/{name}"),
        ] {
            let response = world.get(&path).await;
            assert_eq!(response.status, StatusCode::OK, "{path}");
            assert_eq!(response.json()["issuer"], "https://deputy.example");
        }
    }
}

#[tokio::test]
async fn server_metadata_offers_only_codes_with_s256() {
    let document = World::new().get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(document["response_types_supported"], json!(["code"]));
    assert_eq!(document["response_modes_supported"], json!(["query"]));
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(document["grant_types_supported"], json!(["authorization_code", "refresh_token"]));
    for endpoint in ["token", "revocation"] {
        let methods = &document[format!("{endpoint}_endpoint_auth_methods_supported")];
        let expected = json!(["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]);
        assert_eq!(methods, &expected, "{endpoint}");
    }
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert_eq!(document["scopes_supported"], json!(["todo:read", "todo:write", "offline_access"]));
    for endpoint in
        ["authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint"]
    {
        assert!(
            document[endpoint].as_str().is_some_and(|url| url.starts_with("https://deputy.example/")),
            "{endpoint}"
        );
    }
}

#[tokio::test]
async fn openid_configuration_is_valid_and_promises_no_id_token() {
    let world = World::new();
    let mut document = world.get("/.well-known/openid-configuration").await.json();
    assert_eq!(document["subject_types_supported"], json!(["public"]));
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["RS256"]));
    assert_eq!(document["jwks_uri"], "https://deputy.example/jwks");
    let keys = world.get("/jwks").await;
    assert_eq!((keys.status, keys.json()), (StatusCode::OK, json!({ "keys": [] })));
    assert_eq!(keys.header("access-control-allow-origin"), "*");
    // All other members are those of the authorization server metadata.
    let members = document.as_object_mut().unwrap();
    members.retain(|name, _| {
        !["subject_types_supported", "id_token_signing_alg_values_supported", "jwks_uri"]
            .contains(&name.as_str())
    });
    assert_eq!(document, world.get("/.well-known/oauth-authorization-server").await.json());
    assert!(!document["scopes_supported"].as_array().unwrap().contains(&json!("openid")));
}
