//! An rmcp server as the handler.

mod fixture;

use std::sync::{Arc, atomic::Ordering};

use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use self::fixture::{Fixture, SCOPES};
use super::{
    MemoryGrant, Reply, Response, STATELESS, http_response, meta, post, request, response_to, send, send_in,
};
use crate::{
    host::BoxFuture,
    mcp::{Challenge, RmcpHandler, RpcError, Rules, StreamableHttp, rmcp},
};

fn handler(fixture: &Fixture) -> Arc<RmcpHandler<Fixture>> {
    Arc::new(rmcp(fixture.clone()).require_all(SCOPES))
}

/// Sends a request of 2025-11-25.
async fn handshake(fixture: &Fixture, method: &str, params: Value) -> Reply {
    post(&handler(fixture), &[("mcp-protocol-version", "2025-11-25")], request(method, params)).await
}

/// Sends a request of 2026-07-28.
async fn stateless(method: &str, mut params: Value) -> Response {
    let name = params["name"].as_str().unwrap_or_default().to_owned();
    for (key, value) in meta().as_object().unwrap() {
        params["_meta"][key] = value.clone();
    }
    let headers = [STATELESS, ("mcp-method", method), ("mcp-name", name.as_str())];
    response_to(&handler(&Fixture::default()), &headers, request(method, params)).await
}

fn call(tool: &str) -> Value {
    json!({ "name": tool, "arguments": {}, "_meta": { "progressToken": "p" } })
}

async fn called(tool: &str) -> Response {
    Response::of(handshake(&Fixture::default(), "tools/call", call(tool)).await).await
}

#[tokio::test]
async fn initialize_negotiates_a_handshake_revision() {
    for (asked, agreed) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("tomorrow", "2025-11-25"),
    ] {
        let info = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": asked, "capabilities": {}, "clientInfo": info });
        let initialize = request("initialize", params);
        let response = response_to(&handler(&Fixture::default()), &[], initialize).await.json();
        assert_eq!(response["result"]["protocolVersion"], agreed, "{asked}");
        assert_eq!(response["result"]["serverInfo"]["name"], "fixture");
    }
}

#[tokio::test]
async fn initialize_without_its_params_is_invalid() {
    let response = response_to(&handler(&Fixture::default()), &[], request("initialize", json!({}))).await;
    assert_eq!(response.outcome(), (200, RpcError::INVALID_PARAMS));
}

#[tokio::test]
async fn tool_sees_caller_and_revision_but_no_token() {
    assert_eq!(called("who").await.json()["result"]["content"][0]["text"], "alice 2025-11-25");
    let response = stateless("tools/call", call("who")).await;
    assert_eq!(response.json()["result"]["content"][0]["text"], "alice 2026-07-28");
}

/// A call of a tool of a server that declares its tools to be silent.
async fn called_silently(tool: &str, capabilities: Value) -> Value {
    let handler = Arc::new(rmcp(Fixture::default()).require_all(SCOPES).with_silent_tools());
    let session = json!({ "name": "test", "version": "1" });
    let initialize =
        json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": session });
    let version = ("mcp-protocol-version", "2025-11-25");
    let begun = response_to(&handler, &[], request("initialize", initialize)).await;
    let id = begun.headers["mcp-session-id"].to_str().unwrap();
    let headers = [version, ("mcp-session-id", id)];
    response_to(&handler, &headers, request("tools/call", call(tool))).await.json()["result"].clone()
}

#[tokio::test]
async fn silent_tool_sees_revision_and_capabilities() {
    let text = |result: Value| result["content"][0]["text"].clone();
    assert_eq!(text(called_silently("who", json!({})).await), "alice 2025-11-25");
    let able = json!({ "elicitation": { "url": {} } });
    let seen = text(called_silently("deletes", able).await);
    assert!(seen.as_str().unwrap().contains("url: Some"), "{seen}");
    let seen = text(called_silently("deletes", json!({})).await);
    assert!(seen.as_str().unwrap().ends_with(" None"), "{seen}");
}

