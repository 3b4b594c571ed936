//! Pauses between refreshes while PingOne fails or is busy.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    body::Body,
    extract::Request,
    middleware::{self, Next},
    response::Response,
};
use futures_util::future::join_all;
use http::StatusCode;
use pingone_sim::Failure;

use crate::{
    pingone_refresh::works,
    world::{PINGONE, World, about_to_expire, api, arrived, list},
};

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

#[tokio::test]
async fn failing_token_endpoint_is_asked_once_per_pause() {
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
async fn token_endpoint_failing_for_all_grants_is_left_alone() {
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
async fn retry_after_of_the_token_endpoint_is_respected() {
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
async fn clock_set_back_by_a_day_delays_no_refresh_or_login() {
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
async fn refused_refresh_of_one_user_does_not_delay_others() {
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
