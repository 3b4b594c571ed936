//! Audit events: one for each decision, with whose access it was about, and without secrets.

use futures_util::future::join_all;
use harness::browser::Page;
use http::StatusCode;
use pingone_sim::Failure;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::world::{
    Tokens, World, add_todo, agent_ids, call_delete, code_at_client, known_name, list_todos, open_question,
    with_expiring_token,
};

/// The kinds of the events so far.
async fn kinds(world: &World) -> Vec<String> {
    world.audited().await.iter().map(|event| event["event"].as_str().expect("a kind").to_owned()).collect()
}

/// The last event.
async fn last(world: &World) -> Value {
    world.audited().await.pop().expect("an event")
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}

#[tokio::test]
async fn login_calls_refresh_and_revocation_leave_an_event_each() {
    let world = World::new();
    let tokens = world.connected().await;
    world.call(&tokens.access, "create_new_todo", json!({ "text": "a private text" })).await;
    world.host.advance(10);
    let tokens = Tokens::of(&tokens.client, &world.refresh(&tokens.client, &tokens.refresh).await);
    world.post_form("/revoke", &[("token", &tokens.refresh), ("client_id", &tokens.client)]).await;
    let events = world.audited().await;
    assert_eq!(
        kinds(&world).await,
        [
            "login_begun",
            "login_approved",
            "login_sent",
            "login_returned",
            "grant_issued",
            "code_redeemed",
            "tool_called",
            "tokens_refreshed",
            "grant_ended"
        ]
    );
    let [begun, approved, _, returned, issued, .., called, refreshed, ended] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((&begun["scopes"], returned.get("user")), (&approved["scopes"], None));
    let client = json!({ "id": known_name(&tokens.client), "name": "Test client" });
    assert_eq!((&approved["client"], approved.get("user")), (&client, None));
    assert_eq!(approved["scopes"], "todo:read todo:write");
    assert_eq!((&approved["remembered"], &issued["scopes"]), (&json!(false), &json!("todo:read todo:write")));
    for event in &events {
        assert_eq!((&event["client"], &event["grant"]), (&client, &issued["grant"]), "{event}");
        assert_eq!(event["reference"], issued["reference"], "{event}");
    }
    for event in &events[4..] {
        assert_eq!((&event["user"], event["grant"].as_str().map(str::len)), (&issued["user"], Some(32)));
    }
    assert_eq!((&called["tool"], &called["outcome"]), (&json!("create_new_todo"), &json!("ok")));
    assert_eq!(called["arguments_sha256"], sha256(r#"{"text":"a private text"}"#));
    assert!(called["ms"].is_u64(), "{called}");
    assert_eq!(refreshed["time"].as_u64(), called["time"].as_u64().map(|time| time + 10));
    assert_eq!(ended["by"], "client");
}

#[tokio::test]
async fn audit_events_hold_no_token_secret_or_argument() {
    let world = World::new();
    let tokens = world.connected().await;
    world.call(&tokens.access, "create_new_todo", json!({ "text": "a private text" })).await;
    world.refresh(&tokens.client, &tokens.refresh).await;
    let events = Value::from(world.audited().await).to_string();
    for secret in [
        &*tokens.access,
        &*tokens.refresh,
        "a private text",
        "eyJ",
        "alice@",
        &world.config.application.client_secret,
    ] {
        assert!(!events.contains(secret), "{secret} in {events}");
    }
}

#[tokio::test]
async fn arguments_are_audited_only_when_switched_on() {
    let world = World::with(&[("AUDIT_ARGUMENTS", "on")]);
    let tokens = world.connected().await;
    world.call(&tokens.access, "create_new_todo", json!({ "text": "a private text" })).await;
    let called = last(&world).await;
    assert_eq!(called["arguments"], r#"{"text":"a private text"}"#);
    assert_eq!(called["arguments_sha256"], sha256(r#"{"text":"a private text"}"#));
    assert_eq!(called.get("arguments_cut"), None);
    world.call(&tokens.access, "create_new_todo", json!({ "text": "x".repeat(5000) })).await;
    let cut = last(&world).await;
    assert_eq!(cut["arguments"].as_str().map(str::len), Some(4096));
    assert_eq!(cut["arguments_cut"], true);
}

#[tokio::test]
async fn denied_and_failed_logins_leave_events() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    browser.submit(&page, &[], "deny").await;
    assert_eq!(last(&world).await["event"], "login_denied");
    world.pingone.force(Failure::TokenMember("scope".into(), json!("openid")));
    world.log_in_to(&mut world.browser(), &client).await;
    let refused = last(&world).await;
    assert_eq!(refused["event"], "login_refused");
    assert_eq!(refused["reason"], "PingOne granted none of the requested scopes");
    assert_eq!((&refused["at"], &refused["code"]), (&json!("callback"), &json!("no_scopes")));
    assert_eq!((&refused["client"]["id"], refused["user"].is_string()), (&json!(known_name(&client)), true));
    let expected = [
        "login_begun",
        "login_denied",
        "login_begun",
        "login_approved",
        "login_sent",
        "login_returned",
        "login_refused",
    ];
    assert_eq!(kinds(&world).await, expected);
}

#[tokio::test]
async fn call_without_the_scope_is_refused_with_an_event() {
    let world = World::new();
    let tokens = world.connected_as("alice", &[("scope", "todo:read")]).await;
    let response = world.call(&tokens.access, "create_new_todo", json!({ "text": "x" })).await;
    assert_eq!(response.status, StatusCode::FORBIDDEN);
    let refused = last(&world).await;
    assert_eq!(
        (&refused["event"], &refused["tool"], &refused["reason"]),
        (&json!("call_refused"), &json!("create_new_todo"), &json!("insufficient_scope"))
    );
}

#[tokio::test]
async fn refused_call_of_a_batch_leaves_an_event() {
    let world = World::new();
    let tokens = world.connected_as("alice", &[("scope", "todo:read")]).await;
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "create_new_todo", "arguments": { "text": "x" } } });
    let bearer = format!("Bearer {}", tokens.access);
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let response = world.request("POST", "/mcp", &headers, &json!([call]).to_string()).await;
    assert_eq!(response.status, StatusCode::FORBIDDEN, "{}", response.text);
    let refused = last(&world).await;
    assert_eq!((&refused["event"], &refused["tool"]), (&json!("call_refused"), &json!("create_new_todo")));
}

#[tokio::test]
async fn call_of_an_unknown_tool_leaves_no_event() {
    let world = World::new();
    let tokens = world.connected().await;
    let before = world.audited().await.len();
    world.call(&tokens.access, "x\" event", json!({})).await;
    world.mcp(Some("dpa_wrong"), &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })).await;
    assert_eq!(world.audited().await.len(), before);
}

