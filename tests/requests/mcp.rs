use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{API, Answer, World};

/// What a request of 2026-07-28 carries in its body.
fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
    })
}

async fn stateless(world: &World, token: &str, headers: &[(&str, &str)], message: &Value) -> Answer {
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
async fn an_initialize_handshake_gets_the_revision_it_asked_for() {
    let world = World::new();
    let token = world.connected().await.access;
    for (asked, agreed) in
        [("2025-03-26", "2025-03-26"), ("2025-11-25", "2025-11-25"), ("2099-01-01", "2025-11-25")]
    {
        let params = json!({"protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
        let message = json!({"jsonrpc": "2.0", "id": "one", "method": "initialize", "params": params});
        // As clients send it: no version header yet, and perhaps a session of somebody else's.
        let response = stateless(&world, &token, &[("mcp-session-id", "stale")], &message).await;
        assert_eq!(response.status, StatusCode::OK, "{}", response.text);
        assert_eq!(response.json()["result"]["protocolVersion"], agreed);
        assert_eq!(response.json()["id"], "one");
        assert!(!["", "stale"].contains(&response.header("mcp-session-id").as_str()), "a session of its own");
    }
}

#[tokio::test]
async fn a_stateless_client_discovers_lists_and_calls_without_a_handshake() {
    let world = World::new();
    let token = world.connected().await.access;
    let version = ("mcp-protocol-version", "2026-07-28");
    let discover =
        json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": meta()}});
    let response = stateless(&world, &token, &[version, ("mcp-method", "server/discover")], &discover).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.text);
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {"_meta": meta()}});
    let result =
        stateless(&world, &token, &[version, ("mcp-method", "tools/list")], &list).await.json()["result"]
            .clone();
    assert_eq!((&result["resultType"], &result["cacheScope"]), (&json!("complete"), &json!("private")));
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "deputy");
    let call = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call",
        "params": {"name": "who_am_i", "arguments": {}, "_meta": meta()}});
    let headers = [version, ("mcp-method", "tools/call"), ("mcp-name", "=?base64?d2hvX2FtX2k=?=")];
    let response = stateless(&world, &token, &headers, &call).await;
    assert_eq!(response.json()["result"]["structuredContent"]["accessToken"]["audience"], json!([API]));
}

#[tokio::test]
async fn headers_that_do_not_say_what_the_body_says_are_refused() {
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
        let response = stateless(&world, &token, &headers, &call).await;
        assert_eq!(
            (response.status, &response.json()["error"]["code"]),
            (StatusCode::BAD_REQUEST, &json!(-32020)),
            "{name}: {value}"
        );
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0, "nothing was executed");
}

