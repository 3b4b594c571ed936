//! PingOne's token endpoint.

use serde_json::{Value, json};

use crate::world::{Price, World, outage, users};

/// Fails every refresh. The failure itself may be met once by each grant, and once more by those that were on their way.
async fn failing(scenario: &str, failure: Value) {
    let mut world = World::start().await;
    let start = world.pingone.refreshes().await;
    world.pingone.fail(failure).await;
    let load = world.load().await;
    load.during(outage()).await;
    let failed = world.pingone.refreshes().await - start;
    world.pingone.heal().await;
    load.during(2).await;
    world.finish(scenario, load, Price::default()).await;
    // One a minute for each grant is what a healthy PingOne would be asked, since its tokens last no longer.
    let most = users() as u64 * (2 + outage() / 60);
    assert!((1..=most).contains(&failed), "{failed} requests by {} users", users());
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_token_endpoint_is_asked_no_more_often() {
    failing("token endpoint: 500", json!({ "token": [500, "{}"] })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_of_token_endpoint_is_honored() {
    // Longer than the failure, so that one request each is all that is allowed.
    let retry_after = outage() + 4;
    failing("token endpoint: 429 with Retry-After", json!({ "token_retry_after": [429, retry_after] })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_of_token_endpoint_loses_no_grant() {
    failing("token endpoint: 200 that is no JSON", json!({ "token": [200, "<html>"] })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn usable_token_is_used_while_token_endpoint_hangs() {
    let mut world = World::start().await;
    world.pingone.fail(json!({ "token_after": outage() + 14 })).await;
    let load = world.load().await;
    load.during(3).await;
    let before = load.ok();
    load.during(outage()).await;
    let ok = load.ok() - before;
    world.pingone.heal().await;
    world.finish("token endpoint: hangs", load, Price::default()).await;
    // Each call would take the deadline of 10 seconds if it waited.
    assert!(ok >= 2 * users() as u64, "{ok} calls by {} users", users());
}

/// Answers that leave after `millis`, for the refreshes of some seconds.
async fn late_answers(scenario: &str, millis: u64, grace: u64) {
    let mut world = World::start().await;
    world.pingone.configure(json!({ "refresh_grace_seconds": grace })).await;
    world.pingone.fail(json!({ "token_answer_after": millis })).await;
    let load = world.load().await;
    load.during(outage()).await;
    world.pingone.heal().await;
    load.during(millis / 1000).await;
    world.finish(scenario, load, Price::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_after_11_s_with_grace_loses_no_grant() {
    late_answers("token endpoint: answers after 11 s, grace of 120 s", 11_000, 120).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_after_11_s_without_grace_loses_no_grant() {
    late_answers("token endpoint: answers after 11 s, no grace", 11_000, 0).await;
}
