//! Signing keys and the discovery document of PingOne: rotation, caching, failures.

use axum::{
    body::Body,
    extract::Request,
    middleware::{self, Next},
    response::Response,
};
use futures_util::future::join_all;
use http::StatusCode;
use http_body_util::BodyExt as _;
use pingone_sim::Failure;
use serde_json::{Value, json};

use crate::{
    pingone_refresh::call_succeeds,
    world::{API, PINGONE, Tokens, World, code_at_client, error_at_client, list_todos, with_expiring_token},
};

#[tokio::test]
async fn login_works_after_pingone_rotates_its_keys() {
    let world = World::new();
    world.connected().await;
    for _ in 0..2 {
        world.pingone.rotate_keys();
        world.pingone.rotate_keys();
        world.pingone.drop_old_keys();
        world.connected().await;
    }
    assert_eq!(world.pingone.requests("jwks"), 3, "once, and once for each rotation");
}

#[tokio::test]
async fn rotated_refresh_token_is_kept_while_keys_are_unreachable() {
    let world = World::new();
    let tokens = with_expiring_token(&world, 0).await;
    // Two rotations: PingOne publishes a key before it signs with it.
    world.pingone.rotate_keys();
    world.pingone.rotate_keys();
    world.pingone.force_always(Failure::Jwks(500));
    let unverified = list_todos(&world, &tokens.access).await;
    assert_eq!((unverified.status, world.requests_to(API, "")), (StatusCode::OK, 0), "{}", unverified.text);
    assert!(unverified.text.contains("issues no new token"), "{}", unverified.text);
    world.pingone.clear_failures();
    world.host.advance(10);
    let response = list_todos(&world, &tokens.access).await;
    assert_eq!(response.json()["result"]["isError"], json!(false), "the grant lives: {}", response.text);
    assert_eq!(world.pingone.requests("refresh"), 2);
}

/// Makes PingOne publish its keys as changed by `change`.
fn publish_keys(world: &World, change: fn(&mut Vec<Value>)) {
    let changed = middleware::from_fn(move |request: Request, next: Next| async move {
        let for_keys = request.uri().path().ends_with("/jwks");
        let response = next.run(request).await;
        if !for_keys {
            return response;
        }
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let mut document: Value = serde_json::from_slice(&body).expect("JSON");
        change(document["keys"].as_array_mut().expect("keys"));
        Response::new(Body::from(document.to_string()))
    });
    world.network.serve(PINGONE, world.pingone.router().layer(changed));
}

#[tokio::test]
async fn rotated_signing_key_keeps_every_grant() {
    let world = World::new();
    let all = join_all((0..8).map(|_| world.connected())).await;
    world.host.advance(3600 - 61);
    let refreshed = all.iter().map(|tokens| world.refresh(&tokens.client, &tokens.refresh));
    let responses = join_all(refreshed).await;
    let all: Vec<_> =
        responses.iter().zip(&all).map(|(response, old)| Tokens::of(&old.client, response)).collect();
    world.host.advance(61);
    world.pingone.rotate_keys();
    world.pingone.rotate_keys();
    world.pingone.drop_old_keys();
    let before = world.pingone.requests("jwks");
    let works = join_all(all.iter().map(|tokens| call_succeeds(&world, tokens))).await;
    assert_eq!(works, [true; 8]);
    // The API fetches the keys, too.
    let fetched = world.pingone.requests("jwks") - before;
    assert!(fetched <= 4, "{fetched}");
}

#[tokio::test]
async fn unreachable_keys_keep_the_grant_and_cost_few_refreshes() {
    let world = World::new();
    let tokens = with_expiring_token(&world, 0).await;
    world.pingone.rotate_keys();
    world.pingone.rotate_keys();
    world.pingone.force_always(Failure::Jwks(503));
    for _ in 0..30 {
        assert!(!call_succeeds(&world, &tokens).await);
        world.host.advance(1);
    }
    let refreshes = world.pingone.requests("refresh");
    assert!((2..=5).contains(&refreshes), "{refreshes} in half a minute");
    world.pingone.clear_failures();
    world.host.advance(90);
    assert!(call_succeeds(&world, &tokens).await);
}

#[tokio::test]
async fn key_replaced_under_the_same_kid_is_found() {
    let world = World::new();
    let client = world.client().await;
    // The published keys have each other's `kid`.
    publish_keys(&world, |keys| {
        let (current, next) = (keys[0]["n"].clone(), keys[1]["n"].clone());
        (keys[0]["n"], keys[1]["n"]) = (next, current);
    });
    let page = world.log_in_to(&mut world.browser(), &client).await;
    assert_eq!(error_at_client(&world, &page), "temporarily_unavailable", "it cannot be verified now");
    publish_keys(&world, |_| {});
    world.host.advance(10);
    assert!(code_at_client(&world.log_in_to(&mut world.browser(), &client).await).is_some());
}

#[tokio::test]
async fn key_with_a_duplicate_kid_or_behind_many_is_found() {
    let twin: fn(&mut Vec<Value>) = |keys| {
        let mut twin = keys[1].clone();
        twin["kid"] = keys[0]["kid"].clone();
        keys.insert(0, twin);
    };
    let crowd: fn(&mut Vec<Value>) = |keys| {
        let others = (0..200).map(|number| {
            let mut other = keys[1].clone();
            other["kid"] = json!(format!("other-{number}"));
            other
        });
        keys.splice(0..0, others.collect::<Vec<_>>());
    };
    for change in [twin, crowd] {
        let world = World::new();
        publish_keys(&world, change);
        world.connected().await;
    }
}

#[tokio::test]
async fn empty_or_broken_key_set_is_not_cached() {
    let empty: fn(&mut Vec<Value>) = Vec::clear;
    let broken: fn(&mut Vec<Value>) = |keys| keys.iter_mut().for_each(|key| key["n"] = json!("x"));
    for change in [empty, broken] {
        let world = World::new();
        let client = world.client().await;
        publish_keys(&world, change);
        let page = world.log_in_to(&mut world.browser(), &client).await;
        assert_eq!(error_at_client(&world, &page), "temporarily_unavailable");
        publish_keys(&world, |_| {});
        assert!(code_at_client(&world.log_in_to(&mut world.browser(), &client).await).is_some(), "at once");
        // A cached key set is not replaced by an unusable one.
        publish_keys(&world, change);
        world.host.advance(3601);
        assert!(code_at_client(&world.log_in_to(&mut world.browser(), &client).await).is_some());
    }
}

#[tokio::test]
async fn stale_discovery_and_keys_are_used_for_a_day() {
    let world = World::new();
    let client = world.client().await;
    world.connected().await;
    world.pingone.force_always(Failure::Discovery(503));
    world.pingone.force_always(Failure::Jwks(503));
    for (hours, works) in [(2, true), (20, true), (4, false)] {
        world.host.advance(hours * 3600);
        let page = world.log_in_to(&mut world.browser(), &client).await;
        assert_eq!(code_at_client(&page).is_some(), works, "{hours} hours later: {}", page.url);
    }
}
