//! A tool that asks the user before it acts: by multi round-trip requests, and on the stream of older revisions.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{API, Response, World, add_todo, call_delete, delete_stream, send_reply, todo_texts};

const INVALID_PARAMS: i64 = -32602;

/// The user's reply, with the request state that the client got.
fn input_response(action: &str, state: &Value) -> Value {
    json!({ "inputResponses": { "delete": { "action": action } }, "requestState": state })
}

/// The request state that the client gets with the elicitation for `id`.
async fn request_state_for(world: &World, token: &str, id: &str) -> Value {
    let response = call_delete(world, token, id, json!({})).await.json();
    assert_eq!(response["result"]["resultType"], "input_required", "{response}");
    response["result"]["requestState"].clone()
}

fn is_invalid_params(response: &Response) -> bool {
    response.status == StatusCode::BAD_REQUEST && response.json()["error"]["code"] == INVALID_PARAMS
}

#[tokio::test]
async fn confirmed_deletion_deletes_the_todo() {
    let world = World::new();
    let token = world.connected().await.access;
    let id = add_todo(&world, &token, "Buy milk").await;
    let response = call_delete(&world, &token, &id, json!({})).await.json();
    let question = &response["result"]["inputRequests"]["delete"];
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(question["params"]["message"], "Delete \"Buy milk\"? This cannot be undone.");
    assert_eq!(todo_texts(&world, &token).await, ["Buy milk"]);
    let yes = input_response("accept", &response["result"]["requestState"]);
    let response = call_delete(&world, &token, &id, yes).await.json();
    assert_eq!(response["result"]["structuredContent"]["todos"], json!([]), "{response}");
}

#[tokio::test]
async fn declined_or_unasked_deletion_keeps_the_todo() {
    let world = World::new();
    let token = world.connected().await.access;
    let id = add_todo(&world, &token, "Buy milk").await;
    let state = request_state_for(&world, &token, &id).await;
    for (action, said) in [
        ("decline", "The user was asked and did not agree"),
        ("cancel", "The user gave no answer"),
        ("no such action", "The user gave no answer"),
    ] {
        let response = call_delete(&world, &token, &id, input_response(action, &state)).await.json();
        assert_eq!(response["result"]["isError"], true, "{action}");
        let text = response["result"]["content"][0]["text"].as_str().unwrap_or_default();
        assert!(text.starts_with(said), "{action}: {text}");
    }
    let unasked = json!({ "inputResponses": { "delete": { "action": "accept" } } });
    let response = call_delete(&world, &token, &id, unasked).await.json();
    assert_eq!(response["result"]["resultType"], "input_required", "a yes to no question");
    assert_eq!(todo_texts(&world, &token).await, ["Buy milk"]);
}

#[tokio::test]
async fn confirmation_for_one_todo_is_refused_for_another() {
    let world = World::new();
    let token = world.connected().await.access;
    let (one, other) = (add_todo(&world, &token, "One").await, add_todo(&world, &token, "Other").await);
    let state = request_state_for(&world, &token, &one).await;
    assert!(is_invalid_params(&call_delete(&world, &token, &other, input_response("accept", &state)).await));
    assert_eq!(todo_texts(&world, &token).await, ["One", "Other"]);
}

#[tokio::test]
async fn request_state_of_another_grant_is_refused() {
    let world = World::new();
    let alice = world.connected().await.access;
    let id = add_todo(&world, &alice, "Buy milk").await;
    let yes = input_response("accept", &request_state_for(&world, &alice, &id).await);
    let elsewhere = world.connected().await.access;
    let bob = world.connected_as("bob", &[]).await.access;
    for token in [&elsewhere, &bob] {
        assert!(is_invalid_params(&call_delete(&world, token, &id, yes.clone()).await));
    }
    assert_eq!(todo_texts(&world, &alice).await, ["Buy milk"]);
}

