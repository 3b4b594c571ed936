//! PingOne's webhook: the time from an event to the `401` of the next call, with forged events at the same time.

use std::{io::Write as _, time::Duration};

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    deputy::{Log, is_worker},
    pingone::PingOne,
    user::User,
    world::{Price, World, events, users},
};

/// Acts on the user, and calls until Deputy refuses the access token. Returns the time that this took.
async fn end(pingone: PingOne, mut user: User, action: &str) -> (User, Duration) {
    let begun = Instant::now();
    pingone.act_on(&user.name, action).await;
    while user.has_access().await {
        // Forty users who ask all the time would be all that workerd does.
        sleep(Duration::from_millis(if is_worker() { 50 } else { 5 })).await;
        assert!(begun.elapsed() < PATIENCE, "{}: {action} has no effect", user.name);
    }
    (user, begun.elapsed())
}

/// Sends this many events about these users with a wrong secret. Returns how many were not refused with `401`, those without a
/// response too.
async fn forge(http: reqwest::Client, url: String, subs: Vec<String>, count: usize) -> usize {
    let mut not_refused = 0;
    for numbers in (0..count).collect::<Vec<_>>().chunks(16) {
        let requests = numbers.iter().map(|number| {
            let user = json!({ "type": "USER", "id": subs[number % subs.len()] });
            let event = json!([{
                "recordedAt": "2026-01-01T00:00:00Z", "action": { "type": "USER.DELETED" }, "resources": [user],
                "result": { "status": "SUCCESS" },
            }]);
            let request = http.post(&url).header("content-type", "application/json").body(event.to_string());
            request.header("authorization", format!("Bearer webhook-of-chaos-{number:0>32}")).send()
        });
        let responses = join_all(requests).await;
        let is_refused = |response: &Result<reqwest::Response, _>| {
            response.as_ref().is_ok_and(|response| response.status() == 401)
        };
        not_refused += responses.iter().filter(|response| !is_refused(response)).count();
    }
    not_refused
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_events_under_load_end_no_grant() {
    const ACTIONS: [&str; 5] = ["lock", "disable", "delete", "revoke-consent", "end-sessions"];
    let mut world = World::start_with(Log::File, users() + events()).await;
    world.pingone.configure(json!({ "access_token_seconds": 3600 })).await;
    let subs = world.pingone.subs().await;
    let ended = world.users.split_off(users());
    let load = world.load().await;
    let url = world.deputy.at("/pingone/events");
    let forged = tokio::spawn(forge(world.http.clone(), url, subs, 10 * events()));
    let mut ends = Vec::new();
    for (user, action) in ended.into_iter().zip(ACTIONS.into_iter().cycle()) {
        ends.push(tokio::spawn(end(world.pingone.clone(), user, action)));
        sleep(Duration::from_millis(10)).await;
    }
    let ends: Vec<_> = join_all(ends).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(forged.await.unwrap(), 0, "a forged event was accepted");
    let (ended, mut times): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
    times.sort_unstable();
    let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    let line = format!("events to 401: {} events, p50 {p50:?}, p99 {p99:?}\n", times.len());
    // If standard error is closed, the line is lost.
    let _ = std::io::stderr().write_all(line.as_bytes());
    let price = Price { lost: ended.len() as u64, ..Price::default() };
    world.users.extend(ended);
    let scenario =
        format!("PingOne: {} events, {} forged (those are to be lost)", times.len(), 10 * events());
    world.finish(&scenario, load, price).await;
}

/// The time in which an event must have an effect: longer than any retry of the webhook.
const PATIENCE: Duration = Duration::from_mins(1);
