//! Refreshes of PingOne's tokens: when they happen, and responses that do not end a grant.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    extract::Request,
    middleware::{self, Next},
};
use futures_util::future::join_all;
use http::StatusCode;
use pingone_sim::Failure;
use serde_json::{Value, json};

use crate::world::{API, PINGONE, Tokens, World, list_todos, with_expiring_token};

#[tokio::test]
async fn expired_pingone_token_is_refreshed_before_use() {
    let world = World::new();
    let tokens = with_expiring_token(&world, 0).await;
    assert_eq!(list_todos(&world, &tokens.access).await.json()["result"]["isError"], json!(false));
    assert_eq!(list_todos(&world, &tokens.access).await.json()["result"]["isError"], json!(false));
    assert_eq!(world.pingone.requests("refresh"), 1);
}

#[tokio::test]
async fn concurrent_calls_refresh_once() {
    for left in [30, 0] {
        let world = World::new();
        let tokens = with_expiring_token(&world, left).await;
        let responses = join_all((0..30).map(|_| list_todos(&world, &tokens.access))).await;
        for response in responses {
            assert_eq!(response.json()["result"]["isError"], json!(false), "{left}: {}", response.text);
        }
        world.wait_for_pingone_requests("refresh", 1).await;
    }
}

#[tokio::test]
async fn refreshed_token_of_another_subject_is_not_used() {
    let world = World::new();
    let tokens = with_expiring_token(&world, 0).await;
    world.pingone.force(Failure::AccessTokenClaim("sub".into(), json!("mallory")));
    let refused = list_todos(&world, &tokens.access).await.json();
    assert_eq!((&refused["result"]["isError"], world.requests_to(API, "")), (&json!(true), 0));
    // The administrator reverts the mapping of `sub`.
    world.host.advance(10);
    assert_eq!(list_todos(&world, &tokens.access).await.json()["result"]["isError"], json!(false));
}

/// Whether a tool call gets a response of the API. Its grant must be live.
pub(crate) async fn call_succeeds(world: &World, tokens: &Tokens) -> bool {
    let response = list_todos(world, &tokens.access).await;
    assert_eq!(response.status, StatusCode::OK, "the login is over: {}", response.text);
    response.json()["result"]["isError"] == json!(false)
}

/// Makes PingOne's token endpoint hang, and counts the requests.
fn hang_token_endpoint(world: &World) -> Arc<AtomicU64> {
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

#[tokio::test]
async fn short_lived_access_token_is_used_and_refreshed_once() {
    let exp = World::new().now() + 3600 + 50;
    for failures in [
        vec![Failure::AccessTokenClaim("exp".into(), json!(exp))],
        vec![Failure::TokenMember("expires_in".into(), json!(0))],
        vec![Failure::TokenMember("expires_in".into(), json!(1))],
        vec![Failure::TokenMember("expires_in".into(), json!(60))],
    ] {
        let world = World::new();
        let tokens = with_expiring_token(&world, 0).await;
        for failure in &failures {
            world.pingone.force_always(failure.clone());
        }
        assert!(call_succeeds(&world, &tokens).await && call_succeeds(&world, &tokens).await, "{failures:?}");
        assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.status, StatusCode::OK);
        assert_eq!(world.pingone.requests("refresh"), 1, "{failures:?}");
        world.host.advance(9);
        assert!(call_succeeds(&world, &tokens).await, "{failures:?}");
        assert_eq!(world.pingone.requests("refresh"), 1, "{failures:?}");
    }
}

#[tokio::test]
async fn client_refresh_with_short_lived_token_asks_pingone_once() {
    let world = World::new();
    let tokens = with_expiring_token(&world, 0).await;
    world.pingone.force_always(Failure::TokenMember("expires_in".into(), json!(1)));
    let refreshed = world.refresh(&tokens.client, &tokens.refresh).await;
    assert_eq!((refreshed.status, world.pingone.requests("refresh")), (StatusCode::OK, 1));
}

