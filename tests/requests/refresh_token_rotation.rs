//! Refresh tokens of Deputy and their rotation (OAuth 2.1 §4.3).

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::json;

use crate::world::{Tokens, World};

#[tokio::test]
async fn refresh_rotates_the_token_and_a_retry_repeats_the_response() {
    let world = World::new();
    let first = world.connected().await;
    let second = world.refresh(&first.client, &first.refresh).await;
    let again = world.refresh(&first.client, &first.refresh).await;
    assert_eq!(second.json(), again.json());
    assert_ne!(second.json()["refresh_token"], json!(first.refresh));
}

#[tokio::test]
async fn replayed_refresh_token_revokes_the_grant() {
    let world = World::new();
    let first = world.connected().await;
    let second = Tokens::of(&first.client, &world.refresh(&first.client, &first.refresh).await);
    let third = Tokens::of(&first.client, &world.refresh(&first.client, &second.refresh).await);
    assert_eq!(world.refresh(&first.client, &first.refresh).await.json()["error"], "invalid_grant");
    assert_eq!(world.refresh(&first.client, &third.refresh).await.json()["error"], "invalid_grant");
    assert_eq!(world.call(&third.access, "who_am_i", json!({})).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn twenty_concurrent_refreshes_leave_working_tokens() {
    let world = World::new();
    let tokens = world.connected().await;
    let responses = join_all((0..20).map(|_| world.refresh(&tokens.client, &tokens.refresh))).await;
    assert!(responses.iter().all(|response| response.status == StatusCode::OK));
    for response in &responses {
        let tokens = Tokens::of(&tokens.client, response);
        assert_eq!(world.call(&tokens.access, "who_am_i", json!({})).await.status, StatusCode::OK);
    }
    let last = Tokens::of(&tokens.client, &responses[7]);
    assert_eq!(world.refresh(&last.client, &last.refresh).await.status, StatusCode::OK);
}

#[tokio::test]
async fn refresh_token_lives_thirty_days_from_its_last_use() {
    let world = World::new();
    world.pingone.configure(|pingone| pingone.skip_token_session_validation = true);
    let mut tokens = world.connected().await;
    for _ in 0..3 {
        world.host.advance(29 * 24 * 3600);
        let response = world.refresh(&tokens.client, &tokens.refresh).await;
        assert_eq!(response.status, StatusCode::OK, "{}", response.text);
        tokens = Tokens::of(&tokens.client, &response);
    }
    world.host.advance(30 * 24 * 3600);
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.json()["error"], "invalid_grant");
}
