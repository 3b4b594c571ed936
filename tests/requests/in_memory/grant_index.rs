//! The index of all grants, and grants that are not in it.

use deputy::host::{RecordKey, Store as _, Timestamp};
use http::{Request, StatusCode};
use serde_json::Value;
use tower_service::Service as _;

use crate::world::{ADMIN_TOKEN, DEPUTY, Tokens, World};

/// Makes every stored grant one of a version without the index.
async fn forget_index(world: &World) {
    let now = Timestamp(world.now());
    world.host.grant_index().clear();
    for (key, record) in world.host.memory().records(now) {
        if matches!(key, RecordKey::Grant(_)) {
            let mut grant: Value = serde_json::from_slice(&record.value).unwrap();
            grant.as_object_mut().unwrap().remove("listed_until").expect("it was in the index");
            let value = grant.to_string().into_bytes();
            world.host.memory().put(&key, value, record.expires_at).await.unwrap();
        }
    }
}

async fn listed(world: &World) -> usize {
    world.admin("GET", "grants", "").await.json()["grants"].as_array().expect("grants").len()
}

#[tokio::test]
async fn grant_of_an_earlier_version_is_listed_after_a_refresh() {
    let world = World::with(&[("ADMIN_TOKEN", ADMIN_TOKEN)]);
    let tokens = world.connected().await;
    forget_index(&world).await;
    assert_eq!(listed(&world).await, 0);
    let refreshed = world.refresh(&tokens.client, &tokens.refresh).await;
    assert_eq!((refreshed.status, listed(&world).await), (StatusCode::OK, 1), "{}", refreshed.text);
}

#[tokio::test]
async fn unlisted_grant_of_a_blocked_client_ends_with_its_refresh() {
    let world = World::with(&[("ADMIN_TOKEN", ADMIN_TOKEN)]);
    let tokens = world.connected().await;
    forget_index(&world).await;
    world.admin("POST", "block", &format!("client={}", tokens.client)).await;
    for error in ["unauthorized_client", "invalid_grant"] {
        let refused = world.refresh(&tokens.client, &tokens.refresh).await;
        assert_eq!(refused.json()["error"], error, "{}", refused.text);
    }
    world.wait_for_revocations_at_pingone(1).await;
}

#[tokio::test]
async fn grant_in_use_stays_in_the_index() {
    let world = World::with(&[("ADMIN_TOKEN", ADMIN_TOKEN), ("REFRESH_TOKEN_LIFETIME", "86400")]);
    let mut tokens = world.connected().await;
    for _ in 0..10 {
        world.host.advance(20 * 3600);
        let refreshed = world.refresh(&tokens.client, &tokens.refresh).await;
        assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.text);
        tokens = Tokens::of(&tokens.client, &refreshed);
        assert_eq!(listed(&world).await, 1);
    }
    world.host.advance(25 * 3600);
    assert_eq!(listed(&world).await, 0);
}

#[tokio::test]
async fn public_router_has_no_admin_interface() {
    let world = World::new();
    let server = world.server(world.host.host());
    for (mut router, status) in [
        (server.router(), StatusCode::NOT_FOUND),
        (server.router_with_admin(), StatusCode::OK),
        (server.admin_router(), StatusCode::OK),
    ] {
        let request = Request::get(format!("{DEPUTY}/admin/v1/grants"))
            .header("authorization", format!("Bearer {ADMIN_TOKEN}"))
            .body(axum::body::Body::empty())
            .unwrap();
        let Ok(response) = router.call(request).await;
        assert_eq!(response.status(), status);
    }
}
