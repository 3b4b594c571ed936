//! Input that handlers require of clients: on the stream of a request, and over several requests.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::{MemoryGrant, Response, STATELESS, Scripted, Work, http_response, meta, request, send, send_in};
use crate::{
    host::BoxFuture,
    mcp::{Call, Confirmation, Peer, RpcError, Rules, StreamableHttp},
};

const ELICITATION: &str = "elicitation/create";

fn server(act: impl Fn(Call, Peer) -> Work + Send + Sync + 'static) -> StreamableHttp {
    let sleep = |_| -> BoxFuture<'static, ()> { Box::pin(std::future::pending()) };
    let handler = Scripted::new(move |call, _, peer| act(call, peer));
    StreamableHttp::new(Arc::new(handler), Arc::new(sleep), Rules::default())
}

/// A server that asks its client one question for every request. The result is the reply.
fn questioning(method: &'static str, params: Value) -> StreamableHttp {
    server(move |_, peer| {
        let params = params.clone();
        Box::pin(async move { Ok(json!({ "reply": peer.ask(method, Some(&params))?.await? })) })
    })
}

fn call() -> Value {
    request("tools/call", json!({ "name": "x", "arguments": {} }))
}

/// The session id of a client that declares these capabilities.
async fn session_with(capabilities: Value) -> String {
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities });
    let response = Response::of(send(&empty(), &[], request("initialize", params)).await).await;
    assert_eq!(response.status, 200);
    response.headers[SESSION].to_str().unwrap().to_owned()
}

/// The state that a session id contains.
fn declared(session_id: &str) -> Value {
    serde_json::from_str(session_id.split_once('|').unwrap().1).unwrap()
}

const SESSION: &str = "mcp-session-id";

fn empty() -> StreamableHttp {
    server(|_, _| Box::pin(std::future::ready(Ok(json!({})))))
}

async fn frame(body: &mut axum::body::Body) -> Value {
    let bytes = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    serde_json::from_str(text.split("data: ").nth(1).unwrap()).unwrap()
}

