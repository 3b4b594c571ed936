//! The effect on a grant of the end of a session at PingOne, an outage, or a new client secret.

use http::StatusCode;
use pingone_sim::Failure;
use serde_json::json;

use crate::world::{HOUR, PINGONE, Tokens, World, list_todos, with_expiring_token};

#[tokio::test]
async fn session_ended_at_pingone_ends_the_grant() {
    let world = World::new();
    let tokens = with_expiring_token(&world, 0).await;
    world.pingone.end_sessions();
    let response = list_todos(&world, &tokens.access).await;
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
    assert!(response.header("www-authenticate").contains("invalid_token"));
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn client_refresh_after_a_session_ended_at_pingone_is_refused() {
    let world = World::new();
    let tokens = world.connected().await;
    world.host.advance(HOUR);
    world.pingone.end_sessions();
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn pingone_outage_keeps_the_grant() {
    let world = World::new();
    let tokens = with_expiring_token(&world, 30).await;
    world.pingone.force_always(Failure::Token(503, String::new()));
    assert_eq!(
        list_todos(&world, &tokens.access).await.status,
        StatusCode::OK,
        "the token is good for half a minute"
    );
    world.host.advance(30);
    let failed = list_todos(&world, &tokens.access).await;
    assert_eq!((failed.status, &failed.json()["result"]["isError"]), (StatusCode::OK, &json!(true)));
    let refreshed = world.refresh(&tokens.client, &tokens.refresh).await;
    assert_eq!(refreshed.status, StatusCode::OK, "a client's session does not depend on it");
    world.pingone.clear_failures();
    world.host.advance(30);
    assert_eq!(list_todos(&world, &tokens.access).await.json()["result"]["isError"], json!(false));
}

#[tokio::test]
async fn changed_client_secret_at_pingone_keeps_the_grant() {
    let world = World::new();
    let tokens = with_expiring_token(&world, 30).await;
    world.pingone.configure(|pingone| pingone.client_secret = Some("a new one".to_owned()));
    world.host.advance(30);
    // Until the operator configures the new secret, PingOne refuses Deputy. This must not end the user's grant.
    let refused = list_todos(&world, &tokens.access).await;
    assert_eq!((refused.status, &refused.json()["result"]["isError"]), (StatusCode::OK, &json!(true)));
    world.start(&[("MCP_SERVER_CLIENT_SECRET", "a new one")]);
    world.host.advance(10);
    assert_eq!(list_todos(&world, &tokens.access).await.json()["result"]["isError"], json!(false));
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.status, StatusCode::OK);
}

#[tokio::test]
async fn tokens_end_with_a_pingone_token_that_cannot_be_refreshed() {
    let world = World::new();
    world.pingone.force(Failure::TokenMember("refresh_token".into(), json!(null)));
    world.pingone.force(Failure::TokenMember("expires_in".into(), json!(120)));
    let tokens = world.connected().await;
    assert_eq!(tokens.response["expires_in"], 120);
    world.host.advance(119);
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK);
    world.host.advance(1);
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn unreachable_pingone_keeps_connected_clients_and_metadata() {
    let world = World::new();
    let tokens = world.connected().await;
    // The API fetches the keys of PingOne, too.
    list_todos(&world, &tokens.access).await;
    world.network.unplug(PINGONE);
    for path in ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server"] {
        assert_eq!(world.get(path).await.status, StatusCode::OK, "{path}");
    }
    let challenged = world.mcp(None, &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })).await;
    assert_eq!(challenged.status, StatusCode::UNAUTHORIZED);
    assert!(challenged.header("www-authenticate").starts_with("Bearer resource_metadata="));
    let added = world.call(&tokens.access, "create_new_todo", json!({ "text": "x" })).await.json();
    assert_eq!(added["result"]["isError"], json!(false), "{added}");
    let refreshed = Tokens::of(&tokens.client, &world.refresh(&tokens.client, &tokens.refresh).await);
    let listed = list_todos(&world, &refreshed.access).await.json();
    assert_eq!(listed["result"]["structuredContent"], added["result"]["structuredContent"]);
}
