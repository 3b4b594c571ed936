//! Input that handlers ask clients for: on the stream of a request, and over several requests.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::{Answer, STATELESS, Scripted, Talk, Work, meta, request, response, send, send_in};
use crate::{
    host::BoxFuture,
    mcp::{Call, Confirmation, Peer, RpcError, Rules, StreamableHttp},
};

const ABLE: &str = "elicitation/create";

fn front(act: impl Fn(Call, Peer) -> Work + Send + Sync + 'static) -> StreamableHttp {
    let sleep = |_| -> BoxFuture<'static, ()> { Box::pin(std::future::pending()) };
    let handler = Scripted::new(move |call, _, peer| act(call, peer));
    StreamableHttp::new(Arc::new(handler), Arc::new(sleep), Rules::default())
}

/// A front whose every request is one question to the client; its result is what came of it.
fn questioning(method: &'static str, params: Value) -> StreamableHttp {
    front(move |_, peer| {
        let params = params.clone();
        Box::pin(async move { Ok(json!({ "reply": peer.ask(method, Some(&params))?.await? })) })
    })
}

fn call() -> Value {
    request("tools/call", json!({ "name": "x", "arguments": {} }))
}

/// The session of a client that has said what it can do.
async fn able(capabilities: Value) -> String {
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities });
    let answer = Answer::of(send(&silent(), &[], request("initialize", params)).await).await;
    assert_eq!(answer.status, 200);
    answer.headers[SESSION].to_str().unwrap().to_owned()
}

/// What a client said, in a session of it.
fn declared(session: &str) -> Value {
    serde_json::from_str(session.split_once('|').unwrap().1).unwrap()
}

const SESSION: &str = "mcp-session-id";

fn silent() -> StreamableHttp {
    front(|_, _| Box::pin(std::future::ready(Ok(json!({})))))
}

async fn frame(body: &mut axum::body::Body) -> Value {
    let bytes = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    serde_json::from_str(text.split("data: ").nth(1).unwrap()).unwrap()
}

