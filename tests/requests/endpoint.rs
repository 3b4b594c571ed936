//! The MCP endpoint as HTTP: where the token stands, which address and method, what an answer gives away.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{API, World};

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A call that would be seen at the API.
fn create() -> Value {
    let params = json!({ "name": "create_new_todo", "arguments": { "text": "x" } });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params })
}

#[tokio::test]
async fn a_token_anywhere_but_in_the_authorization_header_is_no_token() {
    let world = World::new();
    let token = world.connected().await.access;
    let mut with_token = create();
    with_token["access_token"] = json!(token);
    with_token["params"]["access_token"] = json!(token);
    let (call, with_token) = (create().to_string(), with_token.to_string());
    let form = format!("access_token={token}");
    let in_query = format!("/mcp?access_token={token}");
    for (path, headers, body) in [
        (in_query.as_str(), &[JSON][..], call.as_str()),
        ("/mcp", &[JSON], &with_token),
        ("/mcp", &[FORM], &form),
        ("/mcp", &[JSON, ("cookie", &form)], &call),
        ("/mcp", &[JSON, ("authorization", &token)], &call),
        ("/mcp", &[JSON, ("authorization", &format!("Basic {token}"))], &call),
        ("/mcp", &[JSON, ("x-authorization", &format!("Bearer {token}"))], &call),
        ("/mcp", &[JSON, ("mcp-session-id", &token)], &call),
    ] {
        let answer = world.request("POST", path, headers, body).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path} {headers:?}");
        assert!(answer.header("www-authenticate").starts_with("Bearer resource_metadata="));
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
    let lower = [JSON, ("authorization", &format!("bearer {token}"))];
    assert_eq!(world.request("POST", "/mcp", &lower, &call).await.status, StatusCode::OK);
}

#[tokio::test]
async fn credentials_of_another_scheme_do_not_hide_the_token() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let call = create().to_string();
    for (other, status) in [
        ("Basic cHJveHk6c2VjcmV0", StatusCode::OK),
        ("Negotiate YII=", StatusCode::OK),
        (bearer.as_str(), StatusCode::OK),
        ("Bearer stale", StatusCode::UNAUTHORIZED),
        ("Bearer", StatusCode::UNAUTHORIZED),
    ] {
        for (first, second) in [(other, bearer.as_str()), (bearer.as_str(), other)] {
            let headers = [JSON, ("authorization", first), ("authorization", second)];
            let answer = world.request("POST", "/mcp", &headers, &call).await;
            assert_eq!(answer.status, status, "{first} {second}");
        }
    }
}

#[tokio::test]
async fn the_endpoint_takes_post_and_nothing_else() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    for method in ["GET", "DELETE", "PUT", "PATCH", "HEAD"] {
        let with = [JSON, ("authorization", bearer.as_str())];
        let answer = world.request(method, "/mcp", &with, &create().to_string()).await;
        let refused = (StatusCode::METHOD_NOT_ALLOWED, "POST, OPTIONS".to_owned());
        assert_eq!((answer.status, answer.header("allow")), refused, "{method}");
        let answer = world.request(method, "/mcp", &[JSON], &create().to_string()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method}");
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
}

#[tokio::test]
async fn an_address_that_resembles_the_endpoints_is_none() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    for path in
        ["/mcp//", "/MCP", "/Mcp", "//mcp", "/mcp%2f", "/%6dcp", "/mcp/x", "/mcp;x", "/sse", "/message", "/"]
    {
        let headers = [JSON, ("authorization", bearer.as_str())];
        let answer = world.request("POST", path, &headers, &create().to_string()).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {}", answer.text);
        assert_eq!(answer.json()["error"], "invalid_request", "{path}");
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
}

