//! Paths and methods that do not exist, and paths that are spelled otherwise.

use http::StatusCode;

use crate::world::{API, JSON, World, create_call};

#[tokio::test]
async fn unknown_path_or_method_gets_a_short_error() {
    let world = World::new();
    for path in ["/.git/config", "//evil.example", "/mcp//", "/MCP", "/sse", "/register/abc", "/%00"] {
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

/// Clients of MCP 2024-11-05 open a stream with `GET`, and post to another path.
#[tokio::test]
async fn client_of_http_sse_is_told_which_transport_to_configure() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    for (method, path, status) in [
        ("GET", "/sse", StatusCode::NOT_FOUND),
        ("POST", "/messages", StatusCode::NOT_FOUND),
        ("POST", "/", StatusCode::METHOD_NOT_ALLOWED),
        ("GET", "/mcp", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let headers = [("accept", "text/event-stream"), ("authorization", bearer.as_str())];
        let response = world.request(method, path, &headers, "").await;
        assert_eq!(response.status, status, "{method} {path}");
        let json = response.json();
        let text = json["error_description"].as_str().unwrap_or_default();
        assert!(text.contains("with the transport Streamable HTTP"), "{method} {path}: {text}");
        assert!(path == "/mcp" || text.contains("https://deputy.example/mcp"), "{method} {path}: {text}");
    }
}

#[tokio::test]
async fn path_that_resembles_the_mcp_endpoint_is_not_found() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    for path in
        ["/mcp//", "/MCP", "/Mcp", "//mcp", "/mcp%2f", "/%6dcp", "/mcp/x", "/mcp;x", "/sse", "/message"]
    {
        let headers = [JSON, ("authorization", bearer.as_str())];
        let response = world.request("POST", path, &headers, &create_call().to_string()).await;
        assert_eq!(response.status, StatusCode::NOT_FOUND, "{path}: {}", response.text);
        assert_eq!(response.json()["error"], "invalid_request", "{path}");
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
}

#[tokio::test]
async fn trailing_slash_reaches_the_same_endpoint() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let (call, good) = (create_call().to_string(), ("authorization", bearer.as_str()));
    assert_eq!(world.request("POST", "/mcp/", &[JSON, good], &call).await.status, StatusCode::OK);
    let responses = [
        world.request("POST", "/mcp", &[JSON], &call).await,
        world.request("POST", "/mcp/", &[JSON], &call).await,
    ];
    assert_eq!(responses[1].status, StatusCode::UNAUTHORIZED);
    assert_eq!(responses[0].header("www-authenticate"), responses[1].header("www-authenticate"));
    for path in ["/.well-known/oauth-protected-resource/mcp/", "/.well-known/oauth-protected-resource/"] {
        assert_eq!(world.get(path).await.json()["resource"], "https://deputy.example/mcp", "{path}");
    }
    for path in ["/.well-known/oauth-authorization-server/mcp/", "/.well-known/oauth-authorization-server/"] {
        assert_eq!(world.get(path).await.json()["issuer"], "https://deputy.example", "{path}");
    }
}