#[tokio::test]
async fn twice_redeemed_code_ends_the_grant_with_one_event() {
    let world = World::new();
    let client = world.client().await;
    let code = world.code(&client).await;
    for _ in 0..3 {
        world.redeem(&client, &code).await;
    }
    let ended: Vec<_> =
        world.audited().await.into_iter().filter(|event| event["event"] == "grant_ended").collect();
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!(ended[0]["by"], "replay");
}

#[tokio::test]
async fn login_that_pingone_ended_leaves_an_event() {
    let world = World::new();
    let tokens = with_expiring_token(&world, 0).await;
    world.pingone.end_sessions();
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::UNAUTHORIZED);
    let events = world.audited().await;
    let [.., ended, called] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&ended["event"], &ended["by"]), (&json!("grant_ended"), &json!("pingone")));
    assert_eq!((&called["event"], &called["outcome"]), (&json!("tool_called"), &json!("login_required")));
}

#[tokio::test]
async fn user_who_narrows_and_ends_a_grant_leaves_events() {
    let world = World::new();
    world.connected().await;
    let mut browser = world.browser();
    let page: Page = world.sign_in_to_agents(&mut browser, "alice").await;
    let id = agent_ids(&page)[0].clone();
    let page = browser.submit(&page, &[("agent", &id)], "read-only").await;
    let narrowed = last(&world).await;
    assert_eq!((&narrowed["event"], &narrowed["scopes"]), (&json!("grant_narrowed"), &json!("todo:read")));
    browser.submit(&page, &[("agent", &id)], "end").await;
    let ended = last(&world).await;
    assert_eq!((&ended["event"], &ended["by"]), (&json!("grant_ended"), &json!("user")));
    assert!(ended["user"].is_string() && ended["client"]["name"] == "Test client", "{ended}");
}

#[tokio::test]
async fn many_calls_at_a_time_leave_one_event_each() {
    let world = World::new();
    let tokens = world.connected().await;
    let before = world.audited().await.len();
    let mut responses = 0;
    for _ in 0..10 {
        let calls = (0..8).map(|_| list_todos(&world, &tokens.access));
        responses +=
            join_all(calls).await.iter().filter(|response| response.status == StatusCode::OK).count();
    }
    let called = kinds(&world).await[before..].iter().filter(|kind| *kind == "tool_called").count();
    assert_eq!((called, responses), (80, 80));
}

#[tokio::test]
async fn call_whose_client_goes_away_is_canceled() {
    let world = World::new();
    let token = world.connected().await.access;
    let stream = open_question(&world, &token).await;
    let before = world.audited().await.len();
    drop(stream);
    let mut events = Vec::new();
    for _ in 0..200 {
        events = world.audited().await;
        if events.len() > before {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let canceled = &events[before..];
    assert_eq!(canceled.len(), 1, "{canceled:?}");
    assert_eq!((&canceled[0]["tool"], &canceled[0]["outcome"]), (&json!("delete_todo"), &json!("canceled")));
}

#[tokio::test]
async fn oldest_grant_beyond_the_bound_ends_with_an_event() {
    let world = World::with(&[("RATE_LIMITS", "off")]);
    let client = world.client().await;
    let mut browser = world.browser();
    for number in 0..=100 {
        let page = world.log_in_to(&mut browser, &client).await;
        let code = code_at_client(&page).unwrap_or_else(|| panic!("{number}: {}", page.text));
        assert_eq!(world.redeem(&client, &code).await.status, StatusCode::OK, "{number}");
    }
    let events = world.audited().await;
    let ended: Vec<_> = events.iter().filter(|event| event["event"] == "grant_ended").collect();
    let first = events.iter().find(|event| event["event"] == "grant_issued").expect("a grant");
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!((&ended[0]["by"], &ended[0]["grant"]), (&json!("limit"), &first["grant"]));
}

#[tokio::test]
async fn call_with_an_invalid_request_state_leaves_no_event() {
    let world = World::new();
    let token = world.connected().await.access;
    let id = add_todo(&world, &token, "Buy milk").await;
    let before = world.audited().await.len();
    let made_up = json!({ "requestState": "made up", "inputResponses": {} });
    let response = call_delete(&world, &token, &id, made_up).await;
    assert_eq!(response.status, StatusCode::BAD_REQUEST, "{}", response.text);
    assert_eq!(world.audited().await.len(), before);
}