#[tokio::test]
async fn message_of_a_silent_tool_fails() {
    let handler = Arc::new(rmcp(Fixture::default()).require_all(SCOPES).with_silent_tools());
    for _ in 0..2 {
        let headers = [("mcp-protocol-version", "2025-11-25")];
        let response = response_to(&handler, &headers, request("tools/call", call("progress"))).await;
        assert_eq!(response.outcome(), (200, RpcError::INTERNAL_ERROR), "{}", response.text);
    }
}

#[tokio::test]
async fn tool_is_not_called_without_its_scope() {
    let fixture = Fixture::default();
    let reply = handshake(&fixture, "tools/call", call("secret")).await;
    assert_eq!(reply.err(), Some(Challenge::InsufficientScope { required: vec!["admin".to_owned()] }));
    assert!(!fixture.dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn resource_is_not_read_without_its_scope() {
    let params = json!({ "uri": "test://secret" });
    let reply = handshake(&Fixture::default(), "resources/read", params).await;
    assert_eq!(reply.err(), Some(Challenge::InsufficientScope { required: vec!["admin".to_owned()] }));
}

#[tokio::test]
async fn tool_without_declared_scopes_is_not_called() {
    assert_eq!(called("misspelled").await.outcome(), (200, RpcError::INTERNAL_ERROR));
    assert_eq!(called("misspeled").await.outcome(), (200, RpcError::INVALID_PARAMS), "there is no such tool");
}

#[tokio::test]
async fn progress_through_rmcp_peer_precedes_the_result() {
    for response in [called("progress").await, stateless("tools/call", call("progress")).await] {
        let events = response.events();
        assert_eq!(events.len(), 3, "{}", response.text);
        for (event, value) in events.iter().zip([1.0, 2.0]) {
            assert_eq!(event["params"], json!({ "progressToken": "p", "progress": value }));
        }
        assert_eq!(events[2]["result"]["content"][0]["text"], "done");
    }
}

#[tokio::test]
async fn dropped_stream_drops_the_tool() {
    let fixture = Fixture::default();
    let body = http_response(handshake(&fixture, "tools/call", call("forever")).await).into_body();
    assert!(!fixture.dropped.load(Ordering::SeqCst));
    drop(body);
    assert!(fixture.dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn tool_cannot_ask_client_without_the_capability() {
    for response in [called("asks").await, stateless("tools/call", call("asks")).await] {
        assert_eq!(response.json()["result"]["content"][0]["text"], "no reply");
    }
}

/// The questions and the result of an [`exchange`].
async fn questions_and_result(tool: &str, capabilities: Value, replies: &[Value]) -> (Vec<Value>, Value) {
    let (questions, mut message) = exchange(tool, capabilities, replies).await;
    (questions, message["result"].take())
}

/// Calls `tool` as a client with these capabilities, which replies to each question with the next of `replies`. Returns
/// the questions and the response.
async fn exchange(tool: &str, capabilities: Value, replies: &[Value]) -> (Vec<Value>, Value) {
    let handler = handler(&Fixture::default());
    let sleep = |_| -> BoxFuture<'static, ()> { Box::pin(std::future::pending()) };
    let server = StreamableHttp::new(handler, Arc::new(sleep), Rules::default());
    let request_grant = Arc::new(MemoryGrant::default());
    let info = json!({ "name": "test", "version": "1" });
    let params = json!({ "protocolVersion": "2025-06-18", "capabilities": capabilities, "clientInfo": info });
    let initialized = Response::of(send(&server, &[], request("initialize", params)).await).await;
    let session_id = [("mcp-session-id", initialized.headers["mcp-session-id"].to_str().unwrap())];
    let called =
        send_in(request_grant.clone(), &server, &session_id, request("tools/call", call(tool))).await;
    let mut body = http_response(called).into_body();
    let (mut replies, mut questions) = (replies.iter(), Vec::new());
    loop {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let text = String::from_utf8(frame.to_vec()).unwrap();
        let message: Value = serde_json::from_str(text.split("data: ").nth(1).unwrap()).unwrap();
        if message.get("method").is_none() {
            return (questions, message);
        }
        let mut reply = json!({ "jsonrpc": "2.0", "id": message["id"] });
        let said = replies.next().unwrap();
        reply[if said.get("code").is_some() { "error" } else { "result" }] = said.clone();
        assert_eq!(Response::of(send_in(request_grant.clone(), &server, &[], reply).await).await.status, 202);
        questions.push(message);
    }
}

#[tokio::test]
async fn tool_asks_client_through_rmcp_peer() {
    let roots = json!({ "roots": [] });
    let (questions, result) = questions_and_result("asks", json!({ "roots": {} }), &[roots]).await;
    assert_eq!(questions[0]["method"], "roots/list");
    assert_eq!(result["content"][0]["text"], "a reply");
}

#[tokio::test]
async fn malformed_reply_is_an_error_for_the_tool() {
    let (_, result) = questions_and_result("asks", json!({ "roots": {} }), &[json!(7)]).await;
    assert_eq!(result["content"][0]["text"], "no reply");
}

#[tokio::test]
async fn tool_that_requires_input_asks_older_client_on_stream() {
    let replies = [json!({ "action": "accept", "content": { "n": 1 } }), json!({ "action": "decline" })];
    let (questions, result) = questions_and_result("confirms", json!({ "elicitation": {} }), &replies).await;
    let asked: Vec<_> = questions.iter().map(|question| &question["params"]["message"]).collect();
    assert_eq!(asked, ["Sure 0?", "Sure 1?"]);
    assert_eq!(result["content"][0]["text"], json!({ "sure": { "action": "decline" } }).to_string());
    assert_eq!((result.get("resultType"), result.get("requestState")), (None, None));
}

#[tokio::test]
async fn tool_is_called_again_if_client_refuses_the_question() {
    let unknown = json!({ "code": RpcError::METHOD_NOT_FOUND, "message": "Method not found" });
    let (questions, result) = questions_and_result("deletes", json!({ "elicitation": {} }), &[unknown]).await;
    assert_eq!(questions.len(), 1);
    assert_eq!(result["content"][0]["text"], "Unavailable None");
    let yes = json!({ "action": "accept" });
    let (questions, result) = questions_and_result("deletes", json!({ "elicitation": {} }), &[yes]).await;
    assert_eq!((questions.len(), &result["content"][0]["text"]), (1, &json!("deleted")));
}

#[tokio::test]
async fn error_code_of_client_is_not_that_of_the_call() {
    for code in [-32000, -32001, RpcError::UNSUPPORTED_PROTOCOL_VERSION, 7] {
        let failed = json!({ "code": code, "message": "no window" });
        let (_, message) = exchange("confirms", json!({ "elicitation": {} }), &[failed]).await;
        let text = "the client did not provide the input: no window";
        assert_eq!(message["error"], json!({ "code": RpcError::INTERNAL_ERROR, "message": text }));
    }
}

#[tokio::test]
async fn input_required_of_unable_older_client_is_an_error() {
    let response = called("confirms").await;
    assert_eq!(response.outcome(), (200, RpcError::MISSING_CLIENT_CAPABILITY));
}

#[tokio::test]
async fn discovery_names_revisions_capabilities_and_the_server() {
    let response = stateless("server/discover", json!({})).await;
    let result = &response.json()["result"];
    let versions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];
    assert_eq!(result["supportedVersions"], json!(versions));
    assert_eq!(result["capabilities"], json!({ "resources": {}, "tools": {} }));
    assert_eq!(
        result["_meta"]["io.modelcontextprotocol/serverInfo"],
        json!({ "name": "fixture", "version": "1" })
    );
    assert_eq!((&result["resultType"], &result["cacheScope"]), (&json!("complete"), &json!("private")));
    assert!(result["ttlMs"].is_u64());
}

#[tokio::test]
async fn every_stateless_result_is_complete_and_names_the_server() {
    for (method, params) in
        [("tools/list", json!({})), ("tools/call", call("who")), ("resources/list", json!({}))]
    {
        let response = stateless(method, params).await;
        let result = &response.json()["result"];
        assert_eq!(result["resultType"], "complete", "{method}");
        assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "fixture", "{method}");
    }
}

#[tokio::test]
async fn list_continues_at_its_cursor() {
    for (cursor, name, next) in [(None, "first", json!("second")), (Some("second"), "second", Value::Null)] {
        let params = cursor.map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }));
        let reply = Response::of(handshake(&Fixture::default(), "prompts/list", params.clone()).await).await;
        for response in [reply, stateless("prompts/list", params).await] {
            let result = &response.json()["result"];
            assert_eq!((&result["prompts"][0]["name"], &result["nextCursor"]), (&json!(name), &next));
        }
    }
}

