//! Pages of other origins, and host names that other sites rebind to this computer.

use http::StatusCode;
use serde_json::json;

use crate::world::{API, Response, World};

#[tokio::test]
async fn cors_is_open_only_for_endpoints_without_cookies() {
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
async fn own_origin_can_read_the_bearer_challenge() {
    let world = World::new();
    let response = world.request("POST", "/mcp", &[("origin", "https://deputy.example")], "{}").await;
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
    assert_eq!(response.header("access-control-allow-origin"), "https://deputy.example");
    assert!(response.header("access-control-expose-headers").contains("WWW-Authenticate"));
}

#[tokio::test]
async fn rebound_host_name_is_refused_on_localhost() {
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

#[tokio::test]
async fn foreign_origin_is_refused_despite_a_valid_token() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    let json = ("content-type", "application/json");
    for (origin, status) in [
        ("https://evil.example", StatusCode::FORBIDDEN),
        ("null", StatusCode::FORBIDDEN),
        ("http://127.0.0.1.evil.example", StatusCode::FORBIDDEN),
        ("file://", StatusCode::FORBIDDEN),
        ("https://deputy.example", StatusCode::OK),
    ] {
        let headers = [json, ("authorization", bearer.as_str()), ("origin", origin)];
        assert_eq!(world.request("POST", "/mcp", &headers, &ping).await.status, status, "{origin}");
    }
}

/// A tool call that sends a request to the API, from a page of `origin` with a valid token.
async fn call_from(world: &World, host: &[&str], token: &str, origin: Option<&str>) -> Response {
    let authorization = format!("Bearer {token}");
    let mut headers = vec![("content-type", "application/json"), ("authorization", authorization.as_str())];
    headers.extend(host.iter().map(|host| ("host", *host)));
    headers.extend(origin.map(|origin| ("origin", origin)));
    let params = json!({ "name": "create_new_todo", "arguments": { "text": "x" } });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    world.request("POST", "/mcp", &headers, &message.to_string()).await
}

/// Deputy at `http://localhost:8787`, and a valid token.
async fn on_this_computer() -> (World, String) {
    let world = World::new();
    let token = world.connected().await.access;
    world.start(&[("PUBLIC_URL", "http://localhost:8787")]);
    (world, token)
}

#[tokio::test]
async fn localhost_server_accepts_localhost_origins_only() {
    let (world, token) = on_this_computer().await;
    let host = ["localhost:8787"];
    for origin in [
        "https://evil.example",
        "null",
        "http://127.0.0.1.evil",
        "http://localhost.evil",
        "http://localhost@evil.example",
        "http://evil.example:8787",
        "http://user@localhost:3000",
        "http://localhost:3000/page",
        "http://localhost:3000 https://evil.example",
        "file://",
    ] {
        let response = call_from(&world, &host, &token, Some(origin)).await;
        assert_eq!(response.status, StatusCode::FORBIDDEN, "{origin}");
        assert_eq!(response.header("access-control-allow-origin"), "", "{origin}");
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
    for origin in ["http://localhost:3000", "http://127.0.0.1:3000", "http://[::1]:3000"] {
        let response = call_from(&world, &host, &token, Some(origin)).await;
        assert_eq!(response.status, StatusCode::OK, "{origin}");
        assert_eq!(response.header("access-control-allow-origin"), origin);
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 3);
}

#[tokio::test]
async fn allowed_origin_must_match_exactly() {
    let world = World::with(&[("ALLOWED_ORIGINS", "https://app.example http://other.example:8080")]);
    let token = world.connected().await.access;
    for origin in [
        "http://app.example",
        "https://app.example:444",
        "https://app.example:443",
        "https://APP.example",
        "https://app.example/",
        "https://app.example.",
        "https://app.example.evil.example",
        "https://evil-app.example",
        "https://sub.app.example",
        "https://app.example http://other.example:8080",
        "http://other.example",
        "http://localhost:3000",
    ] {
        let response = call_from(&world, &[], &token, Some(origin)).await;
        assert_eq!(response.status, StatusCode::FORBIDDEN, "{origin}");
        assert_eq!(response.header("access-control-allow-origin"), "", "{origin}");
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
    for origin in ["https://app.example", "http://other.example:8080", "https://deputy.example"] {
        let response = call_from(&world, &[], &token, Some(origin)).await;
        assert_eq!(response.status, StatusCode::OK, "{origin}");
        assert_eq!(response.header("access-control-allow-origin"), origin);
    }
}

#[tokio::test]
async fn allowed_application_origin_may_call() {
    let origins = "chrome-extension://mhjfbmdgcfjbbpaeojofohoefgiehjai app://obsidian.md tauri://localhost";
    let world = World::with(&[("ALLOWED_ORIGINS", origins)]);
    let token = world.connected().await.access;
    for origin in origins.split(' ') {
        let response = call_from(&world, &[], &token, Some(origin)).await;
        assert_eq!(
            (response.status, response.header("access-control-allow-origin")),
            (StatusCode::OK, origin.into())
        );
    }
    for origin in ["chrome-extension://other", "app://obsidian.md.evil", "tauri://localhost:1420", "null"] {
        let response = call_from(&world, &[], &token, Some(origin)).await;
        assert_eq!(response.status, StatusCode::FORBIDDEN, "{origin}");
        assert_eq!(response.header("access-control-allow-origin"), "", "{origin}");
    }
}

#[tokio::test]
async fn wildcard_origin_admits_subdomains_only() {
    let world = World::with(&[("ALLOWED_ORIGINS", "https://*.example.com")]);
    let token = world.connected().await.access;
    for (origin, status) in [
        ("https://app.example.com", StatusCode::OK),
        ("https://a.b.example.com", StatusCode::OK),
        ("https://example.com", StatusCode::FORBIDDEN),
        ("https://evil-example.com", StatusCode::FORBIDDEN),
        ("https://app.example.com.evil.example", StatusCode::FORBIDDEN),
        ("https://*.example.com", StatusCode::FORBIDDEN),
        ("http://app.example.com", StatusCode::FORBIDDEN),
    ] {
        assert_eq!(call_from(&world, &[], &token, Some(origin)).await.status, status, "{origin}");
    }
}

/// Browsers send a preflight before the `DELETE`, which is refused.
#[tokio::test]
async fn refused_session_delete_is_readable_across_origins() {
    let world = World::with(&[("ALLOWED_ORIGINS", "https://app.example")]);
    let bearer = format!("Bearer {}", world.connected().await.access);
    let origin = ("origin", "https://app.example");
    let preflight = world.request("OPTIONS", "/mcp", &[origin], "").await;
    assert!(preflight.header("access-control-allow-methods").contains("DELETE"));
    assert!(preflight.header("access-control-allow-headers").contains("Mcp-Session-Id"));
    let response = world.request("DELETE", "/mcp", &[origin, ("authorization", &bearer)], "").await;
    let told = (response.status, response.header("access-control-allow-origin"));
    assert_eq!(told, (StatusCode::METHOD_NOT_ALLOWED, "https://app.example".to_owned()));
}

#[tokio::test]
async fn call_with_foreign_or_repeated_host_header_is_refused() {
    let (world, token) = on_this_computer().await;
    for host in [
        &["evil.example"][..],
        &["evil.example:8787"],
        &["localhost:8787", "evil.example"],
        &["evil.example", "localhost:8787"],
        &["localhost:8787", "localhost:8787"],
    ] {
        let response = call_from(&world, host, &token, None).await;
        let named_once = host.len() == 1;
        let refused = if named_once { StatusCode::MISDIRECTED_REQUEST } else { StatusCode::BAD_REQUEST };
        assert_eq!(response.status, refused, "{host:?}");
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
    assert_eq!(call_from(&world, &["localhost:8787"], &token, None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn foreign_origin_never_gets_allow_credentials() {
    const BAD: StatusCode = StatusCode::BAD_REQUEST;
    let world = World::new();
    let authorize = world.authorize_path(&world.client().await, &[]);
    for (method, path, status, allowed) in [
        ("GET", "/.well-known/oauth-protected-resource/mcp", StatusCode::OK, "*"),
        ("GET", "/.well-known/oauth-authorization-server", StatusCode::OK, "*"),
        ("POST", "/register", BAD, "*"),
        ("POST", "/token", BAD, "*"),
        ("POST", "/revoke", BAD, "*"),
        ("GET", authorize.as_str(), StatusCode::OK, ""),
        ("POST", "/approve", BAD, ""),
        ("GET", "/callback?state=x&code=y", BAD, ""),
        ("GET", "/health", StatusCode::OK, ""),
        ("GET", "/nothing", StatusCode::NOT_FOUND, ""),
        ("POST", "/mcp", StatusCode::FORBIDDEN, ""),
    ] {
        let response = world.request(method, path, &[("origin", "https://evil.example")], "").await;
        assert_eq!(response.status, status, "{method} {path}");
        assert_eq!(response.header("access-control-allow-origin"), allowed, "{method} {path}");
        assert_eq!(response.header("access-control-allow-credentials"), "", "{method} {path}");
    }
}
