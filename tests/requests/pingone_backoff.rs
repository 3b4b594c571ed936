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
    pingone_refresh::call_succeeds,
    world::{PINGONE, World, api_responds, code_at_client, list_todos, with_expiring_token},
};

/// Makes PingOne's token endpoint respond with `429`, and counts the requests.
fn busy_token_endpoint(world: &World, retry_after: &str) -> Arc<AtomicU64> {
    let requests = Arc::new(AtomicU64::new(0));
    let (counter, retry_after) = (Arc::clone(&requests), retry_after.to_owned());
    // Deputy reads `Retry-After` relative to `Date`. The network of other hosts would add its own `Date`.
    let date = http_date(world.now());
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
        let tokens = with_expiring_token(&world, 0).await;
        world.pingone.force_always(failure.clone());
        let responses = join_all((0..20).map(|_| call_succeeds(&world, &tokens))).await;
        assert_eq!((responses, world.pingone.requests("refresh")), (vec![false; 20], 1), "{failure:?}");
        for _ in 0..30 {
            world.host.advance(1);
            call_succeeds(&world, &tokens).await;
        }
        let refreshes = world.pingone.requests("refresh");
        assert!((3..=5).contains(&refreshes), "{failure:?}: {refreshes} in half a minute");
        world.pingone.clear_failures();
        world.host.advance(60);
        assert!(call_succeeds(&world, &tokens).await, "{failure:?}");
    }
}

#[tokio::test]
async fn token_endpoint_failing_for_all_grants_is_left_alone() {
    let world = World::new();
    let mut all = Vec::new();
    for _ in 0..8 {
        all.push(world.connected().await);
    }
    // PingOne's access tokens have expired now.
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
        let tokens = with_expiring_token(&world, 0).await;
        let said = if as_date { http_date(world.now() + 40) } else { "40".to_owned() };
        let requests = busy_token_endpoint(&world, &said);
        for _ in 0..39 {
            assert!(!call_succeeds(&world, &tokens).await);
            world.host.advance(1);
        }
        assert_eq!(requests.load(Ordering::SeqCst), 1, "{said}");
        world.host.advance(10);
        call_succeeds(&world, &tokens).await;
        assert_eq!(requests.load(Ordering::SeqCst), 2, "{said}");
    }
}

#[tokio::test]
async fn clock_set_back_by_a_day_delays_no_refresh_or_login() {
    let world = World::new();
    // The clock is two days ahead, and is then set back twice.
    world.host.advance(2 * 86_400);
    let client = world.client().await;
    world.pingone.force_always(Failure::Discovery(503));
    for _ in 0..4 {
        assert!(code_at_client(&world.log_in_to(&mut world.browser(), &client).await).is_none());
    }
    world.host.set_back(86_400);
    world.pingone.clear_failures();
    let tokens = with_expiring_token(&world, 0).await;
    world.pingone.force_always(Failure::TokenRetryAfter(429, 120));
    assert!(!call_succeeds(&world, &tokens).await);
    world.host.set_back(86_400);
    world.pingone.clear_failures();
    // The token seems valid for a day, but the API refuses it.
    api_responds(&world, StatusCode::UNAUTHORIZED, &[], String::new());
    list_todos(&world, &tokens.access).await;
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

fn http_date(seconds: u64) -> String {
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
}
