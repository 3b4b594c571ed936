//! The MCP endpoint as HTTP: methods, sizes and caching.

use http::StatusCode;

use crate::world::{API, FORM, JSON, World, create_call};

#[tokio::test]
async fn mcp_endpoint_accepts_post_only() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    for method in ["GET", "DELETE", "PUT", "PATCH", "HEAD"] {
        let with = [JSON, ("authorization", bearer.as_str())];
        let response = world.request(method, "/mcp", &with, &create_call().to_string()).await;
        let refused = (StatusCode::METHOD_NOT_ALLOWED, "POST, OPTIONS".to_owned());
        assert_eq!((response.status, response.header("allow")), refused, "{method}");
        let response = world.request(method, "/mcp", &[JSON], &create_call().to_string()).await;
        assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{method}");
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
}

#[tokio::test]
async fn every_mcp_response_is_no_store() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let good = ("authorization", bearer.as_str());
    let (call, accepted) =
        (create_call().to_string(), r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    for (status, method, headers, body) in [
        (200, "POST", &[JSON, good][..], call.as_str()),
        (200, "POST", &[JSON, good, ("accept", "text/event-stream")], &call),
        (202, "POST", &[JSON, good], accepted),
        (400, "POST", &[JSON, good], "{"),
        (401, "POST", &[JSON], &call),
        (401, "POST", &[JSON, ("authorization", "Bearer x")], &call),
        (403, "POST", &[JSON, good, ("origin", "https://evil.example")], &call),
        (200, "POST", &[JSON, good, ("mcp-session-id", "x")], &call),
        (405, "GET", &[good], ""),
        (406, "POST", &[JSON, good, ("accept", "text/css")], &call),
        (415, "POST", &[FORM, good], &call),
    ] {
        let response = world.request(method, "/mcp", headers, body).await;
        let told = (response.status.as_u16(), response.header("cache-control"));
        assert_eq!(told, (status, "no-store".to_owned()), "{method} {headers:?} {body}");
    }
}

#[tokio::test]
async fn message_over_four_mebibytes_is_refused() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let response = world.request("POST", "/mcp", &headers, &"x".repeat(5 * 1024 * 1024)).await;
    assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
}
