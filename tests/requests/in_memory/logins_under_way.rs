//! Logins that PingOne has finished, and whose code was not redeemed when all grants of the user ended.

use deputy::host::{Record, RecordKey, Store as _};
use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{ADMIN_TOKEN, Tokens, World, code_at_client, list_todos};

/// A world with the code of a login of Alice, some seconds ago.
async fn code_that_waits() -> (World, String, String) {
    let world = World::with(&[("ADMIN_TOKEN", ADMIN_TOKEN)]);
    let client = world.client().await;
    let code = world.code(&client).await;
    // The page offers to end all where there are several.
    for _ in 0..2 {
        world.connected().await;
    }
    world.host.advance(2);
    (world, client, code)
}

/// The tokens for the code open nothing, by the decision of this party. A later login is not affected.
async fn assert_ended(world: &World, client: &str, code: &str, by: &str) {
    let tokens = Tokens::of(client, &world.redeem(client, code).await);
    assert_eq!(list_todos(world, &tokens.access).await.status, StatusCode::UNAUTHORIZED);
    let refreshed = world.refresh(client, &tokens.refresh).await;
    assert_eq!(refreshed.json()["error"], "invalid_grant", "{}", refreshed.text);
    let events = world.audited().await;
    let ended = events.iter().filter(|event| event["event"] == "grant_ended");
    assert_eq!(ended.map(|event| event["by"].clone()).collect::<Vec<_>>(), [json!(by), json!(by), json!(by)]);
    let later = world.connected().await;
    assert_eq!(list_todos(world, &later.access).await.status, StatusCode::OK);
}

#[tokio::test]
async fn code_opens_nothing_after_its_user_ended_all_grants() {
    let (world, client, code) = code_that_waits().await;
    let mut browser = world.browser();
    let page = world.sign_in_to_agents(&mut browser, "alice").await;
    let page = browser.submit(&page, &[("confirm", "yes"), ("sign-off", "")], "end-all").await;
    assert!(page.text.contains("No application has access"), "{}", page.text);
    assert_ended(&world, &client, &code, "user").await;
}

#[tokio::test]
async fn code_opens_nothing_after_the_operator_ended_its_user() {
    let (world, client, code) = code_that_waits().await;
    let form = format!("user={}", world.config.users[0].id);
    assert_eq!(world.admin("POST", "grants/end", &form).await.status, StatusCode::OK);
    assert_ended(&world, &client, &code, "operator").await;
}

#[tokio::test]
async fn grant_beyond_the_bound_stays_listed_until_it_has_ended() {
    let world = World::with(&[("RATE_LIMITS", "off")]);
    let client = world.client().await;
    let mut browser = world.browser();
    let mut log_in = async || {
        let page = world.log_in_to(&mut browser, &client).await;
        let code = code_at_client(&page).expect("a code");
        assert_eq!(world.redeem(&client, &code).await.status, StatusCode::OK);
    };
    for _ in 0..100 {
        log_in().await;
    }
    let (store, now) = (world.host.memory(), world.host.now());
    let index = || {
        let is_index = |(key, _): &(RecordKey, Record)| matches!(key, RecordKey::User(_));
        let (_, Record { value, .. }) = store.records(now).into_iter().find(is_index).expect("an index");
        let index: Value = serde_json::from_slice(&value).expect("JSON");
        index["grants"].as_array().expect("grants").clone()
    };
    let oldest = index()[0]["id"].clone();
    let is_oldest =
        |(key, _): &(RecordKey, Record)| matches!(key, RecordKey::Grant(id) if json!(id) == oldest);
    let (key, record) = store.records(now).into_iter().find(is_oldest).expect("the oldest grant");
    store.put(&key, b"{".to_vec(), record.expires_at).await.expect("a store");
    log_in().await;
    assert_eq!((index().len(), &index()[0]["id"]), (101, &oldest));
    store.put(&key, record.value, record.expires_at).await.expect("a store");
    log_in().await;
    assert_eq!(index().len(), 100);
    assert!(index().iter().all(|entry| entry["id"] != oldest));
}
