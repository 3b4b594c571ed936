//! Refreshes at PingOne on an ordinary bad day: clocks that differ, keys that lag, an endpoint that fails or hangs. None of
//! it ends a login, and none of it makes Deputy ask again and again.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    body::Body,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use futures_util::future::join_all;
use http::StatusCode;
use http_body_util::BodyExt as _;
use pingone_sim::Failure;
use serde_json::{Value, json};

use crate::{
    callback::answer,
    upstream::{about_to_expire, api, list},
    world::{PINGONE, Tokens, World, arrived},
};

/// Whether the tool has an answer of the API.
async fn works(world: &World, tokens: &Tokens) -> bool {
    let answer = list(world, &tokens.access).await;
    assert_eq!(answer.status, StatusCode::OK, "the login is over: {}", answer.text);
    answer.json()["result"]["isError"] == json!(false)
}

/// Lets PingOne's token endpoint be busy, and counts the requests.
fn tokens_are_busy(world: &World, retry_after: &str) -> Arc<AtomicU64> {
    let requests = Arc::new(AtomicU64::new(0));
    let (counter, retry_after) = (Arc::clone(&requests), retry_after.to_owned());
    // A date is read by the clock of its sender. The network of other hosts would add one of its own.
    let date = httpdate_of(world.now());
    let changed = middleware::from_fn(move |request: Request, next: Next| {
        let (counter, retry_after, date) = (Arc::clone(&counter), retry_after.clone(), date.clone());
        async move {
            if !request.uri().path().ends_with("/token") {
                return next.run(request).await;
            }
            counter.fetch_add(1, Ordering::SeqCst);
            let busy = Response::builder().status(StatusCode::TOO_MANY_REQUESTS).header("date", date);
            busy.header("retry-after", retry_after).body(Body::empty()).expect("a response")
        }
    });
    world.network.serve(PINGONE, world.pingone.router().layer(changed));
    requests
}

/// Lets PingOne's token endpoint never answer, and counts the requests.
fn tokens_hang(world: &World) -> Arc<AtomicU64> {
    let requests = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&requests);
    let hangs = middleware::from_fn(move |request: Request, next: Next| {
        let counter = Arc::clone(&counter);
        async move {
            if request.uri().path().ends_with("/token") {
                counter.fetch_add(1, Ordering::SeqCst);
                std::future::pending::<()>().await;
            }
            next.run(request).await
        }
    });
    world.network.serve(PINGONE, world.pingone.router().layer(hangs));
    requests
}

/// Lets PingOne publish what `change` makes of its keys.
fn keys_are(world: &World, change: fn(&mut Vec<Value>)) {
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
async fn token_that_seems_short_lived_is_used_and_refreshed_once() {
    let exp = World::new().now() + 3600 + 50;
    for failures in [
        vec![Failure::AccessTokenClaim("exp".into(), json!(exp))],
        vec![Failure::TokenMember("expires_in".into(), json!(0))],
        vec![Failure::TokenMember("expires_in".into(), json!(1))],
        vec![Failure::TokenMember("expires_in".into(), json!(60))],
    ] {
        let world = World::new();
        let tokens = about_to_expire(&world, 0).await;
        for failure in &failures {
            world.pingone.force_always(failure.clone());
        }
        assert!(works(&world, &tokens).await && works(&world, &tokens).await, "{failures:?}");
        assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.status, StatusCode::OK);
        assert_eq!(world.pingone.requests("refresh"), 1, "{failures:?}");
        world.host.advance(9);
        assert!(works(&world, &tokens).await, "{failures:?}");
        assert_eq!(world.pingone.requests("refresh"), 1, "{failures:?}");
    }
}

#[tokio::test]
async fn client_whose_refresh_brings_a_short_lived_token_costs_one_refresh() {
    let world = World::new();
    let tokens = about_to_expire(&world, 0).await;
    world.pingone.force_always(Failure::TokenMember("expires_in".into(), json!(1)));
    let refreshed = world.refresh(&tokens.client, &tokens.refresh).await;
    assert_eq!((refreshed.status, world.pingone.requests("refresh")), (StatusCode::OK, 1));
}