#[tokio::test]
async fn a_question_goes_out_on_the_stream_and_its_reply_comes_with_another_request() {
    let (talk, session) = (Arc::new(Talk::default()), able(json!({ "elicitation": {} })).await);
    let front = questioning(ABLE, json!({ "message": "Sure?" }));
    let headers = [(SESSION, session.as_str())];
    let mut body = response(send_in(talk.clone(), &front, &headers, call()).await).into_body();
    let question = frame(&mut body).await;
    let (id, params) = (&question["id"], json!({ "message": "Sure?" }));
    assert_eq!(question, json!({ "jsonrpc": "2.0", "id": id, "method": ABLE, "params": params }));
    let reply = json!({ "jsonrpc": "2.0", "id": id, "result": { "action": "accept" } });
    let accepted = Answer::of(send_in(talk, &front, &[], reply).await).await;
    assert_eq!((accepted.status.as_u16(), accepted.text.as_str()), (202, ""));
    assert_eq!(frame(&mut body).await["result"], json!({ "reply": { "action": "accept" } }));
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn an_error_of_the_client_is_the_outcome_of_the_question() {
    let (talk, session) = (Arc::new(Talk::default()), able(json!({ "sampling": {} })).await);
    let front = questioning("sampling/createMessage", json!({}));
    let headers = [(SESSION, session.as_str())];
    let mut body = response(send_in(talk.clone(), &front, &headers, call()).await).into_body();
    let error = json!({ "code": -1, "message": "no" });
    let reply = json!({ "jsonrpc": "2.0", "id": frame(&mut body).await["id"], "error": error });
    assert_eq!(Answer::of(send_in(talk, &front, &[], reply).await).await.status, 202);
    assert_eq!(frame(&mut body).await["error"], error);
}

#[tokio::test]
async fn client_that_does_not_know_the_question_cannot_be_asked() {
    for code in [RpcError::METHOD_NOT_FOUND, RpcError::INVALID_PARAMS] {
        let (talk, session) = (Arc::new(Talk::default()), able(json!({ "elicitation": {} })).await);
        let headers = [(SESSION, session.as_str())];
        let front = questioning(ABLE, json!({}));
        let mut body = response(send_in(talk.clone(), &front, &headers, call()).await).into_body();
        let error = json!({ "code": code, "message": "Method not found" });
        let reply = json!({ "jsonrpc": "2.0", "id": frame(&mut body).await["id"], "error": error });
        assert_eq!(Answer::of(send_in(talk, &front, &headers, reply).await).await.status, 202);
        assert_eq!(frame(&mut body).await["error"]["code"], RpcError::MISSING_CLIENT_CAPABILITY);
    }
}

#[tokio::test]
async fn session_id_that_does_not_open_declares_nothing() {
    let session = able(json!({ "elicitation": {} })).await;
    let altered = format!("x{session}");
    let long = format!("{session}{}", "x".repeat(2000));
    for id in ["x", "0123456789abcdef", &altered, &long, "\"", "\u{e9}"] {
        let answer = Answer::of(send(&questioning(ABLE, json!({})), &[(SESSION, id)], call()).await).await;
        assert_eq!(answer.outcome(), (200, RpcError::MISSING_CLIENT_CAPABILITY), "{id}");
    }
    let twice = [(SESSION, session.as_str()), (SESSION, session.as_str())];
    let answer = Answer::of(send(&questioning(ABLE, json!({})), &twice, call()).await).await;
    assert_eq!(answer.outcome(), (200, RpcError::MISSING_CLIENT_CAPABILITY));
}

#[tokio::test]
async fn failed_initialize_opens_no_session() {
    let front =
        front(|_, _| Box::pin(std::future::ready(Err(RpcError::new(RpcError::INVALID_PARAMS, "no")))));
    let params = json!({ "capabilities": { "elicitation": {} } });
    let answer = Answer::of(send(&front, &[], request("initialize", params)).await).await;
    assert_eq!((answer.outcome().1, answer.headers.get(SESSION)), (RpcError::INVALID_PARAMS, None));
}

#[tokio::test]
async fn tool_learns_whether_its_client_can_confirm() {
    let sleep = |_| -> BoxFuture<'static, ()> { Box::pin(std::future::pending()) };
    let handler = Scripted::new(|_, caller, _| {
        let confirmation = format!("{:?}", caller.confirmation());
        Box::pin(std::future::ready(Ok(json!(confirmation))))
    });
    let rules = Rules { unconfirmed: vec!["x".to_owned()], ..Rules::default() };
    let front = StreamableHttp::new(Arc::new(handler), Arc::new(sleep), rules);
    let (able, unable) = (able(json!({ "elicitation": {} })).await, able(json!({})).await);
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
        let answer = Answer::of(send(&front, &headers, call).await).await;
        assert_eq!(answer.json()["result"], format!("{expected:?}"), "{tool} {headers:?}");
    }
}

#[tokio::test]
async fn a_reply_to_no_question_is_refused() {
    for id in [json!("q0"), json!(0), Value::Null] {
        let reply = json!({ "jsonrpc": "2.0", "id": id, "result": {} });
        let answer = Answer::of(send(&silent(), &[], reply).await).await;
        assert_eq!(answer.outcome(), (400, RpcError::INVALID_REQUEST), "{id}");
    }
}