#[tokio::test]
async fn altered_or_made_up_request_state_is_refused() {
    let world = World::new();
    let token = world.connected().await.access;
    let id = add_todo(&world, &token, "Buy milk").await;
    let state = request_state_for(&world, &token, &id).await.as_str().expect("a text").to_owned();
    let altered = format!("{}{}", if state.starts_with('A') { 'B' } else { 'A' }, &state[1..]);
    for state in [altered.as_str(), &state[..20], "", "\"Buy milk\"", "not base64url!"] {
        assert!(
            is_invalid_params(
                &call_delete(&world, &token, &id, input_response("accept", &json!(state))).await
            ),
            "{state}"
        );
    }
}

#[tokio::test]
async fn request_state_expires_after_ten_minutes() {
    let world = World::new();
    let token = world.connected().await.access;
    let id = add_todo(&world, &token, "Buy milk").await;
    let yes = input_response("accept", &request_state_for(&world, &token, &id).await);
    world.host.advance(600);
    assert!(is_invalid_params(&call_delete(&world, &token, &id, yes).await));
}

#[tokio::test]
async fn request_state_survives_key_rotation() {
    let world = World::new();
    let token = world.connected().await.access;
    let id = add_todo(&world, &token, "Buy milk").await;
    let yes = input_response("accept", &request_state_for(&world, &token, &id).await);
    let (new, old) =
        ("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    world.start(&[("COOKIE_ENCRYPTION_KEY", &format!("{new} {old}"))]);
    call_delete(&world, &token, &id, yes).await;
    assert_eq!(todo_texts(&world, &token).await, Vec::<String>::new());
}

#[tokio::test]
async fn client_of_2025_is_asked_on_the_stream_and_replies_by_post() {
    let world = World::new();
    let token = world.connected().await.access;
    let id = add_todo(&world, &token, "Buy milk").await;
    let session = world.session(&token, json!({ "elicitation": {} })).await;
    for (action, left) in [("decline", 1), ("accept", 0)] {
        let mut stream = delete_stream(&world, &token, &session, &id).await;
        let question = stream.next().await;
        assert_eq!(question["method"], "elicitation/create");
        assert_eq!(question["params"]["message"], "Delete \"Buy milk\"? This cannot be undone.");
        let accepted = send_reply(&world, &token, &question, json!({ "action": action })).await;
        assert_eq!(accepted, StatusCode::ACCEPTED);
        let response = stream.next().await;
        assert_eq!(response["id"], 1, "{response}");
        assert_eq!(todo_texts(&world, &token).await.len(), left);
    }
}

#[tokio::test]
async fn elicitation_accepts_one_reply_from_its_own_grant() {
    let world = World::new();
    let alice = world.connected().await.access;
    let id = add_todo(&world, &alice, "Buy milk").await;
    let session = world.session(&alice, json!({ "elicitation": {} })).await;
    let mut stream = delete_stream(&world, &alice, &session, &id).await;
    let question = stream.next().await;
    let elsewhere = world.connected().await.access;
    let bob = world.connected_as("bob", &[]).await.access;
    let yes = json!({ "action": "accept" });
    for token in [&elsewhere, &bob] {
        assert_eq!(send_reply(&world, token, &question, yes.clone()).await, StatusCode::BAD_REQUEST);
    }
    let name = question["id"].as_str().expect("a name");
    for forged in
        [&name[..42], "", "q1", &format!("{}{}", if name.starts_with('A') { 'B' } else { 'A' }, &name[1..])]
    {
        let question = json!({ "id": forged });
        assert_eq!(
            send_reply(&world, &alice, &question, yes.clone()).await,
            StatusCode::BAD_REQUEST,
            "{forged}"
        );
    }
    let no = json!({ "action": "decline" });
    assert_eq!(send_reply(&world, &alice, &question, no).await, StatusCode::ACCEPTED);
    // A second reply changes nothing.
    assert_eq!(send_reply(&world, &alice, &question, yes).await, StatusCode::ACCEPTED);
    assert_eq!(stream.next().await["result"]["isError"], true);
    assert_eq!(todo_texts(&world, &alice).await, ["Buy milk"]);
}

#[tokio::test]
async fn oversized_reply_ends_the_call_and_deletes_nothing() {
    let world = World::new();
    let token = world.connected().await.access;
    let id = add_todo(&world, &token, "Buy milk").await;
    let session = world.session(&token, json!({ "elicitation": {} })).await;
    let mut stream = delete_stream(&world, &token, &session, &id).await;
    let question = stream.next().await;
    let huge = json!({ "action": "accept", "content": { "x": "x".repeat(1024 * 1024) } });
    assert_eq!(send_reply(&world, &token, &question, huge).await, StatusCode::ACCEPTED);
    let text = "the client did not provide the input: the client's reply is too long";
    assert_eq!(stream.next().await["error"]["message"], text);
    assert_eq!(todo_texts(&world, &token).await, ["Buy milk"]);
}

#[tokio::test]
async fn revoked_grant_cannot_reply_to_an_open_elicitation() {
    for which in ["access", "refresh"] {
        let world = World::new();
        let tokens = world.connected().await;
        let elsewhere = world.connected().await.access;
        let id = add_todo(&world, &tokens.access, "Buy milk").await;
        let session = world.session(&tokens.access, json!({ "elicitation": {} })).await;
        let mut stream = delete_stream(&world, &tokens.access, &session, &id).await;
        let question = stream.next().await;
        let before = world.requests_to(API, "");
        let token = if which == "access" { &tokens.access } else { &tokens.refresh };
        let form = [("token", token.as_str()), ("client_id", &tokens.client)];
        assert_eq!(world.post_form("/revoke", &form).await.status, StatusCode::OK);
        let yes = json!({ "action": "accept" });
        assert_eq!(
            send_reply(&world, &tokens.access, &question, yes).await,
            StatusCode::UNAUTHORIZED,
            "{which}"
        );
        assert_eq!(world.requests_to(API, ""), before, "{which}");
        assert_eq!(todo_texts(&world, &elsewhere).await, ["Buy milk"], "{which}");
    }
}

#[tokio::test]
async fn open_elicitations_of_one_user_do_not_block_others() {
    let world = World::new();
    let alice = world.connected().await.access;
    let bob = world.connected_as("bob", &[]).await.access;
    let id = add_todo(&world, &alice, "Buy milk").await;
    let session = world.session(&alice, json!({ "elicitation": {} })).await;
    let mut streams = Vec::new();
    for _ in 0..60 {
        let mut stream = delete_stream(&world, &alice, &session, &id).await;
        assert_eq!(stream.next().await["method"], "elicitation/create");
        streams.push(stream);
    }
    for _ in 0..200 {
        world.session(&alice, json!({ "elicitation": {} })).await;
    }
    assert_eq!(todo_texts(&world, &bob).await, Vec::<String>::new());
    assert_eq!(todo_texts(&world, &alice).await, ["Buy milk"]);
}

#[tokio::test]
async fn elicitation_reply_may_reach_another_process() {
    let world = World::new();
    let token = world.connected().await.access;
    let id = add_todo(&world, &token, "Buy milk").await;
    let session = world.session(&token, json!({ "elicitation": {} })).await;
    let mut stream = delete_stream(&world, &token, &session, &id).await;
    let question = stream.next().await;
    // The new process receives the reply, while the old one still runs the call.
    world.start(&[]);
    send_reply(&world, &token, &question, json!({ "action": "accept" })).await;
    assert_eq!(stream.next().await["result"]["structuredContent"]["todos"], json!([]));
}

#[tokio::test]
async fn elicitation_error_from_the_client_deletes_nothing() {
    let world = World::new();
    let token = world.connected().await.access;
    let id = add_todo(&world, &token, "Buy milk").await;
    let session = world.session(&token, json!({ "elicitation": {} })).await;
    for code in [-32601, -32602] {
        let mut stream = delete_stream(&world, &token, &session, &id).await;
        let question = stream.next().await;
        let error = json!({ "code": code, "message": "Method not found" });
        let reply = json!({ "jsonrpc": "2.0", "id": question["id"], "error": error });
        assert_eq!(world.mcp(Some(&token), &reply).await.status, StatusCode::ACCEPTED);
        let response = stream.next().await;
        let said = response["result"]["content"][0]["text"].as_str().expect("a text");
        assert!(said.starts_with("Nothing was deleted: the user has to confirm"), "{response}");
    }
    assert_eq!(todo_texts(&world, &token).await, ["Buy milk"]);
}

#[tokio::test]
async fn reply_with_a_null_error_is_a_result() {
    let world = World::new();
    let token = world.connected().await.access;
    let id = add_todo(&world, &token, "Buy milk").await;
    let session = world.session(&token, json!({ "elicitation": {} })).await;
    let mut stream = delete_stream(&world, &token, &session, &id).await;
    let question = stream.next().await;
    let accept = json!({ "action": "accept" });
    let reply = json!({ "jsonrpc": "2.0", "id": question["id"], "result": accept, "error": null });
    assert_eq!(world.mcp(Some(&token), &reply).await.status, StatusCode::ACCEPTED);
    assert_eq!(stream.next().await["result"]["structuredContent"]["todos"], json!([]));
}

#[tokio::test]
async fn malformed_reply_ends_the_call_and_deletes_nothing() {
    let world = World::new();
    let token = world.connected().await.access;
    let id = add_todo(&world, &token, "Buy milk").await;
    let session = world.session(&token, json!({ "elicitation": {} })).await;
    let accept = json!({ "action": "accept" });
    for mut reply in [
        json!({ "jsonrpc": "2.0" }),
        json!({ "result": accept }),
        json!({ "jsonrpc": "2.0", "result": accept, "error": { "code": 1, "message": "x" } }),
    ] {
        let mut stream = delete_stream(&world, &token, &session, &id).await;
        reply["id"] = stream.next().await["id"].clone();
        assert_eq!(world.mcp(Some(&token), &reply).await.status, StatusCode::BAD_REQUEST, "{reply}");
        let said = stream.next().await["error"]["message"].take();
        let text = "the client did not provide the input: the client's reply cannot be read: ";
        assert!(said.as_str().is_some_and(|said| said.starts_with(text)), "{said}");
    }
    assert_eq!(todo_texts(&world, &token).await, ["Buy milk"]);
}

/// Clients of the revisions with a handshake post a notification, and leave the stream open.
#[tokio::test]
async fn cancelled_call_ends_and_deletes_nothing() {
    let world = World::new();
    let token = world.connected().await.access;
    let id = add_todo(&world, &token, "Buy milk").await;
    let session = world.session(&token, json!({ "elicitation": {} })).await;
    let cancelled = |request: Value| json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": request } });
    let mut stream = delete_stream(&world, &token, &session, &id).await;
    let question = stream.next().await;
    // Another program with the same token, and another request.
    let other = world.session(&token, json!({})).await;
    for (session, request) in
        [(other.as_str(), json!(1)), (&session, json!(2)), (&session, json!("1")), ("", json!(1))]
    {
        assert_eq!(world.mcp_in(session, &token, &cancelled(request)).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(world.mcp_in(&session, &token, &cancelled(json!(1))).await.status, StatusCode::ACCEPTED);
    assert!(stream.is_over().await, "without a response");
    let yes = json!({ "action": "accept" });
    assert_eq!(send_reply(&world, &token, &question, yes.clone()).await, StatusCode::ACCEPTED);
    assert_eq!(todo_texts(&world, &token).await, ["Buy milk"]);
    // The id of a cancelled call may be used again. The late reply may be where the next one belongs, for five seconds.
    world.host.advance(6);
    let mut stream = delete_stream(&world, &token, &session, &id).await;
    assert_eq!(send_reply(&world, &token, &stream.next().await, yes).await, StatusCode::ACCEPTED);
    assert_eq!(stream.next().await["result"]["structuredContent"]["todos"], json!([]));
}
