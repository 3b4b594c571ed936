//! PingOne's token endpoint.

use serde_json::json;

use crate::world::{Price, World, outage, users};

#[tokio::test(flavor = "multi_thread")]
async fn failing_token_endpoint_is_not_asked_more_often() {
    let mut world = World::start().await;
    let load = world.load().await;
    let start = world.pingone.refreshes().await;
    load.during(outage()).await;
    let healthy = world.pingone.refreshes().await - start;
    world.pingone.fail(json!({ "token": [500, "{}"] })).await;
    load.during(outage()).await;
    let failing = world.pingone.refreshes().await - start - healthy;
    world.pingone.heal().await;
    world.finish("token endpoint: 500", load, Price::default()).await;
    let most = 2 * healthy + users() as u64;
    assert!(failing <= most, "{failing} requests while it failed, {healthy} before");
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_of_token_endpoint_is_honored() {
    let mut world = World::start().await;
    let load = world.load().await;
    world.pingone.fail(json!({ "token_retry_after": [429, 600] })).await;
    let start = world.pingone.refreshes().await;
    load.during(outage()).await;
    let failing = world.pingone.refreshes().await - start;
    world.pingone.heal().await;
    // One for each grant at most, and one for those that were on their way.
    let most = 2 * users() as u64;
    assert!(failing <= most, "{failing} requests by {} users within Retry-After", users());
    world.finish("token endpoint: 429 with Retry-After", load, Price::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_of_token_endpoint_loses_no_grant() {
    let mut world = World::start().await;
    let load = world.load().await;
    world.pingone.fail(json!({ "token": [200, "<html>"] })).await;
    load.during(outage()).await;
    world.pingone.heal().await;
    world.finish("token endpoint: 200 that is no JSON", load, Price::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn usable_token_is_used_while_token_endpoint_hangs() {
    let mut world = World::start().await;
    let load = world.load().await;
    world.pingone.fail(json!({ "token_after": 600 })).await;
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
    let load = world.load().await;
    world.pingone.fail(json!({ "token_answer_after": millis })).await;
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
