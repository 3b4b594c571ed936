//! Negotiation of the MCP revision, and headers that must agree with the body.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{API, JSON, Response, World};

#[tokio::test]
async fn initialize_with_a_2026_header_is_a_mismatch() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let info = json!({ "name": "test", "version": "1" });
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    let headers = [JSON, ("authorization", bearer.as_str()), ("mcp-protocol-version", "2026-07-28")];
    let response = world.request("POST", "/mcp", &headers, &message.to_string()).await;
    assert_eq!(
        (response.status, &response.json()["error"]["code"]),
        (StatusCode::BAD_REQUEST, &json!(-32020))
    );
}

/// The `_meta` of a request of MCP 2026-07-28.
fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
    })
}

pub(crate) async fn post_mcp(
    world: &World,
    token: &str,
    headers: &[(&str, &str)],
    message: &Value,
) -> Response {
    let authorization = format!("Bearer {token}");
    let mut all = vec![
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ];
    all.extend(headers);
    world.request("POST", "/mcp", &all, &message.to_string()).await
}

#[tokio::test]
async fn initialize_agrees_on_the_requested_revision() {
    let world = World::new();
    let token = world.connected().await.access;
    for (asked, agreed) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-11-25", "2025-11-25"),
        ("2099-01-01", "2025-11-25"),
    ] {
        let params = json!({"protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
        let message = json!({"jsonrpc": "2.0", "id": "one", "method": "initialize", "params": params});
        // Real clients send no version header yet, and perhaps a stale session id.
        let response = post_mcp(&world, &token, &[("mcp-session-id", "stale")], &message).await;
        assert_eq!(response.status, StatusCode::OK, "{}", response.text);
        assert_eq!(response.json()["result"]["protocolVersion"], agreed);
        assert_eq!(response.json()["id"], "one");
        assert!(!["", "stale"].contains(&response.header("mcp-session-id").as_str()), "a session of its own");
    }
}

#[tokio::test]
async fn stateless_client_lists_and_calls_without_a_handshake() {
    let world = World::new();
    let token = world.connected().await.access;
    let version = ("mcp-protocol-version", "2026-07-28");
    let discover =
        json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": meta()}});
    let response = post_mcp(&world, &token, &[version, ("mcp-method", "server/discover")], &discover).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.text);
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {"_meta": meta()}});
    let result =
        post_mcp(&world, &token, &[version, ("mcp-method", "tools/list")], &list).await.json()["result"]
            .clone();
    assert_eq!((&result["resultType"], &result["cacheScope"]), (&json!("complete"), &json!("private")));
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "deputy");
    let call = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call",
        "params": {"name": "who_am_i", "arguments": {}, "_meta": meta()}});
    let headers = [version, ("mcp-method", "tools/call"), ("mcp-name", "=?base64?d2hvX2FtX2k=?=")];
    let response = post_mcp(&world, &token, &headers, &call).await;
    assert_eq!(response.json()["result"]["structuredContent"]["accessToken"]["audience"], json!([API]));
}

#[tokio::test]
async fn header_that_contradicts_the_body_is_refused() {
    let world = World::new();
    let token = world.connected().await.access;
    let call = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call",
        "params": {"name": "create_new_todo", "arguments": {"text": "x"}, "_meta": meta()}});
    let good = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "create_new_todo"),
    ];
    for (name, value) in [
        ("mcp-protocol-version", ""),
        ("mcp-protocol-version", "2025-11-25"),
        ("mcp-method", ""),
        ("mcp-method", "Tools/Call"),
        ("mcp-method", "tools/list"),
        ("mcp-name", ""),
        ("mcp-name", "who_am_i"),
        ("mcp-name", "=?base64?!?="),
    ] {
        let mut headers = good.to_vec();
        headers.retain(|(held, _)| *held != name);
        if !value.is_empty() {
            headers.push((name, value));
        }
        let response = post_mcp(&world, &token, &headers, &call).await;
        assert_eq!(
            (response.status, &response.json()["error"]["code"]),
            (StatusCode::BAD_REQUEST, &json!(-32020)),
            "{name}: {value}"
        );
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0, "nothing was executed");
}

#[tokio::test]
async fn unsupported_revision_is_refused_with_the_supported_ones() {
    let world = World::new();
    let token = world.connected().await.access;
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    let response = post_mcp(&world, &token, &[("mcp-protocol-version", "2099-01-01")], &list).await;
    assert_eq!(
        (response.status, &response.json()["error"]["code"]),
        (StatusCode::BAD_REQUEST, &json!(-32022))
    );
    let supported = &response.json()["error"]["data"]["supported"];
    assert_eq!(supported, &json!(["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]));
}

#[tokio::test]
async fn mcp_headers_of_an_older_revision_must_match_the_body() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "create_new_todo", "arguments": { "text": "Milk" } },
    });
    for version in [&[("mcp-protocol-version", "2025-11-25")][..], &[]] {
        for (method, name, status) in [
            ("tools/list", "create_new_todo", StatusCode::BAD_REQUEST),
            ("tools/call", "get_my_todo_list", StatusCode::BAD_REQUEST),
            ("tools/call", "create_new_todo", StatusCode::OK),
        ] {
            let mut headers = vec![("content-type", "application/json"), ("authorization", bearer.as_str())];
            headers.extend(version);
            headers.extend([("mcp-method", method), ("mcp-name", name)]);
            let response = world.request("POST", "/mcp", &headers, &call.to_string()).await;
            assert_eq!(response.status, status, "{method} {name}: {}", response.text);
        }
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 2);
}
