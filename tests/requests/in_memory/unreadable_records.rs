//! Records that cannot be read, as after a fault of the storage.

use deputy::host::{Record, RecordKey, Store as _};
use http::StatusCode;
use serde_json::json;

use crate::world::{HOUR, World, list_todos};

#[tokio::test]
async fn unreadable_grant_does_not_stop_the_webhook() {
    let world = World::with_webhook(&[]);
    world.connected_as("bob", &[]).await;
    let (store, now) = (world.host.memory(), world.host.now());
    for (key, Record { version, expires_at, .. }) in store.records(now) {
        if matches!(key, RecordKey::Grant(_)) {
            let broken = b"{".to_vec();
            assert!(store.replace(&key, Some(version), broken, expires_at, now).await.expect("a store"));
        }
    }
    let tokens = world.connected().await;
    let events = json!([world.event("USER.LOCKED", "bob"), world.event("USER.LOCKED", "alice")]);
    let response = world.post_events(&events).await;
    assert_eq!(
        (response.status, &response.json()["ended"]),
        (StatusCode::OK, &json!(1)),
        "{}",
        response.text
    );
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn unreadable_grant_does_not_hide_grants_of_a_later_part() {
    let world = World::with_webhook(&[]);
    world.pingone.configure(|pingone| pingone.skip_token_session_validation = true);
    world.connected().await;
    let (store, now) = (world.host.memory(), world.host.now());
    let is_grant = |(key, _): &(RecordKey, Record)| matches!(key, RecordKey::Grant(_));
    let (key, first) = store.records(now).into_iter().find(is_grant).expect("a grant");
    assert!(
        store
            .replace(&key, Some(first.version), b"{".to_vec(), first.expires_at, now)
            .await
            .expect("a store")
    );
    let mut others = Vec::new();
    for _ in 0..19 {
        others.push(world.connected().await);
    }
    let events = json!([world.event("USER.LOCKED", "alice")]);
    let statuses = [world.post_events(&events).await.status, world.post_events(&events).await.status];
    assert_eq!(statuses, [StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK]);
    for tokens in &others {
        assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn grant_outside_the_index_ends_at_its_refresh_after_an_event() {
    let world = World::with_webhook(&[]);
    world.connected().await;
    let (store, now) = (world.host.memory(), world.host.now());
    let is_index = |(key, _): &(RecordKey, Record)| matches!(key, RecordKey::User(_));
    let (key, index) = store.records(now).into_iter().find(is_index).expect("an index");
    store.put(&key, b"{".to_vec(), index.expires_at).await.expect("a store");
    let outside = world.connected().await;
    store.put(&key, index.value, index.expires_at).await.expect("a store");
    let response = world.post_events(&json!([world.event("USER.LOCKED", "alice")])).await;
    assert_eq!(
        (response.status, &response.json()["ended"]),
        (StatusCode::OK, &json!(1)),
        "{}",
        response.text
    );
    assert_eq!(list_todos(&world, &outside.access).await.status, StatusCode::OK);
    world.host.advance(HOUR - 60);
    let refreshed = world.refresh(&outside.client, &outside.refresh).await;
    assert_eq!(refreshed.json()["error"], "invalid_grant");
    assert_eq!(list_todos(&world, &outside.access).await.status, StatusCode::UNAUTHORIZED);
}