#[tokio::test]
async fn endpoint_with_a_final_slash_is_the_endpoint() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let (call, good) = (create().to_string(), ("authorization", bearer.as_str()));
    assert_eq!(world.request("POST", "/mcp/", &[JSON, good], &call).await.status, StatusCode::OK);
    let answers = [
        world.request("POST", "/mcp", &[JSON], &call).await,
        world.request("POST", "/mcp/", &[JSON], &call).await,
    ];
    assert_eq!(answers[1].status, StatusCode::UNAUTHORIZED);
    assert_eq!(answers[0].header("www-authenticate"), answers[1].header("www-authenticate"));
    for path in ["/.well-known/oauth-protected-resource/mcp/", "/.well-known/oauth-protected-resource/"] {
        assert_eq!(world.get(path).await.json()["resource"], "https://deputy.example/mcp", "{path}");
    }
    for path in ["/.well-known/oauth-authorization-server/mcp/", "/.well-known/oauth-authorization-server/"] {
        assert_eq!(world.get(path).await.json()["issuer"], "https://deputy.example", "{path}");
    }
}

#[tokio::test]
async fn compressed_body_is_refused_with_what_is_taken() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let good = ("authorization", bearer.as_str());
    for path in ["/mcp", "/mcp/", "/token", "/register", "/revoke"] {
        for coding in ["gzip", "br", "GZIP, identity", "identity,deflate"] {
            let headers = [JSON, good, ("content-encoding", coding)];
            let answer = world.request("POST", path, &headers, "\u{1f}\u{8b}").await;
            let told = (answer.status, answer.header("accept-encoding"));
            assert_eq!(told, (StatusCode::UNSUPPORTED_MEDIA_TYPE, "identity".to_owned()), "{path} {coding}");
        }
    }
    let plain = [JSON, good, ("content-encoding", "identity")];
    assert_eq!(world.request("POST", "/mcp", &plain, &create().to_string()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn arguments_that_a_client_wrote_as_text_are_read() {
    let world = World::new();
    let token = world.connected().await.access;
    let added = world.call(&token, "create_new_todo", json!({ "text": "Buy milk" })).await.json();
    let id = added["result"]["structuredContent"]["todos"][0]["id"].clone();
    let done =
        world.call(&token, "toggle_todo_status", json!({ "id": id, "completed": "true" })).await.json();
    assert_eq!(done["result"]["structuredContent"]["todos"][0]["completed"], true, "{done}");
}

#[tokio::test]
async fn ids_and_params_that_peers_send_are_taken() {
    let world = World::new();
    let token = world.connected().await.access;
    let long = "x".repeat(1000);
    for id in [json!(u64::MAX), json!(i64::MIN), json!(1.0), json!(long)] {
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list", "params": null });
        let answer = world.mcp(Some(&token), &message).await;
        assert_eq!((answer.status, &answer.json()["id"]), (StatusCode::OK, &id), "{}", answer.text);
        assert!(answer.json()["result"]["tools"].is_array(), "{}", answer.text);
    }
}

#[tokio::test]
async fn initialize_under_a_header_of_2026_is_a_mismatch() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let info = json!({ "name": "test", "version": "1" });
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    let headers = [JSON, ("authorization", bearer.as_str()), ("mcp-protocol-version", "2026-07-28")];
    let answer = world.request("POST", "/mcp", &headers, &message.to_string()).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(-32020)));
}