#[tokio::test]
async fn a_client_is_asked_nothing_that_it_has_not_declared() {
    let forms = json!({ "elicitation": {} });
    for (capabilities, method, params, answered) in [
        (forms.clone(), ABLE, json!({}), true),
        (forms.clone(), ABLE, json!({ "mode": "form" }), true),
        (forms.clone(), ABLE, json!({ "mode": "url" }), false),
        (json!({ "elicitation": { "url": {} } }), ABLE, json!({ "mode": "url" }), true),
        (json!({ "elicitation": { "url": {} } }), ABLE, json!({}), false),
        (forms.clone(), "sampling/createMessage", json!({}), false),
        (json!({ "sampling": {} }), "sampling/createMessage", json!({}), true),
        (json!({ "roots": {} }), "roots/list", json!({}), true),
        (json!({}), "roots/list", json!({}), false),
        (json!({}), "ping", json!({}), true),
        (forms, "tools/call", json!({}), false),
    ] {
        let session = able(capabilities.clone()).await;
        let front = questioning(method, params.clone());
        let mut body = response(send(&front, &[(SESSION, &session)], call()).await).into_body();
        if answered {
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
async fn who_reads_no_events_or_needs_no_handshake_is_not_asked() {
    let front = questioning("ping", json!({}));
    let headers = [STATELESS, ("mcp-method", "tools/call"), ("mcp-name", "x")];
    let modern = request("tools/call", json!({ "name": "x", "_meta": meta() }));
    for (headers, body) in [(&[("accept", "application/json")][..], call()), (&headers[..], modern)] {
        let answer = Answer::of(send(&front, headers, body).await).await;
        assert_eq!(answer.outcome(), (200, RpcError::INVALID_REQUEST));
    }
}

#[tokio::test]
async fn unreadable_capability_does_not_cost_a_session_the_others() {
    for other in
        [json!({ "experimental": { "x": true } }), json!({ "roots": true }), json!({ "sampling": [] })]
    {
        let mut capabilities = other.clone();
        capabilities["elicitation"] = json!({});
        let session = able(capabilities).await;
        assert_eq!(declared(&session), json!({ "capabilities": { "elicitation": {} } }), "{other}");
    }
    for nothing in [json!(null), json!([]), json!("x")] {
        assert_eq!(declared(&able(nothing).await), json!({ "capabilities": {} }));
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
        let (talk, session) = (Arc::new(Talk::default()), able(json!({ "elicitation": {} })).await);
        let front = questioning(ABLE, json!({}));
        let asked = send_in(talk.clone(), &front, &[(SESSION, session.as_str())], call()).await;
        let mut body = response(asked).into_body();
        let mut message = reply.clone();
        message["id"] = frame(&mut body).await["id"].clone();
        assert_eq!(Answer::of(send_in(talk, &front, &[], message).await).await.status, status, "{reply}");
        let code = frame(&mut body).await["error"]["code"].as_i64();
        assert_eq!(code, (status == 400).then_some(RpcError::INTERNAL_ERROR), "{reply}");
    }
}

#[tokio::test]
async fn what_a_client_declares_is_kept_without_what_has_no_bound() {
    let any = json!({ "x": { "y": "z" } });
    let sampling = json!({ "tools": any, "context": any });
    let form = json!({ "schemaValidation": true, "x": any });
    let elicitation = json!({ "form": form, "url": any, "x": any });
    let huge = json!({
        "experimental": any, "extensions": any, "roots": any, "sampling": sampling, "elicitation": elicitation, "x": any,
    });
    let session = able(huge).await;
    let kept = json!({
        "roots": {}, "sampling": { "tools": {}, "context": {} },
        "elicitation": { "form": { "schemaValidation": true }, "url": {} },
    });
    assert_eq!(declared(&session), json!({ "capabilities": kept }));
}

#[tokio::test]
async fn a_log_level_that_a_client_sets_holds_for_its_later_requests() {
    let talking = front(|_, peer| {
        for level in ["info", "error"] {
            let params = json!({ "level": level, "data": "x" });
            peer.notify(json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": params }));
        }
        Box::pin(std::future::ready(Ok(json!({}))))
    });
    let session = able(json!({ "roots": {} })).await;
    let level = request("logging/setLevel", json!({ "level": "warning" }));
    let answer = Answer::of(send(&silent(), &[(SESSION, &session)], level).await).await;
    let next = answer.headers[SESSION].to_str().unwrap();
    assert_eq!(declared(next)["capabilities"], json!({ "roots": {} }));
    let events = Answer::of(send(&talking, &[(SESSION, next)], call()).await).await.events();
    assert_eq!(
        events.iter().filter_map(|event| event["params"]["level"].as_str()).collect::<Vec<_>>(),
        ["error"]
    );
}

/// What a handler answers that needs input: a question, and its state.
fn input_required(state: &str) -> Value {
    let question = json!({ "method": ABLE, "params": { "message": "Sure?" } });
    json!({ "resultType": "input_required", "inputRequests": { "sure": question }, "requestState": state })
}

/// A front that asks for input, and repeats the state that it gets back.
fn rounds() -> StreamableHttp {
    front(|call, _| {
        let result = match call.params.get("requestState") {
            Some(state) => json!({ "state": state, "responses": call.params["inputResponses"] }),
            None => input_required("my state"),
        };
        Box::pin(std::future::ready(Ok(result)))
    })
}

/// Calls tool `name` by the rules of 2026-07-28.
async fn called(front: &StreamableHttp, name: &str, mut params: Value) -> Answer {
    params["name"] = json!(name);
    params["_meta"] = meta();
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({ "elicitation": {} });
    let headers = [STATELESS, ("mcp-method", "tools/call"), ("mcp-name", name)];
    Answer::of(send(front, &headers, request("tools/call", params)).await).await
}

#[tokio::test]
async fn the_state_of_a_handler_is_sealed_on_its_way_through_the_client() {
    let first = called(&rounds(), "x", json!({ "arguments": { "id": 1 } })).await.json()["result"].clone();
    assert_eq!(first["inputRequests"]["sure"]["method"], ABLE);
    let state = first["requestState"].as_str().unwrap();
    assert_ne!(state, "my state");
    let params = json!({ "arguments": { "id": 1 }, "requestState": state, "inputResponses": { "sure": 1 } });
    let second = called(&rounds(), "x", params).await.json()["result"].clone();
    assert_eq!(second, json!({ "state": "my state", "responses": { "sure": 1 } }));
}

#[tokio::test]
async fn state_that_is_null_is_as_if_omitted() {
    let params = json!({ "requestState": null, "inputResponses": null });
    let result = called(&rounds(), "x", params).await.json()["result"].clone();
    assert_eq!(result["state"], json!(null), "{result}");
}

#[tokio::test]
async fn a_state_of_another_call_or_made_up_is_refused() {
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
async fn input_that_a_client_cannot_give_is_a_missing_capability() {
    let params = json!({ "name": "x", "_meta": meta() });
    let headers = [STATELESS, ("mcp-method", "tools/call"), ("mcp-name", "x")];
    let answer = Answer::of(send(&rounds(), &headers, request("tools/call", params)).await).await;
    assert_eq!(answer.outcome(), (400, RpcError::MISSING_CLIENT_CAPABILITY));
    let needed = &answer.json()["error"]["data"]["requiredCapabilities"];
    assert_eq!(needed, &json!({ "elicitation": { "form": {} } }));
}

#[tokio::test]
async fn a_client_with_a_handshake_cannot_bring_a_state_of_its_own() {
    let echo = front(|call, _| Box::pin(std::future::ready(Ok(json!(call.params)))));
    let params = json!({ "name": "x", "requestState": "forged", "inputResponses": { "sure": "yes" } });
    let answer = Answer::of(send(&echo, &[], request("tools/call", params)).await).await;
    assert_eq!(answer.json()["result"], json!({ "name": "x" }));
}

#[tokio::test]
async fn who_listens_is_sent_away_when_the_token_is_no_longer_good() {
    let listening = front(|_, peer| {
        peer.notify(json!({ "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged" }));
        Box::pin(std::future::pending())
    });
    let headers = [STATELESS, ("mcp-method", "subscriptions/listen")];
    let body = request("subscriptions/listen", json!({ "_meta": meta() }));
    let talk = Arc::new(Talk { over: true, ..Talk::default() });
    let events = Answer::of(send_in(talk, &listening, &headers, body).await).await.events();
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(
        events[1]["error"]["message"],
        "the access token of this request is no longer good, or the server restarts; ask again"
    );
}

#[tokio::test]
async fn who_listens_reads_events() {
    let listening = front(|_, _| Box::pin(std::future::pending()));
    let headers = [STATELESS, ("mcp-method", "subscriptions/listen"), ("accept", "application/json")];
    let body = request("subscriptions/listen", json!({ "_meta": meta() }));
    let answer = Answer::of(send(&listening, &headers, body).await).await;
    assert_eq!(answer.outcome(), (406, RpcError::INVALID_REQUEST));
}
