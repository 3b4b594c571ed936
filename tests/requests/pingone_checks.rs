//! Checks of logins that are in use, for environments without a webhook.

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use pingone_sim::{Failure, UserAction};
use serde_json::Value;

use crate::world::{HOUR, Tokens, World, list_todos};

const INTERVAL: (&str, &str) = ("PINGONE_CHECK_INTERVAL", "600");

async fn status(world: &World, tokens: &Tokens) -> StatusCode {
    list_todos(world, &tokens.access).await.status
}

/// Calls until the grant has ended, `times` at most: the check goes on after the response to the call that began it.
async fn ends(world: &World, tokens: &Tokens, times: u32) -> bool {
    for _ in 0..times {
        if status(world, tokens).await == StatusCode::UNAUTHORIZED {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn login_in_use_is_checked_after_the_interval() {
    let world = World::with(&[INTERVAL]);
    let tokens = world.connected().await;
    let bob = world.connected_as("bob", &[]).await;
    world.pingone.act_on("alice", UserAction::Disable);
    world.host.advance(599);
    assert_eq!(status(&world, &tokens).await, StatusCode::OK);
    assert_eq!(world.pingone.requests("refresh"), 0);
    // Up to a tenth is added at random.
    world.host.advance(61);
    assert_eq!(status(&world, &tokens).await, StatusCode::OK, "no call waits for the check");
    assert!(ends(&world, &tokens, 1000).await);
    let ended = last_end(&world).await;
    assert_eq!(
        (&ended["event"], &ended["by"], ended.get("cause")),
        (&"grant_ended".into(), &"pingone".into(), None)
    );
    assert_eq!(status(&world, &bob).await, StatusCode::OK);
    world.wait_for_pingone_requests("refresh", 2).await;
    assert!(!ends(&world, &bob, 200).await);
    assert_eq!(world.pingone.requests("refresh"), 2);
}

#[tokio::test]
async fn check_that_fails_ends_nothing() {
    let world = World::with(&[INTERVAL]);
    let tokens = world.connected().await;
    for failure in [Failure::Token(503, String::new()), Failure::Token(401, "{}".to_owned())] {
        world.pingone.force_always(failure);
        world.host.advance(660 - PAUSE);
        for _ in 0..3 {
            world.host.advance(PAUSE);
            checked(&world, &tokens).await;
            assert_eq!(status(&world, &tokens).await, StatusCode::OK, "in the pause");
        }
        world.pingone.clear_failures();
        world.host.advance(PAUSE);
        checked(&world, &tokens).await;
    }
}

/// Seconds after which a check that failed is due again.
const PAUSE: u64 = 130;

/// Calls until PingOne has got one check. No call waits for the check before, whose result may be stored after the clock has advanced,
/// and then its pause begins late.
async fn checked(world: &World, tokens: &Tokens) {
    let before = world.pingone.requests("refresh");
    for _ in 0..8 {
        assert_eq!(status(world, tokens).await, StatusCode::OK);
        if is_checked(world, before).await {
            break;
        }
        world.host.advance(PAUSE);
    }
    assert_eq!(world.pingone.requests("refresh"), before + 1);
}

/// The event of the last grant that ended, which may follow the refusal of its token.
async fn last_end(world: &World) -> Value {
    for _ in 0..1000 {
        let mut ends = world.audited().await.into_iter().filter(|event| event["event"] == "grant_ended");
        if let Some(ended) = ends.next_back() {
            return ended;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no grant has ended")
}

/// Whether PingOne gets another request soon.
async fn is_checked(world: &World, before: u64) -> bool {
    for _ in 0..200 {
        if world.pingone.requests("refresh") > before {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn calls_at_the_same_time_cause_one_check() {
    let world = World::with(&[INTERVAL]);
    let tokens = world.connected().await;
    world.host.advance(660);
    let statuses = join_all((0..20).map(|_| status(&world, &tokens))).await;
    assert_eq!(statuses, [StatusCode::OK; 20]);
    world.wait_for_pingone_requests("refresh", 1).await;
}

#[tokio::test]
async fn login_is_not_checked_where_that_is_off() {
    let world = World::with(&[("PINGONE_CHECK_INTERVAL", "off")]);
    let tokens = world.connected().await;
    world.pingone.act_on("alice", UserAction::Disable);
    world.host.advance(HOUR - 61);
    assert!(!ends(&world, &tokens, 200).await);
    assert_eq!(world.pingone.requests("refresh"), 0);
}

#[tokio::test]
async fn long_token_is_checked_after_an_hour_by_default() {
    let world = World::with(&[("ACCESS_TOKEN_LIFETIME", "86400")]);
    world.pingone.configure(|pingone| pingone.access_token_seconds = 86_400);
    let tokens = world.connected().await;
    world.host.advance(HOUR - 1);
    assert_eq!(status(&world, &tokens).await, StatusCode::OK);
    assert_eq!(world.pingone.requests("refresh"), 0);
    world.host.advance(HOUR / 10 + 1);
    assert_eq!(status(&world, &tokens).await, StatusCode::OK);
    world.wait_for_pingone_requests("refresh", 1).await;
}
