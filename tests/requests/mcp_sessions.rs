//! Capabilities that clients of revisions with a handshake declare, in session ids that they keep.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{World, add_todo, delete_call, delete_stream, send_reply, todo_texts};

/// The result of a `delete_todo` call whose response is one JSON document.
async fn delete_result(world: &World, token: &str, session: &str, id: &str) -> Value {
    world.mcp_in(session, token, &delete_call(id)).await.json()["result"].take()
}

#[tokio::test]
async fn client_without_elicitation_deletes_only_if_configured() {
    let world = World::new();
    let token = world.connected().await.access;
    let id = add_todo(&world, &token, "Buy milk").await;
    for capabilities in [json!({ "roots": {} }), json!({ "elicitation": { "url": {} } }), json!({})] {
        let session = world.session(&token, capabilities).await;
        for session in [session.as_str(), "", "somebody-elses"] {
            let response = delete_result(&world, &token, session, &id).await;
            assert_eq!(response["isError"], true, "{response}");
            let said = response["content"][0]["text"].as_str().expect("a text");
            assert!(said.starts_with("Nothing was deleted: the user has to confirm"), "{said}");
        }
    }
    assert_eq!(todo_texts(&world, &token).await, ["Buy milk"]);
    world.start(&[("UNCONFIRMED_TOOLS", "delete_todo")]);
    let response = delete_result(&world, &token, "", &id).await;
    assert_eq!(response["structuredContent"]["todos"], json!([]), "{response}");
}

#[tokio::test]
async fn client_with_elicitation_is_asked_even_if_not_required() {
    let world = World::with(&[("UNCONFIRMED_TOOLS", "delete_todo")]);
    let token = world.connected().await.access;
    let id = add_todo(&world, &token, "Buy milk").await;
    let session = world.session(&token, json!({ "elicitation": {} })).await;
    let question = delete_stream(&world, &token, &session, &id).await.next().await;
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(todo_texts(&world, &token).await, ["Buy milk"]);
}

#[tokio::test]
async fn session_id_that_the_client_invented_is_ignored() {
    let world = World::new();
    let token = world.connected().await.access;
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let notification = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    for id in ["ee1b7a52-5c3d-4c3e-9d55-5d5f0d6d8f5a", "mcp-session-1", &"x".repeat(4000)] {
        let response = world.mcp_in(id, &token, &list).await;
        assert!(response.json()["result"]["tools"].is_array(), "{}", response.text);
        assert_eq!(response.header("mcp-session-id"), "");
        assert_eq!(world.mcp_in(id, &token, &notification).await.status, StatusCode::ACCEPTED);
    }
}

/// The order in which the two programs initialize does not matter.
#[tokio::test]
async fn programs_sharing_a_token_declare_their_own_capabilities() {
    let world = World::new();
    let token = world.connected().await.access;
    let id = add_todo(&world, &token, "Buy milk").await;
    for able_first in [true, false] {
        let (mut able, mut unable) = (String::new(), String::new());
        for turn in [able_first, !able_first] {
            let capabilities = if turn { json!({ "elicitation": {} }) } else { json!({}) };
            *(if turn { &mut able } else { &mut unable }) = world.session(&token, capabilities).await;
        }
        let refused = delete_result(&world, &token, &unable, &id).await;
        assert_eq!(refused["isError"], true, "{refused}");
        let mut stream = delete_stream(&world, &token, &able, &id).await;
        let question = stream.next().await;
        assert_eq!(question["method"], "elicitation/create", "{question}");
        send_reply(&world, &token, &question, json!({ "action": "decline" })).await;
        assert_eq!(stream.next().await["result"]["isError"], true);
    }
    assert_eq!(todo_texts(&world, &token).await, ["Buy milk"]);
}

#[tokio::test]
async fn malformed_capability_leaves_elicitation_usable() {
    let world = World::new();
    let token = world.connected().await.access;
    let id = add_todo(&world, &token, "Buy milk").await;
    for other in
        [json!({ "experimental": { "x": true } }), json!({ "roots": true }), json!({ "sampling": [] })]
    {
        let mut capabilities = other.clone();
        capabilities["elicitation"] = json!({});
        let session = world.session(&token, capabilities).await;
        let question = delete_stream(&world, &token, &session, &id).await.next().await;
        assert_eq!(question["method"], "elicitation/create", "{other}");
    }
}

#[tokio::test]
async fn session_id_is_short_opaque_and_bound_to_its_grant() {
    let world = World::new();
    let token = world.connected().await.access;
    let session = world.session(&token, json!({ "elicitation": {} })).await;
    assert!(session.len() < 400 && session.bytes().all(|byte| byte.is_ascii_graphic()), "{session}");
    for other in [world.connected().await.access, world.connected_as("bob", &[]).await.access] {
        let id = add_todo(&world, &other, "Theirs").await;
        let response = delete_result(&world, &other, &session, &id).await;
        assert_eq!(response["isError"], true, "{response}");
    }
    // The session id is no credential.
    let headers = [("content-type", "application/json"), ("mcp-session-id", session.as_str())];
    let response = world.request("POST", "/mcp", &headers, &delete_call("x").to_string()).await;
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn session_survives_restart_refresh_and_key_rotation() {
    let world = World::new();
    let tokens = world.connected().await;
    let session = world.session(&tokens.access, json!({ "elicitation": {} })).await;
    let id = add_todo(&world, &tokens.access, "Buy milk").await;
    let (new, old) =
        ("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    world.start(&[("COOKIE_ENCRYPTION_KEY", &format!("{new} {old}"))]);
    let refreshed = world.refresh(&tokens.client, &tokens.refresh).await.json();
    let token = refreshed["access_token"].as_str().expect("a token");
    world.host.advance(1800);
    let question = delete_stream(&world, token, &session, &id).await.next().await;
    assert_eq!(question["method"], "elicitation/create");
}
