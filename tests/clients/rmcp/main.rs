//! Tests of `deputy demo` with rmcp's client.

mod application;
mod demo;
mod user;

use rmcp::{ClientLifecycleMode, model::ProtocolVersion};
use serde_json::{Value, json};
use url::form_urlencoded;

use application::{Application, Client, NAME, REDIRECT_URI, call};
use demo::Demo;
use user::{ALICE, BOB};

const API_IDENTIFIER: &str = "https://todo.deputy.example";

#[tokio::test]
async fn new_client_connects_after_approval_and_consent() {
    let demo = Demo::start();
    let application = Application::default();
    let refused = application.connect(&demo).await.expect_err("no token yet");
    let metadata = demo.mcp.join("/.well-known/oauth-protected-resource/mcp").unwrap();
    let challenge = format!(r#"Bearer resource_metadata="{metadata}", scope="todo:read todo:write""#);
    assert_eq!(refused.auth_challenge(), Some(challenge.as_str()));

    let arrival = application.log_in(&ALICE, &demo).await;
    assert!(arrival.as_str().starts_with(&format!("{REDIRECT_URI}?")), "{arrival}");
    let issuer = demo.mcp.origin().ascii_serialization();
    assert!(arrival.query_pairs().any(|(name, value)| name == "iss" && value == issuer), "{arrival}");

    let client = application.connect(&demo).await.unwrap();
    assert_eq!(client.peer_info().unwrap().protocol_version, ProtocolVersion::V_2026_07_28);
}

#[tokio::test]
async fn client_of_initialize_revision_connects() {
    let demo = Demo::start();
    let application = Application::of(&ALICE, &demo).await;
    let client = application.connect_as(&demo, ClientLifecycleMode::Initialize).await.unwrap();
    assert_eq!(client.peer_info().unwrap().protocol_version, ProtocolVersion::V_2025_11_25);
    add(&client, "buy oat milk").await;
    assert_eq!(todos(&client).await.len(), 1);
}

#[tokio::test]
async fn stored_tokens_connect_without_login_after_restart() {
    let mut demo = Demo::start();
    let first = Application::of(&ALICE, &demo).await;
    add(&first.connect(&demo).await.unwrap(), "survives a restart").await;
    let again = Application::with(first.stored().await).await;
    assert_eq!(todos(&again.connect(&demo).await.unwrap()).await.len(), 1);
    demo.restart();
    let todos = todos(&again.connect(&demo).await.unwrap()).await;
    assert_eq!(todos[0]["text"], "survives a restart");
}

#[tokio::test]
async fn tool_list_is_complete() {
    let demo = Demo::start();
    let client = Application::of(&ALICE, &demo).await.connect(&demo).await.unwrap();
    let mut tools = client.list_all_tools().await.unwrap();
    tools.sort_by(|one, other| one.name.cmp(&other.name));
    let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    assert_eq!(
        names,
        ["create_new_todo", "delete_todo", "get_my_todo_list", "toggle_todo_status", "who_am_i"]
    );
    for tool in tools {
        assert!(tool.title.is_some() && tool.description.is_some(), "{}", tool.name);
        assert!(tool.annotations.is_some() && tool.output_schema.is_some(), "{}", tool.name);
    }
}

#[tokio::test]
async fn who_am_i_shows_user_and_pingone_token_for_api() {
    let demo = Demo::start();
    let application = Application::of(&ALICE, &demo).await;
    let client = application.connect(&demo).await.unwrap();
    let who = structured(&client, "who_am_i", json!({})).await;
    assert_eq!(who["user"]["username"], "alice");
    assert_eq!(who["client"]["name"], NAME);
    let audience = who["accessToken"]["audience"].as_array().unwrap();
    assert!(audience.contains(&json!(API_IDENTIFIER)), "{who}");
    // The demo shows PingOne's token, which is not the client's token.
    assert_ne!(who["accessToken"]["raw"], application.token("access_token").await);
}

#[tokio::test]
async fn client_that_cannot_ask_its_user_deletes_no_todo() {
    let demo = Demo::start();
    let client = Application::of(&ALICE, &demo).await.connect(&demo).await.unwrap();
    add(&client, "buy oat milk").await;
    let added = todos(&client).await;
    assert_eq!((&added[0]["text"], &added[0]["completed"]), (&json!("buy oat milk"), &json!(false)));
    let id = &added[0]["id"];
    structured(&client, "toggle_todo_status", json!({ "id": id, "completed": true })).await;
    assert_eq!(todos(&client).await[0]["completed"], true);
    let refused = call(&client, "delete_todo", json!({ "id": id })).await.unwrap();
    assert_eq!(refused.is_error, Some(true));
    assert_eq!(todos(&client).await.len(), 1);
}

#[tokio::test]
async fn other_user_sees_none_of_the_todos() {
    let demo = Demo::start();
    let of_alice = Application::of(&ALICE, &demo).await.connect(&demo).await.unwrap();
    add(&of_alice, "not for bob").await;
    let of_bob = Application::of(&BOB, &demo).await.connect(&demo).await.unwrap();
    assert_eq!(todos(&of_bob).await, Vec::<Value>::new());
    assert_eq!(todos(&of_alice).await.len(), 1);
}

#[tokio::test]
async fn rejected_access_token_is_refreshed_without_login() {
    let demo = Demo::start();
    let mut stored = Application::of(&ALICE, &demo).await.stored().await;
    stored["token_response"]["access_token"] = json!("expired");
    let refresh_token = stored["token_response"]["refresh_token"].clone();
    let application = Application::with(stored).await;
    let client = application.connect(&demo).await.unwrap();
    add(&client, "after the refresh").await;
    assert_ne!(application.token("access_token").await, "expired");
    assert_ne!(application.token("refresh_token").await, refresh_token);
}

#[tokio::test]
async fn revoked_token_is_rejected() {
    let demo = Demo::start();
    let application = Application::of(&ALICE, &demo).await;
    let client = application.connect(&demo).await.unwrap();
    todos(&client).await;
    revoke(&demo, &application).await;
    let refused = call(&client, "get_my_todo_list", json!({})).await.unwrap_err();
    let challenge = refused.auth_challenge().expect("a challenge");
    assert!(challenge.contains(r#"error="invalid_token""#), "{challenge}");
}

/// Revokes the refresh token, which rmcp leaves to the application (RFC 7009 §2.1).
async fn revoke(demo: &Demo, application: &Application) {
    let http = reqwest::Client::new();
    let metadata = demo.mcp.join("/.well-known/oauth-authorization-server").unwrap();
    let metadata = http.get(metadata).send().await.unwrap().bytes().await.unwrap();
    let metadata: Value = serde_json::from_slice(&metadata).unwrap();
    let client_id = application.stored().await["client_id"].as_str().unwrap().to_owned();
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("token", &application.token("refresh_token").await)
        .append_pair("client_id", &client_id)
        .finish();
    let request = http.post(metadata["revocation_endpoint"].as_str().unwrap());
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    assert_eq!(request.send().await.unwrap().status(), 200);
}

async fn add(client: &Client, text: &str) {
    structured(client, "create_new_todo", json!({ "text": text })).await;
}

async fn todos(client: &Client) -> Vec<Value> {
    let list = structured(client, "get_my_todo_list", json!({})).await;
    list["todos"].as_array().unwrap().clone()
}

/// Calls a tool, which must succeed, and returns its structured content.
async fn structured(client: &Client, tool: &'static str, arguments: Value) -> Value {
    let result = call(client, tool, arguments).await.unwrap();
    assert_ne!(result.is_error, Some(true), "{result:?}");
    result.structured_content.expect("structured content")
}