#[tokio::test]
async fn an_unknown_revision_is_refused_with_those_that_are_known() {
    let world = World::new();
    let token = world.connected().await.access;
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    let response = stateless(&world, &token, &[("mcp-protocol-version", "2099-01-01")], &list).await;
    assert_eq!(
        (response.status, &response.json()["error"]["code"]),
        (StatusCode::BAD_REQUEST, &json!(-32022))
    );
    let supported = &response.json()["error"]["data"]["supported"];
    assert_eq!(supported, &json!(["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]));
}

#[tokio::test]
async fn the_manifest_is_complete() {
    let world = World::new();
    let token = world.connected().await.access;
    let list =
        world.mcp(Some(&token), &json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).await.json();
    let tools = list["result"]["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["create_new_todo", "delete_todo", "get_my_todo_list", "toggle_todo_status", "who_am_i"]
    );
    for tool in tools {
        for member in ["title", "description", "annotations", "inputSchema", "outputSchema"] {
            assert!(!tool[member].is_null(), "{}: {member}", tool["name"]);
        }
    }
    assert_eq!(list["result"]["resultType"], Value::Null, "not for this revision");
}

#[tokio::test]
async fn todos_are_added_checked_off_and_deleted_and_are_each_persons_own() {
    let world = World::new();
    let alice = world.connected().await.access;
    let bob = world.connected_as("bob", &[]).await.access;
    let added = world.call(&alice, "create_new_todo", json!({"text": "Buy milk"})).await.json();
    let todo = added["result"]["structuredContent"]["todos"][0].clone();
    assert_eq!((&todo["text"], &todo["completed"]), (&json!("Buy milk"), &json!(false)), "{added}");
    let id = todo["id"].clone();
    let done = world.call(&alice, "toggle_todo_status", json!({"id": id, "completed": true})).await.json();
    assert_eq!(done["result"]["structuredContent"]["todos"][0]["completed"], true);
    let theirs = world.call(&bob, "get_my_todo_list", json!({})).await.json();
    assert_eq!(theirs["result"]["structuredContent"]["todos"], json!([]));
    assert_eq!(world.call(&bob, "delete_todo", json!({"id": id})).await.json()["result"]["isError"], true);
    world.start(&[("UNCONFIRMED_TOOLS", "delete_todo")]);
    assert_eq!(world.call(&bob, "delete_todo", json!({"id": id})).await.json()["result"]["isError"], true);
    let gone = world.call(&alice, "delete_todo", json!({"id": id})).await.json();
    assert_eq!(gone["result"]["structuredContent"]["todos"], json!([]));
}

#[tokio::test]
async fn who_am_i_shows_claims_and_the_raw_token_only_where_the_operator_wants_it() {
    let world = World::new();
    let tokens = world.connected().await;
    let answer = world.call(&tokens.access, "who_am_i", json!({})).await;
    let me = &answer.json()["result"]["structuredContent"];
    assert_eq!(me["accessToken"]["audience"], json!([API]));
    assert_eq!(me["scopes"], json!(["todo:read", "todo:write"]));
    assert!(!answer.text.contains("eyJ"), "no JWT");
    world.start(&[("WHO_AM_I_TOKEN", "full")]);
    assert!(world.call(&tokens.access, "who_am_i", json!({})).await.text.contains("eyJ"));
}

#[tokio::test]
async fn a_tool_without_its_scope_answers_insufficient_scope_and_is_not_run() {
    let world = World::new();
    let token = world.connected_as("alice", &[("scope", "todo:read")]).await.access;
    let response = world.call(&token, "create_new_todo", json!({"text": "x"})).await;
    assert_eq!(response.status, StatusCode::FORBIDDEN);
    assert_eq!(
        response.header("www-authenticate"),
        "Bearer error=\"insufficient_scope\", error_description=\"this needs the scope todo:write\", \
         scope=\"todo:read todo:write\", resource_metadata=\"https://deputy.example/.well-known/oauth-protected-resource/mcp\""
    );
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
    assert_eq!(world.call(&token, "get_my_todo_list", json!({})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn scope_that_nobody_can_have_is_no_scope_to_ask_for() {
    let world = World::with(&[("API_SCOPES", "todo:read")]);
    let token = world.connected().await.access;
    let response = world.call(&token, "create_new_todo", json!({"text": "x"})).await;
    assert_eq!((response.status, response.header("www-authenticate")), (StatusCode::OK, String::new()));
    let told = "this needs the scope todo:write, which this server grants to no client";
    assert_eq!(response.json()["error"]["message"], told);
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
}

#[tokio::test]
async fn api_url_with_a_wrong_path_is_no_unknown_todo() {
    let world = World::with(&[("API_URL", "https://todo.example/v2"), ("UNCONFIRMED_TOOLS", "delete_todo")]);
    let token = world.connected().await.access;
    for (tool, arguments) in [
        ("get_my_todo_list", json!({})),
        ("toggle_todo_status", json!({"id": "a", "completed": true})),
        ("delete_todo", json!({"id": "a"})),
    ] {
        let result = world.call(&token, tool, arguments).await.json()["result"].take();
        assert_eq!(result["isError"], true, "{result}");
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with("The Todo API gave an unexpected answer."), "{tool}: {text}");
    }
}

#[tokio::test]
async fn tokens_that_are_not_ours_are_refused() {
    let world = World::new();
    let tokens = world.connected().await;
    world.start(&[("WHO_AM_I_TOKEN", "full")]);
    let me = world.call(&tokens.access, "who_am_i", json!({})).await.json();
    let pingones = me["result"]["structuredContent"]["accessToken"]["raw"].as_str().unwrap().to_owned();
    let altered = format!("{}A", &tokens.access[..tokens.access.len() - 1]);
    for token in
        ["", "x", "eyJhbGciOiJub25lIn0.e30.", &pingones, &altered, &tokens.refresh, &"A".repeat(10_000)]
    {
        let response = world.call(token, "who_am_i", json!({})).await;
        assert_eq!(response.status, StatusCode::UNAUTHORIZED);
        assert!(response.header("www-authenticate").starts_with("Bearer error=\"invalid_token\", "));
    }
}

#[tokio::test]
async fn an_access_token_expires_after_an_hour() {
    let world = World::new();
    let token = world.connected().await.access;
    world.host.advance(3599);
    assert_eq!(world.call(&token, "who_am_i", json!({})).await.status, StatusCode::OK);
    world.host.advance(1);
    assert_eq!(world.call(&token, "who_am_i", json!({})).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_whatever_they_hold() {
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

#[tokio::test]
async fn messages_that_are_none_are_refused_and_not_executed() {
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
        &format!("[{{\"jsonrpc\":\"2.0\",\"id\":1,{call}}}]"),
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
async fn unknown_methods_tools_and_arguments_get_short_errors() {
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
async fn notifications_are_accepted_and_a_foreign_session_is_served() {
    let world = World::new();
    let token = world.connected().await.access;
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let response = world.mcp(Some(&token), &initialized).await;
    assert_eq!((response.status, response.text.as_str()), (StatusCode::ACCEPTED, ""));
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    assert_eq!(world.mcp(Some(&token), &ping).await.json()["result"], json!({}));
    for session in ["x", &token, "0123456789abcdef"] {
        let response = stateless(&world, &token, &[("mcp-session-id", session)], &ping).await;
        assert_eq!((response.status, response.json()["result"].take()), (StatusCode::OK, json!({})));
    }
}

#[tokio::test]
async fn headers_that_an_older_revision_does_not_know_say_nothing_else_than_the_body() {
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
            let answer = world.request("POST", "/mcp", &headers, &call.to_string()).await;
            assert_eq!(answer.status, status, "{method} {name}: {}", answer.text);
        }
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 2);
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let response = world.request("POST", "/mcp", &headers, &"x".repeat(5 * 1024 * 1024)).await;
    assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
}
