//! JSON-RPC messages: what is accepted, refused and revealed.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    mcp_revisions::post_mcp,
    world::{API, JSON, World, add_todo, create_call},
};

#[tokio::test]
async fn tool_arguments_encoded_as_text_are_accepted() {
    let world = World::new();
    let token = world.connected().await.access;
    let added = world.call(&token, "create_new_todo", json!({ "text": "Buy milk" })).await.json();
    let id = added["result"]["structuredContent"]["todos"][0]["id"].clone();
    let done =
        world.call(&token, "toggle_todo_status", json!({ "id": id, "completed": "true" })).await.json();
    assert_eq!(done["result"]["structuredContent"]["todos"][0]["completed"], true, "{done}");
}

#[tokio::test]
async fn unusual_request_ids_and_null_params_are_accepted() {
    let world = World::new();
    let token = world.connected().await.access;
    let long = "x".repeat(1000);
    for id in [json!(u64::MAX), json!(i64::MIN), json!(1.0), json!(long)] {
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list", "params": null });
        let response = world.mcp(Some(&token), &message).await;
        assert_eq!((response.status, &response.json()["id"]), (StatusCode::OK, &id), "{}", response.text);
        assert!(response.json()["result"]["tools"].is_array(), "{}", response.text);
    }
}

#[tokio::test]
async fn mcp_errors_reveal_no_internals() {
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
        let response = world.mcp(Some(&token), &message).await;
        let told = response.json();
        assert!(told["error"].is_object() || told["result"]["isError"] == true, "{message}: {told}");
        assert!(response.status.is_success() || response.status.is_client_error(), "{message}: {told}");
        assert!(response.text.len() < 1000, "{message}: {told}");
        for name in
            ["panicked", "src/", ".rs", "RUST_BACKTRACE", "dpa_", "dpr_", "dpc_", "eyJ", "/home", "/work"]
        {
            assert!(!response.text.contains(name), "{message}: {told}");
        }
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
}

#[tokio::test]
async fn malformed_bytes_in_a_message_are_a_parse_error() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let call = create_call().to_string();
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
        let response = world.request_bytes("POST", "/mcp", &headers, Bytes::from(body.clone())).await;
        let shown = String::from_utf8_lossy(&body);
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{shown}: {}", response.text);
        assert_eq!(response.json()["error"]["code"], -32700, "{shown}");
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
}

#[tokio::test]
async fn message_members_of_wrong_type_are_an_invalid_request() {
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
        let mut message = create_call();
        message[name] = value;
        let response = world.mcp(Some(&token), &message).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{message}: {}", response.text);
        assert_eq!(response.json()["error"]["code"], -32600, "{message}");
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
}

#[tokio::test]
async fn batch_of_calls_is_refused_and_runs_none() {
    let world = World::new();
    let token = world.connected().await.access;
    for batch in
        [json!(vec![create_call(); 200]), json!([create_call()]), json!([[create_call()]]), json!([])]
    {
        let response = world.mcp(Some(&token), &batch).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{}", response.text);
        assert_eq!(response.json()["error"]["code"], -32600, "{}", response.text);
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
}

#[tokio::test]
async fn batch_of_2025_03_26_calls_nothing_if_a_scope_is_missing() {
    let world = World::new();
    let bearer = |token: &str| format!("Bearer {token}");
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "get_my_todo_list", "arguments": {} } });
    let post = async |token: &str, batch: Value| {
        let headers = [JSON, ("authorization", token)];
        world.request("POST", "/mcp", &headers, &batch.to_string()).await
    };
    let all = bearer(&world.connected().await.access);
    let response = post(&all, json!([create_call(), list])).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.text);
    let todos = &response.json()[1]["result"]["structuredContent"]["todos"];
    assert_eq!((todos[0]["text"].as_str(), response.json()[0]["id"].as_i64()), (Some("x"), Some(1)));
    let read = bearer(&world.connected_as("bob", &[("scope", "todo:read")]).await.access);
    let before = world.requests_to(API, "/api/todos");
    let response = post(&read, json!([list, create_call()])).await;
    assert_eq!(response.status, StatusCode::FORBIDDEN, "{}", response.text);
    assert!(response.header("www-authenticate").contains("insufficient_scope"));
    assert_eq!(world.requests_to(API, "/api/todos"), before);
}