#[tokio::test]
async fn token_of_a_clock_that_is_a_day_behind_or_ahead_is_good() {
    for offset in [-86_400, 86_400] {
        let world = World::new();
        let tokens = about_to_expire(&world, 0).await;
        let issued = world.now().checked_add_signed(offset).expect("a time");
        for (name, value) in [("iat", issued), ("nbf", issued), ("exp", issued + 3600)] {
            world.pingone.force(Failure::AccessTokenClaim(name.into(), json!(value)));
        }
        // The simulated API is of another opinion, and refuses it where it is too old; PingOne is not asked again.
        assert_eq!(list(&world, &tokens.access).await.status, StatusCode::OK);
        world.host.advance(20);
        assert_eq!(list(&world, &tokens.access).await.status, StatusCode::OK);
        assert!(world.pingone.requests("refresh") <= 2, "once for its age, once for the API");
    }
}

#[tokio::test]
async fn refreshed_token_that_is_not_accepted_ends_nothing() {
    for (name, value) in [
        ("iss", json!("https://other.example/as")),
        ("aud", json!(["https://other.example"])),
        ("aud", Value::Null),
        ("client_id", json!("another")),
        ("sub", Value::Null),
        ("sub", json!("another")),
        ("exp", json!(1)),
        ("exp", Value::Null),
    ] {
        let world = World::new();
        let tokens = about_to_expire(&world, 0).await;
        world.pingone.force(Failure::AccessTokenClaim(name.into(), value.clone()));
        assert!(!works(&world, &tokens).await, "{name}: {value}");
        assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.status, StatusCode::OK);
        assert_eq!(world.pingone.requests("refresh"), 1, "and not tried at once");
        world.host.advance(10);
        // With the refresh token that PingOne has rotated to: it forgives no other.
        assert!(works(&world, &tokens).await, "{name}: {value}");
        assert_eq!(world.pingone.requests("revoke"), 0);
    }
}

#[tokio::test]
async fn refresh_response_without_a_usable_access_token_keeps_its_refresh_token() {
    for (name, value) in [
        ("access_token", Value::Null),
        ("access_token", json!("")),
        ("access_token", json!("opaque")),
        ("token_type", json!("mac")),
        ("token_type", Value::Null),
    ] {
        let world = World::new();
        let tokens = about_to_expire(&world, 0).await;
        world.pingone.force(Failure::TokenMember(name.into(), value.clone()));
        assert!(!works(&world, &tokens).await, "{name}: {value}");
        world.host.advance(10);
        assert!(works(&world, &tokens).await, "{name}: {value}");
    }
}

#[tokio::test]
async fn invalid_grant_that_is_not_an_oauth_error_ends_nothing() {
    for status in [403, 404, 500] {
        let world = World::new();
        let tokens = about_to_expire(&world, 0).await;
        world.pingone.force(Failure::Token(status, "{\"error\":\"invalid_grant\"}".into()));
        assert!(!works(&world, &tokens).await, "{status}");
        world.host.advance(10);
        assert!(works(&world, &tokens).await, "{status}");
    }
}

#[tokio::test]
async fn rotation_of_the_signing_key_costs_no_login() {
    let world = World::new();
    let all = join_all((0..8).map(|_| world.connected())).await;
    world.host.advance(3600 - 61);
    let refreshed = all.iter().map(|tokens| world.refresh(&tokens.client, &tokens.refresh));
    let answers = join_all(refreshed).await;
    let all: Vec<_> = answers.iter().zip(&all).map(|(answer, old)| Tokens::of(&old.client, answer)).collect();
    world.host.advance(61);
    world.pingone.rotate_keys();
    world.pingone.rotate_keys();
    world.pingone.drop_old_keys();
    let before = world.pingone.requests("jwks");
    let works = join_all(all.iter().map(|tokens| works(&world, tokens))).await;
    assert_eq!(works, [true; 8]);
    // The API has keys of its own to fetch.
    let fetched = world.pingone.requests("jwks") - before;
    assert!(fetched <= 4, "{fetched}");
}

#[tokio::test]
async fn keys_that_cannot_be_had_cost_no_login_and_few_refreshes() {
    let world = World::new();
    let tokens = about_to_expire(&world, 0).await;
    world.pingone.rotate_keys();
    world.pingone.rotate_keys();
    world.pingone.force_always(Failure::Jwks(503));
    for _ in 0..30 {
        assert!(!works(&world, &tokens).await);
        world.host.advance(1);
    }
    let refreshes = world.pingone.requests("refresh");
    assert!((2..=5).contains(&refreshes), "{refreshes} in half a minute");
    world.pingone.clear_failures();
    world.host.advance(90);
    assert!(works(&world, &tokens).await);
}