#[tokio::test]
async fn an_error_says_nothing_of_how_the_server_is_built_or_what_it_holds() {
    let world = World::new();
    let token = world.connected().await.access;
    let request = |method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    for message in [
        request("no/such", json!({})),
        request("tools/call", json!({})),
        request("tools/call", json!({ "name": "no_such_tool" })),
        request("tools/call", json!({ "name": 7 })),
        request("tools/call", json!({ "name": "create_new_todo", "arguments": { "text": 7 } })),
        request("tools/call", json!({ "name": "create_new_todo", "arguments": [] })),
        request("tools/call", json!({ "name": "delete_todo", "arguments": { "id": "../../etc/passwd" } })),
        request("resources/read", json!({ "uri": "file:///etc/passwd" })),
        request("prompts/get", json!({ "name": "no_such_prompt" })),
        request("initialize", json!({ "protocolVersion": 7 })),
        request("logging/setLevel", json!({ "level": "no such level" })),
        json!({ "jsonrpc": "2.0", "id": "x".repeat(10_000), "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": { "a": 1 }, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": 1, "result": { "a": 1 } }),
    ] {
        let answer = world.mcp(Some(&token), &message).await;
        let told = answer.json();
        assert!(told["error"].is_object() || told["result"]["isError"] == true, "{message}: {told}");
        assert!(answer.status.is_success() || answer.status.is_client_error(), "{message}: {told}");
        assert!(answer.text.len() < 1000, "{message}: {told}");
        for name in
            ["panicked", "src/", ".rs", "RUST_BACKTRACE", "dpa_", "dpr_", "dpc_", "eyJ", "/home", "/work"]
        {
            assert!(!answer.text.contains(name), "{message}: {told}");
        }
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
}

#[tokio::test]
async fn no_answer_of_the_endpoint_is_for_a_cache() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let good = ("authorization", bearer.as_str());
    let (call, accepted) =
        (create().to_string(), r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
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
        let answer = world.request(method, "/mcp", headers, body).await;
        let told = (answer.status.as_u16(), answer.header("cache-control"));
        assert_eq!(told, (status, "no-store".to_owned()), "{method} {headers:?} {body}");
    }
}

#[tokio::test]
async fn bytes_around_or_inside_a_message_that_do_not_belong_there_are_refused() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let call = create().to_string();
    let inside = |from: &[u8], to: &[u8]| {
        let at = call.as_bytes().windows(from.len()).position(|bytes| bytes == from).expect("it is there");
        [&call.as_bytes()[..at], to, &call.as_bytes()[at + from.len()..]].concat()
    };
    let utf16: Vec<_> = call.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for body in [
        inside(b"\"x\"", b"\"\xff\""),
        inside(b"\"x\"", b"\"\xed\xa0\x80\""),
        inside(b"\"x\"", b"\"\\ud800\""),
        inside(b"\"x\"", b"\"\n\""),
        inside(b"\"x\"", b"NaN"),
        inside(b"\"x\"", b"1e999"),
        inside(b"\"x\"", b"'x'"),
        [b"\xef\xbb\xbf", call.as_bytes()].concat(),
        [call.as_bytes(), b",\n", call.as_bytes()].concat(),
        [call.as_bytes(), call.as_bytes()].concat(),
        [call.as_bytes(), b"\0"].concat(),
        call.as_bytes()[..call.len() - 1].to_vec(),
        utf16,
    ] {
        let headers = [JSON, ("authorization", bearer.as_str())];
        let answer = world.request_bytes("POST", "/mcp", &headers, Bytes::from(body.clone())).await;
        let shown = String::from_utf8_lossy(&body);
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{shown}: {}", answer.text);
        assert_eq!(answer.json()["error"]["code"], -32700, "{shown}");
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
}

#[tokio::test]
async fn a_message_whose_members_are_of_other_types_is_refused() {
    let world = World::new();
    let token = world.connected().await.access;
    for (name, value) in [
        ("jsonrpc", json!(2.0)),
        ("jsonrpc", json!("2")),
        ("jsonrpc", Value::Null),
        ("id", json!(true)),
        ("id", json!([1])),
        ("id", json!({})),
        ("id", json!(1.5)),
        ("id", Value::Null),
        ("method", json!(["tools/call"])),
        ("method", Value::Null),
        ("params", json!("x")),
        ("params", json!(7)),
        ("params", json!([])),
    ] {
        let mut message = create();
        message[name] = value;
        let answer = world.mcp(Some(&token), &message).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{message}: {}", answer.text);
        assert_eq!(answer.json()["error"]["code"], -32600, "{message}");
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
}

#[tokio::test]
async fn a_batch_is_refused_whole() {
    let world = World::new();
    let token = world.connected().await.access;
    for batch in [json!(vec![create(); 200]), json!([create()]), json!([[create()]]), json!([])] {
        let answer = world.mcp(Some(&token), &batch).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text);
        assert_eq!(answer.json()["error"]["code"], -32600, "{}", answer.text);
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
}