#[tokio::test]
async fn access_token_of_a_clock_one_day_off_is_accepted() {
    for offset in [-86_400, 86_400] {
        let world = World::new();
        let tokens = with_expiring_token(&world, 0).await;
        let issued = world.now().checked_add_signed(offset).expect("a time");
        for (name, value) in [("iat", issued), ("nbf", issued), ("exp", issued + 3600)] {
            world.pingone.force(Failure::AccessTokenClaim(name.into(), json!(value)));
        }
        // The simulated API refuses the token if it is too old. Deputy does not refresh again.
        assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK);
        world.host.advance(20);
        assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK);
        assert!(world.pingone.requests("refresh") <= 2, "once for its age, once for the API");
    }
}

#[tokio::test]
async fn rejected_refreshed_token_keeps_the_grant() {
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
        let tokens = with_expiring_token(&world, 0).await;
        world.pingone.force(Failure::AccessTokenClaim(name.into(), value.clone()));
        assert!(!call_succeeds(&world, &tokens).await, "{name}: {value}");
        assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.status, StatusCode::OK);
        assert_eq!(world.pingone.requests("refresh"), 1, "and not tried at once");
        world.host.advance(10);
        // Deputy must use the rotated refresh token: PingOne accepts no other.
        assert!(call_succeeds(&world, &tokens).await, "{name}: {value}");
        assert_eq!(world.pingone.requests("revoke"), 0);
    }
}

#[tokio::test]
async fn refresh_response_without_access_token_keeps_refresh_token() {
    for (name, value) in [
        ("access_token", Value::Null),
        ("access_token", json!("")),
        ("access_token", json!("opaque")),
        ("token_type", json!("mac")),
        ("token_type", Value::Null),
    ] {
        let world = World::new();
        let tokens = with_expiring_token(&world, 0).await;
        world.pingone.force(Failure::TokenMember(name.into(), value.clone()));
        assert!(!call_succeeds(&world, &tokens).await, "{name}: {value}");
        world.host.advance(10);
        assert!(call_succeeds(&world, &tokens).await, "{name}: {value}");
    }
}

#[tokio::test]
async fn invalid_grant_with_another_status_keeps_the_grant() {
    for status in [403, 404, 500] {
        let world = World::new();
        let tokens = with_expiring_token(&world, 0).await;
        world.pingone.force(Failure::Token(status, "{\"error\":\"invalid_grant\"}".into()));
        assert!(!call_succeeds(&world, &tokens).await, "{status}");
        world.host.advance(10);
        assert!(call_succeeds(&world, &tokens).await, "{status}");
    }
}

#[tokio::test]
async fn usable_token_is_used_at_once_while_a_refresh_hangs() {
    let world = World::new();
    let tokens = with_expiring_token(&world, 30).await;
    let asked = hang_token_endpoint(&world);
    assert_eq!(join_all((0..5).map(|_| call_succeeds(&world, &tokens))).await, [true; 5]);
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(join_all((0..5).map(|_| call_succeeds(&world, &tokens))).await, [true; 5]);
    // The process has ended, and its lease is still stored.
    world.start(&[]);
    world.network.serve(PINGONE, world.pingone.router());
    assert_eq!(join_all((0..5).map(|_| call_succeeds(&world, &tokens))).await, [true; 5]);
    world.host.advance(61);
    assert!(call_succeeds(&world, &tokens).await, "the lease has run out");
    assert_eq!((asked.load(Ordering::SeqCst), world.pingone.requests("refresh")), (1, 1));
}

#[tokio::test]
async fn garbage_refresh_response_keeps_the_grant() {
    for body in ["", "<html>", "{", "[]", "null", "\u{0}"] {
        let world = World::new();
        let tokens = with_expiring_token(&world, 0).await;
        world.pingone.force(Failure::Token(200, body.into()));
        assert!(!call_succeeds(&world, &tokens).await, "{body}");
        world.host.advance(10);
        assert!(call_succeeds(&world, &tokens).await, "{body}");
    }
}
