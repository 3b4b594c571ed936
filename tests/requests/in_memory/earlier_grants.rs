//! Grants as earlier versions stored them.

use deputy::host::{Record, RecordKey, Store as _};
use harness::deployment::VARIABLE;
use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{Tokens, World};

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