#[tokio::test]
async fn arguments_are_completed() {
    let params = json!({
        "ref": { "type": "ref/prompt", "name": "p" }, "argument": { "name": "who", "value": "al" },
    });
    let reply =
        Response::of(handshake(&Fixture::default(), "completion/complete", params.clone()).await).await;
    for response in [reply, stateless("completion/complete", params).await] {
        assert_eq!(response.json()["result"]["completion"]["values"], json!(["alice"]), "{}", response.text);
    }
}

#[tokio::test]
async fn lists_are_private_and_keep_their_time_to_live() {
    for (method, ttl) in [("tools/list", 0), ("resources/list", 60_000)] {
        let response = stateless(method, json!({})).await;
        let result = &response.json()["result"];
        assert_eq!((&result["cacheScope"], &result["ttlMs"]), (&json!("private"), &json!(ttl)), "{method}");
    }
}

#[tokio::test]
async fn handshake_result_has_no_stateless_members() {
    for (method, params) in
        [("tools/list", json!({})), ("resources/list", json!({})), ("tools/call", call("who"))]
    {
        let response = Response::of(handshake(&Fixture::default(), method, params).await).await;
        let result = &response.json()["result"];
        for member in ["resultType", "ttlMs", "cacheScope", "_meta"] {
            assert_eq!(result.get(member), None, "{method}: {member}");
        }
    }
}

