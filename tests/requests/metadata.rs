use http::StatusCode;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_request_without_a_token_is_told_where_the_metadata_is() {
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
async fn the_metadata_is_at_every_address_where_clients_look() {
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
async fn the_authorization_server_offers_codes_with_s256_and_nothing_weaker() {
    let document = World::new().get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(document["response_types_supported"], json!(["code"]));
    assert_eq!(document["response_modes_supported"], json!(["query"]));
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(document["grant_types_supported"], json!(["authorization_code", "refresh_token"]));
    for endpoint in ["token", "revocation"] {
        let methods = &document[format!("{endpoint}_endpoint_auth_methods_supported")];
        assert_eq!(methods, &json!(["none", "client_secret_basic", "client_secret_post"]), "{endpoint}");
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
async fn the_openid_configuration_has_what_its_schema_demands_and_promises_no_id_token() {
    let world = World::new();
    let mut document = world.get("/.well-known/openid-configuration").await.json();
    assert_eq!(document["subject_types_supported"], json!(["public"]));
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["RS256"]));
    assert_eq!(document["jwks_uri"], "https://deputy.example/jwks");
    let keys = world.get("/jwks").await;
    assert_eq!((keys.status, keys.json()), (StatusCode::OK, json!({ "keys": [] })));
    assert_eq!(keys.header("access-control-allow-origin"), "*");
    // All else is that of the authorization server.
    let members = document.as_object_mut().unwrap();
    members.retain(|name, _| {
        !["subject_types_supported", "id_token_signing_alg_values_supported", "jwks_uri"]
            .contains(&name.as_str())
    });
    assert_eq!(document, world.get("/.well-known/oauth-authorization-server").await.json());
    assert!(!document["scopes_supported"].as_array().unwrap().contains(&json!("openid")));
}

#[tokio::test]
async fn pages_of_any_origin_may_use_what_takes_no_cookies_and_nothing_else() {
    let world = World::new();
    for path in ["/.well-known/oauth-authorization-server", "/register", "/token", "/revoke"] {
        let response = world.request("OPTIONS", path, &[("origin", "https://evil.example")], "").await;
        assert_eq!(
            (response.status, response.header("access-control-allow-origin")),
            (StatusCode::NO_CONTENT, "*".into())
        );
        assert_eq!(response.header("access-control-allow-credentials"), "");
    }
    for path in ["/authorize", "/approve", "/callback", "/mcp"] {
        let response = world.request("OPTIONS", path, &[("origin", "https://evil.example")], "").await;
        assert_eq!(response.header("access-control-allow-origin"), "", "{path}");
    }
}

#[tokio::test]
async fn pages_of_our_own_origin_can_read_the_challenge() {
    let world = World::new();
    let response = world.request("POST", "/mcp", &[("origin", "https://deputy.example")], "{}").await;
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
    assert_eq!(response.header("access-control-allow-origin"), "https://deputy.example");
    assert!(response.header("access-control-expose-headers").contains("WWW-Authenticate"));
}

#[tokio::test]
async fn what_is_not_there_gets_a_short_answer() {
    let world = World::new();
    for path in ["/", "/.git/config", "//evil.example", "/mcp//", "/MCP", "/sse", "/register/abc", "/%00"] {
        let response = world.get(path).await;
        assert_eq!(response.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(response.json()["error"], "invalid_request");
    }
    for (method, path) in [
        ("DELETE", "/register"),
        ("GET", "/token"),
        ("PUT", "/authorize"),
        ("HEAD", "/authorize"),
        ("TRACE", "/token"),
    ] {
        assert_eq!(
            world.request(method, path, &[], "").await.status,
            StatusCode::METHOD_NOT_ALLOWED,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn on_this_computer_a_host_name_that_was_rebound_to_it_is_refused() {
    let world = World::with(&[("PUBLIC_URL", "http://localhost:8787")]);
    let ours = ["localhost:8787", "LOCALHOST:8787", "127.0.0.1:8787", "[::1]:8787"];
    let others = [
        "evil.example",
        "evil.example:8787",
        "localhost",
        "localhost:1",
        "localhost.evil.example:8787",
        "127.0.0.1.evil.example:8787",
        "127.0.0.2:8787",
    ];
    for path in ["/.well-known/oauth-authorization-server", "/health", "/authorize", "/mcp"] {
        for host in ours {
            let status = world.request("GET", path, &[("host", host)], "").await.status;
            assert_ne!(status, StatusCode::MISDIRECTED_REQUEST, "{host} {path}");
        }
        for host in others {
            let status = world.request("GET", path, &[("host", host)], "").await.status;
            assert_eq!(status, StatusCode::MISDIRECTED_REQUEST, "{host} {path}");
        }
    }
}
