//! Records that cannot be read, as after a fault of the storage.

use deputy::host::{Record, RecordKey, Store as _};
use http::StatusCode;
use serde_json::json;

use crate::world::{World, list_todos};

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
