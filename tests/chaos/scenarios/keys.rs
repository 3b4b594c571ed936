//! PingOne's signing keys and clock.

use serde_json::{Value, json};

use crate::world::{Price, World, outage};

async fn rotation(scenario: &str, key_set: Value) {
    let mut world = World::start().await;
    world.pingone.fail(key_set).await;
    world.pingone.rotate_to_an_unseen_key().await;
    let load = world.load().await;
    load.during(outage()).await;
    world.pingone.heal().await;
    load.during(2).await;
    world.finish(scenario, load, Price::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_rotation_with_key_set_after_50_ms_loses_no_grant() {
    rotation("keys: rotation, key set after 50 ms", json!({ "jwks_after_millis": 50 })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_rotation_with_key_set_after_3_s_loses_no_grant() {
    rotation("keys: rotation, key set after 3 s", json!({ "jwks_after_millis": 3_000 })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_rotation_with_failing_key_set_loses_no_grant() {
    rotation("keys: rotation, key set fails", json!({ "jwks": 503 })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_rotation_with_empty_key_set_loses_no_grant() {
    rotation("keys: rotation, key set is empty", json!({ "jwks_body": r#"{"keys":[]}"# })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_rotation_with_broken_key_set_loses_no_grant() {
    rotation("keys: rotation, key set is not JSON", json!({ "jwks_body": "<html>" })).await;
}

async fn change(scenario: &str, change: &str, details: Value) {
    let mut world = World::start().await;
    // Deputy would use a key that it has cached without reading the key set.
    if change != "replace" {
        world.pingone.rotate_to_an_unseen_key().await;
    }
    world.pingone.keys(change, details).await;
    let load = world.load().await;
    load.during(outage()).await;
    world.finish(scenario, load, Price::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_replaced_under_its_kid_loses_no_grant() {
    change("keys: replaced under the same kid", "replace", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_keys_with_one_kid_lose_no_grant() {
    change("keys: two with one kid", "same-kid", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_listed_after_60_others_loses_no_grant() {
    change("keys: the current one behind 60 others", "foreign", json!({ "count": 60 })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_a_day_ahead_loses_no_grant() {
    let mut world = World::start().await;
    world.set_pingone_clock(-24 * 3600).await;
    let load = world.load().await;
    load.during(outage()).await;
    world.set_pingone_clock(0).await;
    load.during(2).await;
    world.finish("clock: Deputy's a day ahead of PingOne's", load, Price::default()).await;
}