#[tokio::test]
async fn question_on_a_stream_gets_reply_from_another_request() {
    let (request_grant, session_id) =
        (Arc::new(MemoryGrant::default()), session_with(json!({ "elicitation": {} })).await);
    let server = questioning(ELICITATION, json!({ "message": "Sure?" }));
    let headers = [(SESSION, session_id.as_str())];
    let mut body = http_response(send_in(request_grant.clone(), &server, &headers, call()).await).into_body();
    let question = frame(&mut body).await;
    let (id, params) = (&question["id"], json!({ "message": "Sure?" }));
    assert_eq!(question, json!({ "jsonrpc": "2.0", "id": id, "method": ELICITATION, "params": params }));
    let reply = json!({ "jsonrpc": "2.0", "id": id, "result": { "action": "accept" } });
    let accepted = Response::of(send_in(request_grant, &server, &[], reply).await).await;
    assert_eq!((accepted.status.as_u16(), accepted.text.as_str()), (202, ""));
    assert_eq!(frame(&mut body).await["result"], json!({ "reply": { "action": "accept" } }));
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn error_reply_of_client_fails_the_question() {
    let (request_grant, session_id) =
        (Arc::new(MemoryGrant::default()), session_with(json!({ "sampling": {} })).await);
    let server = questioning("sampling/createMessage", json!({}));
    let headers = [(SESSION, session_id.as_str())];
    let mut body = http_response(send_in(request_grant.clone(), &server, &headers, call()).await).into_body();
    let error = json!({ "code": -1, "message": "no" });
    let reply = json!({ "jsonrpc": "2.0", "id": frame(&mut body).await["id"], "error": error });
    assert_eq!(Response::of(send_in(request_grant, &server, &[], reply).await).await.status, 202);
    assert_eq!(frame(&mut body).await["error"], error);
}

#[tokio::test]
async fn unknown_question_is_a_missing_capability() {
    for code in [RpcError::METHOD_NOT_FOUND, RpcError::INVALID_PARAMS] {
        let (request_grant, session_id) =
            (Arc::new(MemoryGrant::default()), session_with(json!({ "elicitation": {} })).await);
        let headers = [(SESSION, session_id.as_str())];
        let server = questioning(ELICITATION, json!({}));
        let mut body =
            http_response(send_in(request_grant.clone(), &server, &headers, call()).await).into_body();
        let error = json!({ "code": code, "message": "Method not found" });
        let reply = json!({ "jsonrpc": "2.0", "id": frame(&mut body).await["id"], "error": error });
        assert_eq!(Response::of(send_in(request_grant, &server, &headers, reply).await).await.status, 202);
        assert_eq!(frame(&mut body).await["error"]["code"], RpcError::MISSING_CLIENT_CAPABILITY);
    }
}

#[tokio::test]
async fn session_id_that_cannot_be_opened_declares_nothing() {
    let session_id = session_with(json!({ "elicitation": {} })).await;
    let altered = format!("x{session_id}");
    let long = format!("{session_id}{}", "x".repeat(2000));
    for id in ["x", "0123456789abcdef", &altered, &long, "\"", "\u{e9}"] {
        let response =
            Response::of(send(&questioning(ELICITATION, json!({})), &[(SESSION, id)], call()).await).await;
        assert_eq!(response.outcome(), (200, RpcError::MISSING_CLIENT_CAPABILITY), "{id}");
    }
    let twice = [(SESSION, session_id.as_str()), (SESSION, session_id.as_str())];
    let response = Response::of(send(&questioning(ELICITATION, json!({})), &twice, call()).await).await;
    assert_eq!(response.outcome(), (200, RpcError::MISSING_CLIENT_CAPABILITY));
}

#[tokio::test]
async fn failed_initialize_opens_no_session() {
    let server =
        server(|_, _| Box::pin(std::future::ready(Err(RpcError::new(RpcError::INVALID_PARAMS, "no")))));
    let params = json!({ "capabilities": { "elicitation": {} } });
    let response = Response::of(send(&server, &[], request("initialize", params)).await).await;
    assert_eq!((response.outcome().1, response.headers.get(SESSION)), (RpcError::INVALID_PARAMS, None));
}

#[tokio::test]
async fn tool_sees_whether_its_client_can_confirm() {
    let sleep = |_| -> BoxFuture<'static, ()> { Box::pin(std::future::pending()) };
    let handler = Scripted::new(|_, caller, _| {
        let confirmation = format!("{:?}", caller.confirmation());
        Box::pin(std::future::ready(Ok(json!(confirmation))))
    });
    let rules = Rules { unconfirmed: vec!["x".to_owned()], ..Rules::default() };
    let server = StreamableHttp::new(Arc::new(handler), Arc::new(sleep), rules);
    let (able, unable) = (session_with(json!({ "elicitation": {} })).await, session_with(json!({})).await);
    let json_only = ("accept", "application/json");
    for (tool, headers, expected) in [
        ("x", vec![(SESSION, able.as_str())], Confirmation::Ask),
        ("y", vec![(SESSION, able.as_str())], Confirmation::Ask),
        ("x", vec![(SESSION, able.as_str()), json_only], Confirmation::Waived),
        ("y", vec![(SESSION, able.as_str()), json_only], Confirmation::Unavailable),
        ("x", vec![(SESSION, unable.as_str())], Confirmation::Waived),
        ("y", vec![], Confirmation::Unavailable),
    ] {
        let call = request("tools/call", json!({ "name": tool }));
        let response = Response::of(send(&server, &headers, call).await).await;
        assert_eq!(response.json()["result"], format!("{expected:?}"), "{tool} {headers:?}");
    }
}

#[tokio::test]
async fn reply_to_unknown_question_is_refused() {
    for id in [json!("q0"), json!(0), Value::Null] {
        let reply = json!({ "jsonrpc": "2.0", "id": id, "result": {} });
        let response = Response::of(send(&empty(), &[], reply).await).await;
        assert_eq!(response.outcome(), (400, RpcError::INVALID_REQUEST), "{id}");
    }
}

#[tokio::test]
async fn question_needs_the_declared_capability() {
    let forms = json!({ "elicitation": {} });
    for (capabilities, method, params, is_asked) in [
        (forms.clone(), ELICITATION, json!({}), true),
        (forms.clone(), ELICITATION, json!({ "mode": "form" }), true),
        (forms.clone(), ELICITATION, json!({ "mode": "url" }), false),
        (json!({ "elicitation": { "url": {} } }), ELICITATION, json!({ "mode": "url" }), true),
        (json!({ "elicitation": { "url": {} } }), ELICITATION, json!({}), false),
        (forms.clone(), "sampling/createMessage", json!({}), false),
        (json!({ "sampling": {} }), "sampling/createMessage", json!({}), true),
        (json!({ "roots": {} }), "roots/list", json!({}), true),
        (json!({}), "roots/list", json!({}), false),
        (json!({}), "ping", json!({}), true),
        (forms, "tools/call", json!({}), false),
    ] {
        let session_id = session_with(capabilities.clone()).await;
        let server = questioning(method, params.clone());
        let mut body = http_response(send(&server, &[(SESSION, &session_id)], call()).await).into_body();
        if is_asked {
            assert_eq!(frame(&mut body).await["method"], method, "{capabilities} {params}");
        } else {
            let bytes = body.collect().await.unwrap().to_bytes();
            let refused: Value = serde_json::from_slice(&bytes).unwrap();
            let code = &refused["error"]["code"];
            assert_eq!(code, RpcError::MISSING_CLIENT_CAPABILITY, "{capabilities} {params}");
        }
    }
}

#[tokio::test]
async fn questions_need_event_stream_and_handshake_revision() {
    let server = questioning("ping", json!({}));
    let headers = [STATELESS, ("mcp-method", "tools/call"), ("mcp-name", "x")];
    let modern = request("tools/call", json!({ "name": "x", "_meta": meta() }));
    for (headers, body) in [(&[("accept", "application/json")][..], call()), (&headers[..], modern)] {
        let response = Response::of(send(&server, headers, body).await).await;
        assert_eq!(response.outcome(), (200, RpcError::INVALID_REQUEST));
    }
}

#[tokio::test]
async fn unreadable_capability_leaves_a_session_the_others() {
    for other in
        [json!({ "experimental": { "x": true } }), json!({ "roots": true }), json!({ "sampling": [] })]
    {
        let mut capabilities = other.clone();
        capabilities["elicitation"] = json!({});
        let session_id = session_with(capabilities).await;
        assert_eq!(declared(&session_id), json!({ "capabilities": { "elicitation": {} } }), "{other}");
    }
    for nothing in [json!(null), json!([]), json!("x")] {
        assert_eq!(declared(&session_with(nothing).await), json!({ "capabilities": {} }));
    }
}

#[tokio::test]
async fn unreadable_reply_ends_its_question() {
    for (reply, status) in [
        (json!({ "jsonrpc": "2.0" }), 400),
        (json!({ "jsonrpc": "2.0", "result": {}, "error": { "code": 1, "message": "x" } }), 400),
        (json!({ "result": {} }), 400),
        (json!({ "jsonrpc": "1.0", "result": {} }), 400),
        (json!({ "jsonrpc": "2.0", "method": null, "params": null, "result": {} }), 202),
    ] {
        let (request_grant, session_id) =
            (Arc::new(MemoryGrant::default()), session_with(json!({ "elicitation": {} })).await);
        let server = questioning(ELICITATION, json!({}));
        let asked = send_in(request_grant.clone(), &server, &[(SESSION, session_id.as_str())], call()).await;
        let mut body = http_response(asked).into_body();
        let mut message = reply.clone();
        message["id"] = frame(&mut body).await["id"].clone();
        assert_eq!(
            Response::of(send_in(request_grant, &server, &[], message).await).await.status,
            status,
            "{reply}"
        );
        let code = frame(&mut body).await["error"]["code"].as_i64();
        assert_eq!(code, (status == 400).then_some(RpcError::INTERNAL_ERROR), "{reply}");
    }
}

#[tokio::test]
async fn session_id_has_no_capabilities_of_unbounded_size() {
    let any = json!({ "x": { "y": "z" } });
    let sampling = json!({ "tools": any, "context": any });
    let form = json!({ "schemaValidation": true, "x": any });
    let elicitation = json!({ "form": form, "url": any, "x": any });
    let huge = json!({
        "experimental": any, "extensions": any, "roots": any, "sampling": sampling, "elicitation": elicitation, "x": any,
    });
    let session_id = session_with(huge).await;
    let kept = json!({
        "roots": {}, "sampling": { "tools": {}, "context": {} },
        "elicitation": { "form": { "schemaValidation": true }, "url": {} },
    });
    assert_eq!(declared(&session_id), json!({ "capabilities": kept }));
}

#[tokio::test]
async fn log_level_of_client_applies_to_later_requests() {
    let talking = server(|_, peer| {
        for level in ["info", "error"] {
            let params = json!({ "level": level, "data": "x" });
            peer.notify(json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": params }));
        }
        Box::pin(std::future::ready(Ok(json!({}))))
    });
    let session_id = session_with(json!({ "roots": {} })).await;
    let level = request("logging/setLevel", json!({ "level": "warning" }));
    let response = Response::of(send(&empty(), &[(SESSION, &session_id)], level).await).await;
    let next = response.headers[SESSION].to_str().unwrap();
    assert_eq!(declared(next)["capabilities"], json!({ "roots": {} }));
    let events = Response::of(send(&talking, &[(SESSION, next)], call()).await).await.events();
    assert_eq!(
        events.iter().filter_map(|event| event["params"]["level"].as_str()).collect::<Vec<_>>(),
        ["error"]
    );
}

/// The result of a handler that requires input: a question, and its state.
fn input_required(state: &str) -> Value {
    let question = json!({ "method": ELICITATION, "params": { "message": "Sure?" } });
    json!({ "resultType": "input_required", "inputRequests": { "sure": question }, "requestState": state })
}

/// A server that requires input, and repeats the state that it gets back.
fn rounds() -> StreamableHttp {
    server(|call, _| {
        let result = match call.params.get("requestState") {
            Some(state) => json!({ "state": state, "responses": call.params["inputResponses"] }),
            None => input_required("my state"),
        };
        Box::pin(std::future::ready(Ok(result)))
    })
}

/// Calls tool `name` by the rules of 2026-07-28.
async fn called(server: &StreamableHttp, name: &str, mut params: Value) -> Response {
    params["name"] = json!(name);
    params["_meta"] = meta();
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({ "elicitation": {} });
    let headers = [STATELESS, ("mcp-method", "tools/call"), ("mcp-name", name)];
    Response::of(send(server, &headers, request("tools/call", params)).await).await
}

#[tokio::test]
async fn handler_state_is_sealed_for_the_client() {
    let first = called(&rounds(), "x", json!({ "arguments": { "id": 1 } })).await.json()["result"].clone();
    assert_eq!(first["inputRequests"]["sure"]["method"], ELICITATION);
    let state = first["requestState"].as_str().unwrap();
    assert_ne!(state, "my state");
    let params = json!({ "arguments": { "id": 1 }, "requestState": state, "inputResponses": { "sure": 1 } });
    let second = called(&rounds(), "x", params).await.json()["result"].clone();
    assert_eq!(second, json!({ "state": "my state", "responses": { "sure": 1 } }));
}

#[tokio::test]
async fn null_request_state_counts_as_absent() {
    let params = json!({ "requestState": null, "inputResponses": null });
    let result = called(&rounds(), "x", params).await.json()["result"].clone();
    assert_eq!(result["state"], json!(null), "{result}");
}

#[tokio::test]
async fn state_of_another_call_or_forged_state_is_refused() {
    let first = called(&rounds(), "x", json!({ "arguments": { "id": 1 } })).await.json()["result"].clone();
    let state = first["requestState"].as_str().unwrap();
    for (name, arguments, state) in [
        ("y", json!({ "id": 1 }), json!(state)),
        ("x", json!({ "id": 2 }), json!(state)),
        ("x", json!({}), json!(state)),
        ("x", json!({ "id": 1 }), json!("my state")),
        ("x", json!({ "id": 1 }), json!("")),
        ("x", json!({ "id": 1 }), json!({})),
    ] {
        let params = json!({ "arguments": arguments, "requestState": state });
        assert_eq!(called(&rounds(), name, params).await.outcome(), (400, RpcError::INVALID_PARAMS));
    }
}

#[tokio::test]
async fn input_required_of_unable_client_is_missing_capability() {
    let params = json!({ "name": "x", "_meta": meta() });
    let headers = [STATELESS, ("mcp-method", "tools/call"), ("mcp-name", "x")];
    let response = Response::of(send(&rounds(), &headers, request("tools/call", params)).await).await;
    assert_eq!(response.outcome(), (400, RpcError::MISSING_CLIENT_CAPABILITY));
    let needed = &response.json()["error"]["data"]["requiredCapabilities"];
    assert_eq!(needed, &json!({ "elicitation": { "form": {} } }));
}

#[tokio::test]
async fn request_state_from_handshake_client_is_ignored() {
    let echo = server(|call, _| Box::pin(std::future::ready(Ok(json!(call.params)))));
    let params = json!({ "name": "x", "requestState": "forged", "inputResponses": { "sure": "yes" } });
    let response = Response::of(send(&echo, &[], request("tools/call", params)).await).await;
    assert_eq!(response.json()["result"], json!({ "name": "x" }));
}

#[tokio::test]
async fn subscription_ends_with_its_access_token() {
    let listening = server(|_, peer| {
        peer.notify(json!({ "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged" }));
        Box::pin(std::future::pending())
    });
    let headers = [STATELESS, ("mcp-method", "subscriptions/listen")];
    let body = request("subscriptions/listen", json!({ "_meta": meta() }));
    let request_grant = Arc::new(MemoryGrant { is_closed: true, ..MemoryGrant::default() });
    let events = Response::of(send_in(request_grant, &listening, &headers, body).await).await.events();
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(
        events[1]["error"]["message"],
        "the access token of this request is no longer valid, or the server restarts; subscribe again"
    );
}

#[tokio::test]
async fn subscription_needs_a_client_that_accepts_events() {
    let listening = server(|_, _| Box::pin(std::future::pending()));
    let headers = [STATELESS, ("mcp-method", "subscriptions/listen"), ("accept", "application/json")];
    let body = request("subscriptions/listen", json!({ "_meta": meta() }));
    let response = Response::of(send(&listening, &headers, body).await).await;
    assert_eq!(response.outcome(), (406, RpcError::INVALID_REQUEST));
}
