//! Grants as earlier versions stored them.

use deputy::host::{Record, RecordKey, Store as _};
use harness::deployment::VARIABLE;
use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{Tokens, World, list_todos};

#[tokio::test]
async fn grant_of_an_earlier_version_has_all_tools_until_refresh() {
    let world = World::new();
    let tokens = world.connected().await;
    world.start(&[(VARIABLE, "-create_new_todo")]);
    let store = world.host.memory();
    let records = store.records(world.host.now()).into_iter();
    let (key, Record { value, version, expires_at }) =
        records.into_iter().find(|(key, _)| matches!(key, RecordKey::Grant(_))).expect("a grant");
    let mut grant: Value = serde_json::from_slice(&value).expect("JSON");
    assert!(grant.as_object_mut().expect("an object").remove("approved_tools").is_some());
    let value = grant.to_string().into_bytes();
    assert!(store.replace(&key, Some(version), value, expires_at, world.host.now()).await.expect("a store"));
    let create = async |tokens: &Tokens| {
        world.call(&tokens.access, "create_new_todo", json!({ "text": "x" })).await.status
    };
    world.start(&[]);
    assert_eq!(create(&tokens).await, StatusCode::OK);
    world.start(&[(VARIABLE, "-create_new_todo")]);
    let tokens = Tokens::of(&tokens.client, &world.refresh(&tokens.client, &tokens.refresh).await);
    world.start(&[]);
    assert_eq!(create(&tokens).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn index_of_an_earlier_version_does_not_hold_up_an_event() {
    let world = World::with_webhook(&[]);
    world.pingone.configure(|pingone| pingone.skip_token_session_validation = true);
    let ended = world.connected().await;
    let event = world.event("USER.LOCKED", "alice");
    world.host.advance(60);
    let mut later = Vec::new();
    for _ in 0..19 {
        later.push(world.connected().await);
    }
    let store = world.host.memory();
    let is_index = |(key, _): &(RecordKey, Record)| matches!(key, RecordKey::User(_));
    let (key, record) = store.records(world.host.now()).into_iter().find(is_index).expect("an index");
    let mut index: Value = serde_json::from_slice(&record.value).expect("JSON");
    let grants = index["grants"].as_array_mut().expect("a list");
    // The grant that the event ends is the last one.
    grants.rotate_left(1);
    for entry in grants {
        assert!(entry.as_object_mut().expect("an object").remove("login").is_some());
    }
    store.put(&key, index.to_string().into_bytes(), record.expires_at).await.expect("a store");
    let events = json!([event]);
    let statuses = [world.post_events(&events).await.status, world.post_events(&events).await.status];
    assert_eq!(statuses, [StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK]);
    assert_eq!(list_todos(&world, &ended.access).await.status, StatusCode::UNAUTHORIZED);
    for tokens in &later {
        assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK);
    }
}