#[tokio::test]
async fn key_replaced_under_its_kid_is_found() {
    let world = World::new();
    let client = world.client().await;
    // Another key has the name of the one that will sign.
    keys_are(&world, |keys| {
        let (current, next) = (keys[0]["n"].clone(), keys[1]["n"].clone());
        (keys[0]["n"], keys[1]["n"]) = (next, current);
    });
    let page = world.log_in_to(&mut world.browser(), &client).await;
    assert_eq!(answer(&world, &page), "temporarily_unavailable", "it cannot be verified now");
    keys_are(&world, |_| {});
    world.host.advance(10);
    assert!(arrived(&world.log_in_to(&mut world.browser(), &client).await).is_some());
}

#[tokio::test]
async fn key_that_has_a_twin_or_stands_behind_many_is_found() {
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
        keys_are(&world, change);
        world.connected().await;
    }
}

#[tokio::test]
async fn empty_or_broken_key_set_is_not_kept() {
    let empty: fn(&mut Vec<Value>) = Vec::clear;
    let broken: fn(&mut Vec<Value>) = |keys| keys.iter_mut().for_each(|key| key["n"] = json!("x"));
    for change in [empty, broken] {
        let world = World::new();
        let client = world.client().await;
        keys_are(&world, change);
        let page = world.log_in_to(&mut world.browser(), &client).await;
        assert_eq!(answer(&world, &page), "temporarily_unavailable");
        keys_are(&world, |_| {});
        assert!(arrived(&world.log_in_to(&mut world.browser(), &client).await).is_some(), "at once");
        // Nor does it replace a good one.
        keys_are(&world, change);
        world.host.advance(3601);
        assert!(arrived(&world.log_in_to(&mut world.browser(), &client).await).is_some());
    }
}

#[tokio::test]
async fn discovery_and_keys_are_used_for_a_day_while_none_can_be_had() {
    let world = World::new();
    let client = world.client().await;
    world.connected().await;
    world.pingone.force_always(Failure::Discovery(503));
    world.pingone.force_always(Failure::Jwks(503));
    for (hours, works) in [(2, true), (20, true), (4, false)] {
        world.host.advance(hours * 3600);
        let page = world.log_in_to(&mut world.browser(), &client).await;
        assert_eq!(arrived(&page).is_some(), works, "{hours} hours later: {}", page.url);
    }
}

#[tokio::test]
async fn token_endpoint_that_fails_is_asked_once_in_each_pause() {
    for failure in [Failure::Token(503, String::new()), Failure::Token(500, String::new())] {
        let world = World::new();
        let tokens = about_to_expire(&world, 0).await;
        world.pingone.force_always(failure.clone());
        let answers = join_all((0..20).map(|_| works(&world, &tokens))).await;
        assert_eq!((answers, world.pingone.requests("refresh")), (vec![false; 20], 1), "{failure:?}");
        for _ in 0..30 {
            world.host.advance(1);
            works(&world, &tokens).await;
        }
        let refreshes = world.pingone.requests("refresh");
        assert!((3..=5).contains(&refreshes), "{failure:?}: {refreshes} in half a minute");
        world.pingone.clear_failures();
        world.host.advance(60);
        assert!(works(&world, &tokens).await, "{failure:?}");
    }
}

#[tokio::test]
async fn token_endpoint_that_fails_for_everybody_is_left_alone() {
    let world = World::new();
    let mut all = Vec::new();
    for _ in 0..8 {
        all.push(world.connected().await);
    }
    // From now on PingOne's tokens have expired; ours are taken anew.
    world.host.advance(3600);
    world.pingone.force_always(Failure::Token(500, String::new()));
    for tokens in &all {
        assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.status, StatusCode::OK);
    }
    assert_eq!(world.pingone.requests("refresh"), 5, "then this process waits for all of them");
}

