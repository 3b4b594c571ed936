//! Failures of PingOne during a login, and the logins after them.

use std::io;

use axum::{
    body::Body,
    extract::Request,
    middleware::{self, Next},
    response::Response,
};
use bytes::Bytes;
use http::StatusCode;
use pingone_sim::Failure;
use serde_json::{Value, json};

use crate::{
    world::{DEPUTY, PINGONE, Tokens, World, code_at_client},
    world::{error_at_client, finished_at_pingone, login_error},
};

/// An invalid response of PingOne.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Closed,
    Empty,
    Error,
    Large,
    NoJson,
}

const FAULTS: [Fault; 5] = [Fault::Closed, Fault::Empty, Fault::Error, Fault::Large, Fault::NoJson];

impl Fault {
    fn response(self) -> Response {
        let (status, body) = match self {
            Self::Closed => {
                let closed = Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset));
                (StatusCode::OK, Body::from_stream(futures_util::stream::iter([closed])))
            }
            Self::Empty => (StatusCode::OK, Body::empty()),
            Self::Error => (StatusCode::INTERNAL_SERVER_ERROR, Body::from("{}")),
            Self::Large => (StatusCode::OK, Body::from(" ".repeat(1024 * 1024))),
            Self::NoJson => (StatusCode::OK, Body::from("{\"issuer\":\"https://auth")),
        };
        let response = Response::builder().status(status).header("content-type", "application/json");
        response.body(body).expect("a response")
    }
}

/// Makes PingOne send this fault at URLs whose path ends with `path`.
fn break_pingone(world: &World, path: &'static str, fault: Fault) {
    let broken = middleware::from_fn(move |request: Request, next: Next| async move {
        if request.uri().path().ends_with(path) { fault.response() } else { next.run(request).await }
    });
    world.network.serve(PINGONE, world.pingone.router().layer(broken));
}

/// Ends the fault, and checks that the next login succeeds and that no response of Deputy was a `5xx`.
async fn repair_pingone(world: &World, client: &str) {
    world.network.serve(PINGONE, world.pingone.router());
    let code = world.code(client).await;
    assert_eq!(world.redeem(client, &code).await.status, StatusCode::OK);
    assert!(world.network.exchanges().iter().all(|exchange| {
        !exchange.request.uri().to_string().starts_with(DEPUTY)
            || !exchange.response.status().is_server_error()
    }));
}

#[tokio::test]
async fn pingone_failure_is_reported_and_the_next_login_works() {
    for path in ["/openid-configuration", "/token", "/jwks"] {
        for fault in FAULTS {
            let world = World::new();
            let client = world.client().await;
            break_pingone(&world, path, fault);
            let page = world.log_in_to(&mut world.browser(), &client).await;
            // A malformed token response has probably consumed the code, so a retry is not suggested.
            let final_ = path == "/token" && matches!(fault, Fault::Empty | Fault::NoJson);
            let error = if final_ { "server_error" } else { "temporarily_unavailable" };
            assert_eq!(error_at_client(&world, &page), error, "{path} {fault:?}");
            repair_pingone(&world, &client).await;
        }
    }
}

#[tokio::test]
async fn failing_userinfo_keeps_the_login() {
    for fault in FAULTS {
        let world = World::new();
        let client = world.client().await;
        break_pingone(&world, "/userinfo", fault);
        let code = world.code(&client).await;
        assert_eq!(world.pingone.requests("userinfo"), 0, "the fault was met");
        let tokens = Tokens::of(&client, &world.redeem(&client, &code).await);
        let me = world.call(&tokens.access, "who_am_i", json!({})).await;
        assert!(me.text.contains("Alice Anders"), "from the ID token: {}", me.text);
        repair_pingone(&world, &client).await;
    }
}

#[tokio::test]
async fn unreachable_pingone_at_the_callback_is_reported() {
    for known in [false, true] {
        let world = World::new();
        let client = world.client().await;
        let mut browser = world.browser();
        let callback = finished_at_pingone(&world, &mut browser, &client).await;
        if known {
            // Another login makes Deputy cache the discovery document.
            let mut other = world.browser();
            let page = other.open(&world.authorize_url(&client, &[])).await;
            other.submit(&page, &[], "approve").await;
        }
        world.network.unplug(PINGONE);
        let page = browser.open(callback.as_str()).await;
        assert_eq!(error_at_client(&world, &page), "temporarily_unavailable");
        repair_pingone(&world, &client).await;
    }
}

#[tokio::test]
async fn invalid_token_response_fails_the_login() {
    for (failure, error) in [
        (Failure::TokenMember("access_token".into(), Value::Null), "server_error"),
        (Failure::TokenMember("token_type".into(), json!("mac")), "server_error"),
        (Failure::Token(200, "<html>".into()), "server_error"),
        (Failure::Token(200, "{\"access_token\":\"x".into()), "server_error"),
        (Failure::Token(400, "{\"error\":\"invalid_grant\"}".into()), "server_error"),
        (Failure::Token(401, "{\"error\":\"invalid_client\"}".into()), "server_error"),
        (Failure::Token(302, String::new()), "server_error"),
        (Failure::Token(429, String::new()), "temporarily_unavailable"),
        (Failure::Token(500, "secret stack trace".into()), "temporarily_unavailable"),
        (Failure::Token(503, String::new()), "temporarily_unavailable"),
        (Failure::TokenBytes(1024 * 1024), "temporarily_unavailable"),
    ] {
        assert_eq!(login_error(failure.clone()).await, error, "{failure:?}");
    }
}

#[tokio::test]
async fn failed_discovery_or_keys_are_reported_and_not_cached() {
    for (failure, error) in [
        (Failure::Discovery(500), "temporarily_unavailable"),
        (Failure::DiscoveryIssuer("https://evil.example/as".into()), "server_error"),
        (Failure::Jwks(500), "temporarily_unavailable"),
    ] {
        let world = World::new();
        world.pingone.force(failure.clone());
        let client = world.client().await;
        let page = world.log_in_to(&mut world.browser(), &client).await;
        assert_eq!(error_at_client(&world, &page), error, "{failure:?}");
        assert!(
            code_at_client(&world.log_in_to(&mut world.browser(), &client).await).is_some(),
            "{failure:?}: and then it works"
        );
    }
}

#[tokio::test]
async fn userinfo_of_another_subject_fails_the_login() {
    assert_eq!(login_error(Failure::UserInfoSub("mallory".into())).await, "server_error");
}

#[tokio::test]
async fn invalid_userinfo_keeps_the_login_and_its_name() {
    for failure in [
        Failure::UserInfo(500, String::new()),
        Failure::UserInfo(200, "<html>".into()),
        Failure::UserInfo(200, "{\"name\":\"Mallory\"}".into()),
        Failure::UserInfo(200, "{\"sub\":null,\"name\":\"Mallory\"}".into()),
        Failure::UserInfoRedirect("https://evil.example/".into()),
    ] {
        let world = World::new();
        world.pingone.force(failure);
        let tokens = world.connected().await;
        let me = world.call(&tokens.access, "who_am_i", json!({})).await;
        assert!(me.text.contains("Alice Anders"), "from the ID token: {}", me.text);
        assert_eq!(world.requests_to("https://evil.example", ""), 0);
    }
}
