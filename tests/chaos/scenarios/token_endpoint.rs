//! PingOne's token endpoint.

use serde_json::{Value, json};

use crate::world::{Price, World, outage, users};

/// Makes every refresh fail. Each grant may send one request that fails, and one more that was under way.
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
    // Even without a failure, each grant refreshes about once a minute, because its tokens live 62 seconds.
    let most = users() as u64 * (2 + outage() / 60);
    assert!((1..=most).contains(&failed), "{failed} requests by {} users", users());
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_token_endpoint_gets_no_more_requests() {
    failing("token endpoint: 500", json!({ "token": [500, "{}"] })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_of_token_endpoint_is_honored() {
    // Longer than the failure, so each grant may send only one request.
    let retry_after = outage() + 4;
    failing("token endpoint: 429 with Retry-After", json!({ "token_retry_after": [429, retry_after] })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn token_response_without_json_loses_no_grant() {
    failing("token endpoint: 200 without JSON", json!({ "token": [200, "<html>"] })).await;
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

/// Delays the responses to the refreshes of some seconds by `millis`.
async fn late_responses(scenario: &str, millis: u64, grace: u64) {
    let mut world = World::start().await;
    world.pingone.configure(json!({ "refresh_grace_seconds": grace })).await;
    world.pingone.fail(json!({ "token_response_after": millis })).await;
    let load = world.load().await;
    load.during(outage()).await;
    world.pingone.heal().await;
    load.during(millis / 1000).await;
    world.finish(scenario, load, Price::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn token_response_after_11_s_with_grace_loses_no_grant() {
    late_responses("token endpoint: responds after 11 s, grace of 120 s", 11_000, 120).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn token_response_after_11_s_without_grace_loses_no_grant() {
    late_responses("token endpoint: responds after 11 s, no grace", 11_000, 0).await;
}