#[tokio::test]
async fn reply_to_no_question_in_a_batch_loses_no_response() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let batch = json!([create_call(), { "jsonrpc": "2.0", "id": "x", "result": {} }]);
    let headers = [JSON, ("authorization", bearer.as_str())];
    let response = world.request("POST", "/mcp", &headers, &batch.to_string()).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.text);
    assert_eq!(response.json()[0]["result"]["structuredContent"]["todos"][0]["text"], "x");
}

#[tokio::test]
async fn batch_calls_nothing_after_a_mebibyte_of_responses() {
    let world = World::new();
    let token = world.connected().await.access;
    for _ in 0..100 {
        add_todo(&world, &token, &"x".repeat(500)).await;
    }
    let bearer = format!("Bearer {token}");
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "get_my_todo_list", "arguments": {} } });
    let headers = [JSON, ("authorization", bearer.as_str())];
    let before = world.requests_to(API, "/api/todos");
    let response = world.request("POST", "/mcp", &headers, &json!(vec![list; 16]).to_string()).await;
    let responses = response.json();
    let responses = responses.as_array().expect("responses");
    let served = responses.iter().filter(|response| response["result"].is_object()).count();
    let refused = responses.iter().filter(|response| response["error"]["code"] == -32600).count();
    assert!(served > 1 && refused > 1 && served + refused == 16, "{served} {refused}");
    assert_eq!(world.requests_to(API, "/api/todos") - before, served);
    assert!(response.text.len() < 2 * 1024 * 1024, "{}", response.text.len());
}

#[tokio::test]
async fn invalid_message_is_refused_and_not_executed() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let call = r#""method":"tools/call","params":{"name":"create_new_todo","arguments":{"text":"x"}}"#;
    for body in [
        "",
        "{",
        "[]",
        "null",
        "7",
        "\"x\"",
        &"[".repeat(200),
        "{\"jsonrpc\":\"2.0\"}",
        &format!("[{{\"jsonrpc\":\"2.0\",\"id\":1,{call}}},"),
        &format!("{{\"jsonrpc\":\"1.0\",\"id\":1,{call}}}"),
        &format!("{{\"id\":1,{call}}}"),
        &format!("{{\"jsonrpc\":\"2.0\",\"id\":null,{call}}}"),
        &format!("{{\"jsonrpc\":\"2.0\",\"id\":{{}},{call}}}"),
        &format!("{{\"jsonrpc\":\"2.0\",\"id\":1.5,{call}}}"),
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}"#,
    ] {
        let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
        let response = world.request("POST", "/mcp", &headers, body).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{body}: {}", response.text);
        let code = response.json()["error"]["code"].as_i64();
        assert!(matches!(code, Some(-32700 | -32600)), "{body}: {code:?}");
    }
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
        let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,{call}}}");
        let headers = [("content-type", media_type), ("authorization", bearer.as_str())];
        let response = world.request("POST", "/mcp", &headers, &body).await;
        assert_eq!(response.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{media_type}");
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
}

#[tokio::test]
async fn unknown_method_tool_or_argument_gets_a_short_error() {
    let world = World::new();
    let token = world.connected().await.access;
    let unknown = world.mcp(Some(&token), &json!({"jsonrpc": "2.0", "id": 1, "method": "no/such"})).await;
    assert_eq!(unknown.json()["error"]["code"], -32601, "{}", unknown.text);
    let tool = world.call(&token, "no_such_tool", json!({})).await.json();
    assert_eq!(tool["error"]["code"], -32602, "{tool}");
    let wrong = world.call(&token, "create_new_todo", json!({"text": 7})).await.json();
    assert!(wrong["error"]["code"] == -32602 || wrong["result"]["isError"] == true, "{wrong}");
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
}

#[tokio::test]
async fn notification_is_accepted_and_unknown_session_is_served() {
    let world = World::new();
    let token = world.connected().await.access;
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let response = world.mcp(Some(&token), &initialized).await;
    assert_eq!((response.status, response.text.as_str()), (StatusCode::ACCEPTED, ""));
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    assert_eq!(world.mcp(Some(&token), &ping).await.json()["result"], json!({}));
    for session in ["x", &token, "0123456789abcdef"] {
        let response = post_mcp(&world, &token, &[("mcp-session-id", session)], &ping).await;
        assert_eq!((response.status, response.json()["result"].take()), (StatusCode::OK, json!({})));
    }
}
