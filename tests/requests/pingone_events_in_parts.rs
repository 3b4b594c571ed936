//! Deliveries of PingOne's webhook that cause more work than one request may.

use http::StatusCode;
use pingone_sim::UserAction;
use serde_json::{Value, json};

use crate::{
    pingone_events::{OK, UNAUTHORIZED, counts, grants_ended, status},
    world::{Tokens, World},
};

/// Lets PingOne repeat its deliveries until they are accepted, and returns the statuses. Each delivery keeps to the subrequests of
/// the free plan of Workers.
async fn deliver_until_accepted(world: &World) -> Vec<u16> {
    let mut statuses = Vec::new();
    while statuses.last() != Some(&200) {
        let [_, before, _] = world.subrequests().await;
        statuses.extend(world.deliver_events().await);
        let [_, after, _] = world.subrequests().await;
        assert!(after - before <= 50, "{} subrequests", after - before);
        assert!(statuses.len() < 20, "{statuses:?}");
        world.host.advance(60);
    }
    statuses
}

#[tokio::test]
async fn delivery_about_many_users_ends_every_grant_in_parts() {
    let world = World::with_webhook(&[]);
    let other = world.connected().await;
    let all = users_with_a_grant(&world, 12).await;
    for number in 0..all.len() {
        assert!(world.pingone.act_on(&format!("user-{number}"), UserAction::Lock));
    }
    let statuses = deliver_until_accepted(&world).await;
    assert_eq!((statuses.first(), statuses.last()), (Some(&503), Some(&200)), "{statuses:?}");
    for (_, tokens) in &all {
        assert_eq!(status(&world, tokens).await, UNAUTHORIZED);
    }
    assert_eq!(status(&world, &other).await, OK);
    assert_eq!(grants_ended(&world).await.len(), 12);
}

/// New users in the order of their ids, each with a grant.
async fn users_with_a_grant(world: &World, count: usize) -> Vec<(String, Tokens)> {
    let mut all = Vec::new();
    for number in 0..count {
        let name = format!("user-{number}");
        let id = world.pingone.add_user(&name, &format!("User-{number}-demo-1"));
        let tokens = world.connected_as(&name, &[]).await;
        all.push((id, tokens));
    }
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all
}

#[tokio::test]
async fn event_that_becomes_too_old_does_not_hide_another() {
    let world = World::with_webhook(&[]);
    let all = users_with_a_grant(&world, 12).await;
    let mut events: Vec<_> = all.iter().map(|(id, _)| world.event_about("USER.LOCKED", id)).collect();
    events[0]["recordedAt"] = json!(world.timestamp(world.now() - 14 * 24 * 3600 + 30));
    let first = world.post_events(&json!(events)).await;
    assert_eq!(first.status, StatusCode::SERVICE_UNAVAILABLE);
    world.host.advance(60);
    while world.post_events(&json!(events)).await.status != OK {
        assert!(grants_ended(&world).await.len() < 11);
    }
    for (id, tokens) in &all[1..] {
        assert_eq!(status(&world, tokens).await, UNAUTHORIZED, "{id}");
    }
}

#[tokio::test]
async fn delivery_repeated_in_other_forms_ends_every_grant() {
    let world = World::with_webhook(&[]);
    let all = users_with_a_grant(&world, 16).await;
    let events: Vec<_> = all.iter().map(|(id, _)| world.event_about("USER.LOCKED", id)).collect();
    let mut ended = 0;
    for time in 0..10 {
        let mut again = events.clone();
        again.rotate_left(time);
        if world.post_events(&json!(again)).await.status == OK {
            break;
        }
        let before = std::mem::replace(&mut ended, grants_ended(&world).await.len());
        assert!(before < ended, "{ended} grants ended");
    }
    for (id, tokens) in &all {
        assert_eq!(status(&world, tokens).await, UNAUTHORIZED, "{id}");
    }
}

#[tokio::test]
async fn event_about_a_user_with_many_grants_ends_them_in_parts() {
    let world = World::with_webhook(&[]);
    world.pingone.configure(|pingone| pingone.skip_token_session_validation = true);
    let mut all = Vec::new();
    for _ in 0..16 {
        all.push(world.connected().await);
    }
    // The ends of the oldest sessions are not reported.
    let locked = world.event("USER.LOCKED", "alice");
    let first = world.post_events(&json!([locked])).await;
    assert_eq!(first.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(first.header("retry-after"), "1");
    assert_eq!(counts(&world.post_events(&json!([locked])).await).0, OK);
    for tokens in &all {
        assert_eq!(status(&world, tokens).await, UNAUTHORIZED);
    }
    assert_eq!(grants_ended(&world).await.len(), 16);
    assert_eq!(counts(&world.post_events(&json!([locked])).await), (OK, json!(1), json!(0)));
}

#[tokio::test]
async fn event_about_a_user_without_grants_costs_two_operations() {
    let world = World::with_webhook(&[]);
    let deliver = async |event: &Value| {
        let [_, before, _] = world.subrequests().await;
        assert_eq!(counts(&world.post_events(&json!([event])).await), (OK, json!(1), json!(0)));
        world.subrequests().await[1] - before
    };
    let event = world.event("USER.LOCKED", "alice");
    assert_eq!((deliver(&event).await, deliver(&event).await), (2, 1));
}
