//! The process itself: kills and stops, the disk, the log, and connections. For the native host only.

mod window;

use std::time::Duration;

use futures_util::future::join_all;
use rusqlite::Connection;
use serde_json::json;
use tokio::time::sleep;

use crate::{
    api::TODO,
    deputy::Log,
    user::Outcome,
    world::{Load, Price, World, outage, users},
};

/// Starts the load and waits until a refresh is under way. Returns the number of refreshes before it.
async fn load_with_refreshes_under_way(world: &mut World, latency: u64) -> (Load, u64) {
    world.pingone.fail(json!({ "token_response_after": latency })).await;
    let before = world.pingone.refreshes().await;
    let load = world.load().await;
    while world.pingone.refreshes().await == before {
        sleep(Duration::from_millis(20)).await;
    }
    (load, before)
}

/// Kills Deputy while refreshes are under way, and starts it again. Returns the number of refreshes under way, whose
/// responses may be lost.
async fn kill(world: &mut World) -> (Load, u64) {
    let (load, before) = load_with_refreshes_under_way(world, LATENCY).await;
    world.deputy.kill();
    let under_way = world.pingone.refreshes().await - before;
    world.pingone.heal().await;
    world.deputy.start(&world.http).await;
    load.during(2).await;
    (load, under_way)
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_during_refreshes_with_grace_loses_no_grant() {
    let mut world = World::start().await;
    world.pingone.configure(json!({ "refresh_grace_seconds": 120 })).await;
    let (load, _) = kill(&mut world).await;
    let price = Price { failed: true, ..Price::default() };
    world.finish("kill -9 during refreshes, grace of 120 s", load, price).await;
}

/// Without a grace period, PingOne no longer accepts the refresh token that Deputy has, and Deputy never received the
/// next one. No client can repair that. At most the grants whose refreshes were under way are lost.
#[tokio::test(flavor = "multi_thread")]
async fn kill_during_refreshes_without_grace_loses_only_those() {
    let mut world = World::start().await;
    let (load, under_way) = kill(&mut world).await;
    let price = Price { lost: under_way, failed: true, ..Price::default() };
    let scenario = format!("kill -9 during {under_way} refreshes, no grace (inevitable)");
    world.finish(&scenario, load, price).await;
}

/// Deputy refreshes valid tokens in the background, so no request waits for the response of PingOne.
#[tokio::test(flavor = "multi_thread")]
async fn clean_stop_during_refreshes_loses_no_grant() {
    let mut world = World::start().await;
    let (load, _) = load_with_refreshes_under_way(&mut world, 4 * LATENCY).await;
    world.deputy.stop().await;
    world.pingone.heal().await;
    world.deputy.start(&world.http).await;
    load.during(2).await;
    let price = Price { failed: true, ..Price::default() };
    world.finish("a clean stop during refreshes that take 6 s, no grace", load, price).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn store_locked_for_25_s_loses_no_grant() {
    let mut world = World::start().await;
    let (load, _) = load_with_refreshes_under_way(&mut world, LATENCY).await;
    let other = Connection::open(world.deputy.database()).unwrap();
    other.busy_timeout(Duration::from_secs(30)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    load.during(25).await;
    other.execute_batch("ROLLBACK").unwrap();
    world.pingone.heal().await;
    world.finish("store: locked for 25 s, no grace", load, Price::default()).await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn full_disk_for_25_s_loses_no_grant() {
    let mut world = World::start().await;
    let (load, _) = load_with_refreshes_under_way(&mut world, LATENCY).await;
    world.deputy.fill_disk(true);
    load.during(25).await;
    world.deputy.fill_disk(false);
    world.pingone.heal().await;
    let price = Price { unaudited: true, ..Price::default() };
    world.finish("store: disk full for 25 s, no grace", load, price).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_with_open_questions_do_not_block_other_user() {
    let mut world = World::start_with(Log::File, 10).await;
    let other = world.users.pop().unwrap();
    let mut open = Vec::new();
    for user in &world.users {
        let client = json!({ "name": "chaos", "version": "1" });
        let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": { "elicitation": {} }, "clientInfo": client });
        let hello = json!({ "id": 1, "method": "initialize", "params": hello });
        let response = user.send(&hello, None).await.unwrap();
        let session = response.headers().get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
        let call = json!({ "name": "delete_todo", "arguments": { "id": TODO } });
        let call = json!({ "id": 2, "method": "tools/call", "params": call });
        let questions = (0..70).map(|_| user.send(&call, session.as_deref()));
        // Some are refused; the others stay open.
        open.extend(join_all(questions).await);
    }
    let streams = open.iter().flatten().filter(|response| is_stream(response)).count();
    assert!(streams > 50, "{streams} questions are open");
    let health = world.http.get(world.deputy.at("/health")).send().await.unwrap();
    assert_eq!(health.status(), 200);
    world.users = vec![other];
    let load = world.load().await;
    load.during(outage()).await;
    assert!(load.ok() > 0);
    world.finish(&format!("9 users with {streams} open questions"), load, Price::default()).await;
    drop(open);
}

fn is_stream(response: &reqwest::Response) -> bool {
    response.headers().get("content-type").is_some_and(|value| value == "text/event-stream")
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_log_does_not_block_requests() {
    let mut world = World::start_with(Log::UnreadPipe, users()).await;
    let load = world.load().await;
    load.during(2 * outage()).await;
    let outcomes = world.finish("log: a pipe that is not read", load, Price::default()).await;
    assert!(outcomes.iter().filter(|outcome| **outcome == Outcome::Ok).count() > users());
}

/// The duration of a refresh in milliseconds, long enough to kill or stop Deputy meanwhile.
const LATENCY: u64 = 1_500;