#[tokio::test]
async fn retry_after_of_the_token_endpoint_is_kept_to() {
    for as_date in [false, true] {
        let world = World::new();
        let tokens = about_to_expire(&world, 0).await;
        let said = if as_date { httpdate_of(world.now() + 40) } else { "40".to_owned() };
        let requests = tokens_are_busy(&world, &said);
        for _ in 0..39 {
            assert!(!works(&world, &tokens).await);
            world.host.advance(1);
        }
        assert_eq!(requests.load(Ordering::SeqCst), 1, "{said}");
        world.host.advance(10);
        works(&world, &tokens).await;
        assert_eq!(requests.load(Ordering::SeqCst), 2, "{said}");
    }
}

#[tokio::test]
async fn clock_set_back_by_a_day_pauses_no_refresh_and_no_login() {
    let world = World::new();
    // Twice, to where it was right.
    world.host.advance(2 * 86_400);
    let client = world.client().await;
    world.pingone.force_always(Failure::Discovery(503));
    for _ in 0..4 {
        assert!(arrived(&world.log_in_to(&mut world.browser(), &client).await).is_none());
    }
    world.host.set_back(86_400);
    world.pingone.clear_failures();
    let tokens = about_to_expire(&world, 0).await;
    world.pingone.force_always(Failure::TokenRetryAfter(429, 120));
    assert!(!works(&world, &tokens).await);
    world.host.set_back(86_400);
    world.pingone.clear_failures();
    // The token seems to be good for a day; the API knows better.
    api(&world, StatusCode::UNAUTHORIZED, &[], String::new());
    list(&world, &tokens.access).await;
    assert_eq!(world.pingone.requests("refresh"), 2, "one was refused, and one is not held up by that");
}

#[tokio::test]
async fn refusal_of_one_users_refresh_holds_up_nobody_else() {
    let world = World::new();
    let (mut all, mut later) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        all.push(world.connected().await);
    }
    world.host.advance(3600);
    world.pingone.force_always(Failure::Token(400, "{\"error\":\"invalid_request\"}".into()));
    for tokens in &all {
        later.push(world.refresh(&tokens.client, &tokens.refresh).await.status);
    }
    assert_eq!((later, world.pingone.requests("refresh")), (vec![StatusCode::OK; 8], 8));
}

fn httpdate_of(seconds: u64) -> String {
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
}

#[tokio::test]
async fn token_that_is_good_is_used_at_once_while_pingone_hangs_or_a_process_died() {
    let world = World::new();
    let tokens = about_to_expire(&world, 30).await;
    let asked = tokens_hang(&world);
    assert_eq!(join_all((0..5).map(|_| works(&world, &tokens))).await, [true; 5]);
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(join_all((0..5).map(|_| works(&world, &tokens))).await, [true; 5]);
    // The process is gone; its lease is still there.
    world.start(&[]);
    world.network.serve(PINGONE, world.pingone.router());
    assert_eq!(join_all((0..5).map(|_| works(&world, &tokens))).await, [true; 5]);
    world.host.advance(61);
    assert!(works(&world, &tokens).await, "the lease has run out");
    assert_eq!((asked.load(Ordering::SeqCst), world.pingone.requests("refresh")), (1, 1));
}

#[tokio::test]
async fn bytes_that_are_no_token_response_end_nothing() {
    for body in ["", "<html>", "{", "[]", "null", "\u{0}"] {
        let world = World::new();
        let tokens = about_to_expire(&world, 0).await;
        world.pingone.force(Failure::Token(200, body.into()));
        assert!(!works(&world, &tokens).await, "{body}");
        world.host.advance(10);
        assert!(works(&world, &tokens).await, "{body}");
    }
}

#[tokio::test]
async fn refresh_token_that_pingone_is_too_busy_to_revoke_is_revoked_later() {
    let world = World::new();
    let tokens = world.connected().await;
    let left = Arc::new(AtomicU64::new(2));
    let busy = middleware::from_fn(move |request: Request, next: Next| {
        let left = Arc::clone(&left);
        async move {
            let revokes = request.uri().path().ends_with("/revoke");
            let busy = revokes
                && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
            if busy { StatusCode::SERVICE_UNAVAILABLE.into_response() } else { next.run(request).await }
        }
    });
    world.network.serve(PINGONE, world.pingone.router().layer(busy));
    let form = [("token", tokens.refresh.as_str()), ("client_id", &tokens.client)];
    assert_eq!(world.post_form("/revoke", &form).await.status, StatusCode::OK);
    world.revoked_at_pingone(1).await;
}