#[tokio::test]
async fn arguments_must_equal_headers_by_the_tool_schema() {
    let params = json!({ "name": "region", "arguments": { "region": "west" }, "_meta": meta() });
    for (header, outcome) in [("west", (200, 0)), ("", (400, RpcError::HEADER_MISMATCH))] {
        let headers =
            [STATELESS, ("mcp-method", "tools/call"), ("mcp-name", "region"), ("mcp-param-region", header)];
        let body = request("tools/call", params.clone());
        assert_eq!(
            response_to(&handler(&Fixture::default()), &headers, body).await.outcome(),
            outcome,
            "{header}"
        );
    }
}

#[tokio::test]
async fn unknown_method_and_tool_have_error_codes_in_both_eras() {
    let unknown = handshake(&Fixture::default(), "no/such", json!({ "a": 1 })).await;
    assert_eq!(Response::of(unknown).await.outcome(), (200, RpcError::METHOD_NOT_FOUND));
    assert_eq!(stateless("no/such", json!({})).await.outcome(), (404, RpcError::METHOD_NOT_FOUND));
    assert_eq!(called("no_such_tool").await.outcome(), (200, RpcError::INVALID_PARAMS));
    let shapeless = handshake(&Fixture::default(), "tools/call", json!({ "name": 7 })).await;
    assert_eq!(Response::of(shapeless).await.outcome(), (200, RpcError::INVALID_PARAMS));
}

#[tokio::test]
async fn ping_is_served_in_handshake_revision() {
    let response = Response::of(handshake(&Fixture::default(), "ping", json!({})).await).await;
    assert_eq!(response.json()["result"], json!({}));
}
