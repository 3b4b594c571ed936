use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    routing::any,
};
use futures_util::future::join_all;
use http::{Response, StatusCode};
use pingone_sim::Failure;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::world::{API, Answer, PINGONE, Tokens, World};

const HOUR: u64 = 3600;

pub(crate) async fn list(world: &World, token: &str) -> Answer {
    world.call(token, "get_my_todo_list", json!({})).await
}

/// A fresh access token of ours while PingOne's is `left` seconds from its end.
pub(crate) async fn about_to_expire(world: &World, left: u64) -> Tokens {
    let tokens = world.connected().await;
    world.host.advance(HOUR - 61);
    let tokens = Tokens::of(&tokens.client, &world.refresh(&tokens.client, &tokens.refresh).await);
    world.host.advance(61 - left);
    tokens
}

#[tokio::test]
async fn the_api_gets_the_persons_token_and_nothing_of_the_clients() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let call =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_my_todo_list"}});
    let headers = [
        ("content-type", "application/json"),
        ("authorization", bearer.as_str()),
        ("cookie", "a=b"),
        ("x-api-key", "k"),
    ];
    assert_eq!(world.request("POST", "/mcp", &headers, &call.to_string()).await.status, StatusCode::OK);
    let exchanges = world.network.exchanges();
    let sent = &exchanges.iter().find(|e| e.request.uri().path() == "/api/todos").unwrap().request;
    let authorization: Vec<_> = sent.headers().get_all("authorization").iter().collect();
    assert_eq!(authorization.len(), 1);
    assert!(authorization[0].as_bytes().starts_with(b"Bearer eyJ"));
    assert!(!sent.headers().contains_key("cookie") && !sent.headers().contains_key("x-api-key"));
}

#[tokio::test]
async fn an_expiring_token_is_renewed_before_it_is_used() {
    let world = World::new();
    let tokens = about_to_expire(&world, 0).await;
    assert_eq!(list(&world, &tokens.access).await.json()["result"]["isError"], json!(false));
    assert_eq!(list(&world, &tokens.access).await.json()["result"]["isError"], json!(false));
    assert_eq!(world.pingone.requests("refresh"), 1);
}

#[tokio::test]
async fn many_calls_at_once_renew_once() {
    for left in [30, 0] {
        let world = World::new();
        let tokens = about_to_expire(&world, left).await;
        let answers = join_all((0..30).map(|_| list(&world, &tokens.access))).await;
        for answer in answers {
            assert_eq!(answer.json()["result"]["isError"], json!(false), "{left}: {}", answer.text);
        }
        world.asked_of_pingone("refresh", 1).await;
    }
}

#[tokio::test]
async fn a_login_that_pingone_has_ended_is_ended_here() {
    let world = World::new();
    let tokens = about_to_expire(&world, 0).await;
    world.pingone.end_sessions();
    let response = list(&world, &tokens.access).await;
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
    assert!(response.header("www-authenticate").contains("invalid_token"));
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn a_client_that_refreshes_after_pingone_ended_the_login_is_told_so() {
    let world = World::new();
    let tokens = world.connected().await;
    world.host.advance(HOUR);
    world.pingone.end_sessions();
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn trouble_at_pingone_ends_nothing() {
    let world = World::new();
    let tokens = about_to_expire(&world, 30).await;
    world.pingone.force_always(Failure::Token(503, String::new()));
    assert_eq!(
        list(&world, &tokens.access).await.status,
        StatusCode::OK,
        "the token is good for half a minute"
    );
    world.host.advance(30);
    let failed = list(&world, &tokens.access).await;
    assert_eq!((failed.status, &failed.json()["result"]["isError"]), (StatusCode::OK, &json!(true)));
    let refreshed = world.refresh(&tokens.client, &tokens.refresh).await;
    assert_eq!(refreshed.status, StatusCode::OK, "a client's session does not depend on it");
    world.pingone.clear_failures();
    world.host.advance(30);
    assert_eq!(list(&world, &tokens.access).await.json()["result"]["isError"], json!(false));
}

#[tokio::test]
async fn a_new_secret_of_our_own_client_at_pingone_logs_nobody_out() {
    let world = World::new();
    let tokens = about_to_expire(&world, 30).await;
    world.pingone.configure(|pingone| pingone.client_secret = Some("a new one".to_owned()));
    world.host.advance(30);
    // Until the operator enters it here, PingOne does not know us, which says nothing of the person.
    let refused = list(&world, &tokens.access).await;
    assert_eq!((refused.status, &refused.json()["result"]["isError"]), (StatusCode::OK, &json!(true)));
    world.start(&[("MCP_SERVER_CLIENT_SECRET", "a new one")]);
    world.host.advance(10);
    assert_eq!(list(&world, &tokens.access).await.json()["result"]["isError"], json!(false));
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_rotated_refresh_token_is_kept_even_when_the_keys_cannot_be_had() {
    let world = World::new();
    let tokens = about_to_expire(&world, 0).await;
    // Twice: the next key is published before it is used.
    world.pingone.rotate_keys();
    world.pingone.rotate_keys();
    world.pingone.force_always(Failure::Jwks(500));
    let unverified = list(&world, &tokens.access).await;
    assert_eq!((unverified.status, world.requests_to(API, "")), (StatusCode::OK, 0), "{}", unverified.text);
    assert!(unverified.text.contains("cannot renew"), "{}", unverified.text);
    world.pingone.clear_failures();
    world.host.advance(10);
    let answer = list(&world, &tokens.access).await;
    assert_eq!(answer.json()["result"]["isError"], json!(false), "nobody logs in again: {}", answer.text);
    assert_eq!(world.pingone.requests("refresh"), 2);
}

#[tokio::test]
async fn without_a_refresh_token_our_tokens_live_as_long_as_pingones() {
    let world = World::new();
    world.pingone.force(Failure::TokenMember("refresh_token".into(), json!(null)));
    world.pingone.force(Failure::TokenMember("expires_in".into(), json!(120)));
    let tokens = world.connected().await;
    assert_eq!(tokens.answer["expires_in"], 120);
    world.host.advance(119);
    assert_eq!(list(&world, &tokens.access).await.status, StatusCode::OK);
    world.host.advance(1);
    assert_eq!(list(&world, &tokens.access).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn token_for_another_subject_is_not_used_and_ends_nothing() {
    let world = World::new();
    let tokens = about_to_expire(&world, 0).await;
    world.pingone.force(Failure::AccessTokenClaim("sub".into(), json!("mallory")));
    let refused = list(&world, &tokens.access).await.json();
    assert_eq!((&refused["result"]["isError"], world.requests_to(API, "")), (&json!(true), 0));
    // An administrator who has mapped sub otherwise takes it back.
    world.host.advance(10);
    assert_eq!(list(&world, &tokens.access).await.json()["result"]["isError"], json!(false));
}

#[tokio::test]
async fn a_grant_that_is_revoked_while_pingone_renews_its_tokens_leaves_none_of_them() {
    let world = World::new();
    let tokens = about_to_expire(&world, 30).await;
    let (arrived, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let both = (Arc::clone(&arrived), Arc::clone(&gate));
    let delay = async |State((arrived, gate)): State<(Arc<Semaphore>, Arc<Semaphore>)>,
                       request: Request,
                       next: Next| {
        let renews = request.uri().path().ends_with("/token");
        let response = next.run(request).await;
        if renews {
            arrived.add_permits(1);
            let _ = gate.acquire().await;
        }
        response
    };
    let slow = world.pingone.router().layer(from_fn_with_state(both, delay));
    world.network.serve(PINGONE, slow);
    let revoke = async {
        let _ = arrived.acquire().await;
        let form = [("token", tokens.refresh.as_str()), ("client_id", &tokens.client)];
        assert_eq!(world.post_form("/revoke", &form).await.status, StatusCode::OK);
        // The one that PingOne has replaced.
        world.revoked_at_pingone(1).await;
        gate.add_permits(100);
    };
    let (answer, ()) = tokio::join!(list(&world, &tokens.access), revoke);
    // The token was still good when the call began.
    assert!([StatusCode::OK, StatusCode::UNAUTHORIZED].contains(&answer.status), "{}", answer.text);
    world.revoked_at_pingone(2).await;
    assert_eq!(list(&world, &tokens.access).await.status, StatusCode::UNAUTHORIZED);
}

/// An API that answers everything like this.
pub(crate) fn api(
    world: &World,
    status: StatusCode,
    headers: &'static [(&'static str, &'static str)],
    body: String,
) {
    let answer = move || {
        let body = body.clone();
        async move {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            response.body(Body::from(body)).unwrap()
        }
    };
    world.network.serve(API, Router::new().fallback(any(answer)));
}

#[tokio::test]
async fn api_that_refuses_every_token_for_a_minute_ends_no_login() {
    let world = World::new();
    let tokens = world.connected().await;
    api(&world, StatusCode::UNAUTHORIZED, &[], String::new());
    let asked = || (world.requests_to(API, "/api/todos"), world.pingone.requests("refresh"));
    for (seconds, expected) in [(0, (2, 1)), (1, (3, 1)), (25, (4, 1)), (60, (6, 2)), (1, (7, 2))] {
        world.host.advance(seconds);
        let answer = list(&world, &tokens.access).await;
        assert_eq!((answer.status, asked()), (StatusCode::OK, expected), "{}", answer.text);
        assert!(answer.text.contains("The API refuses the person's login"), "{}", answer.text);
    }
    let well = crate::api::router(&world.config.issuer(), API, &world.host, &world.network);
    world.network.serve(API, well);
    assert_eq!(list(&world, &tokens.access).await.json()["result"]["isError"], json!(false));
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.status, StatusCode::OK);
    assert_eq!(world.pingone.requests("revoke"), 0);
}

#[tokio::test]
async fn refresh_for_the_api_that_pingone_refuses_ends_the_login() {
    let world = World::new();
    let tokens = world.connected().await;
    api(&world, StatusCode::UNAUTHORIZED, &[], String::new());
    world.pingone.end_sessions();
    assert_eq!(list(&world, &tokens.access).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn scope_that_the_api_misses_is_named_and_no_token_refreshed() {
    let world = World::new();
    let tokens = world.connected().await;
    let challenge =
        &[("www-authenticate", "Bearer error=\"insufficient_scope\", scope=\"todo:read todo:admin\"")];
    for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
        api(&world, status, challenge, String::new());
        let answer = list(&world, &tokens.access).await;
        assert_eq!(answer.json()["result"]["isError"], json!(true), "{status}");
        assert!(answer.text.contains("needs the scope todo:read todo:admin"), "{}", answer.text);
    }
    assert_eq!((world.requests_to(API, ""), world.pingone.requests("refresh")), (2, 0));
}

#[tokio::test]
async fn busy_api_is_asked_once_and_says_when_to_try_again() {
    let world = World::new();
    let token = world.connected().await.access;
    for headers in [
        &[("retry-after", "7")],
        &[("ratelimit", "\"default\";r=0;t=7")],
        &[("ratelimit", "limit=10, remaining=0, reset=7")],
        &[("x-ratelimit-reset", "7")],
    ] {
        for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
            api(&world, status, headers, String::new());
            let before = world.requests_to(API, "");
            let answer = list(&world, &token).await;
            assert_eq!(answer.json()["result"]["isError"], json!(true), "{headers:?}");
            assert!(answer.text.contains("Try again in 7 seconds"), "{headers:?}: {}", answer.text);
            assert_eq!(world.requests_to(API, "") - before, 1, "{headers:?}");
        }
    }
}

#[tokio::test]
async fn whatever_the_api_answers_becomes_a_short_tool_error() {
    let world = World::new();
    let tokens = world.connected().await;
    let echo = "Authorization: Bearer eyJcanary at /srv/api.js:17".to_owned();
    for (status, body) in [
        (StatusCode::FORBIDDEN, echo.clone()),
        (StatusCode::NOT_FOUND, echo.clone()),
        (StatusCode::INTERNAL_SERVER_ERROR, echo.clone()),
        (StatusCode::SERVICE_UNAVAILABLE, echo.clone()),
        (StatusCode::OK, "<html>".into()),
        (StatusCode::OK, "{\"todos\":".into()),
        (StatusCode::OK, String::new()),
        (StatusCode::OK, "x".repeat(5 * 1024 * 1024)),
    ] {
        api(&world, status, &[], body);
        let answer = list(&world, &tokens.access).await;
        assert_eq!(
            (answer.status, &answer.json()["result"]["isError"]),
            (StatusCode::OK, &json!(true)),
            "{status}"
        );
        assert!(!answer.text.contains("canary") && !answer.text.contains("api.js"), "{}", answer.text);
    }
    world.network.unplug(API);
    assert_eq!(list(&world, &tokens.access).await.json()["result"]["isError"], json!(true));
}

#[tokio::test]
async fn whatever_goes_wrong_the_api_is_called_once_and_the_next_call_is_fine() {
    let world = World::new();
    let token = world.connected().await.access;
    for (status, body) in [
        (StatusCode::FORBIDDEN, "{}"),
        (StatusCode::NOT_FOUND, "{}"),
        (StatusCode::CONFLICT, "{}"),
        (StatusCode::TOO_MANY_REQUESTS, ""),
        (StatusCode::INTERNAL_SERVER_ERROR, "Error: at /srv/api.js:17"),
        (StatusCode::SERVICE_UNAVAILABLE, ""),
        (StatusCode::OK, "<html>"),
        (StatusCode::OK, "{\"todos\":"),
        (StatusCode::OK, "{\"todos\":[7]}"),
        (StatusCode::OK, ""),
        (StatusCode::NO_CONTENT, ""),
    ] {
        api(&world, status, &[], body.into());
        for (tool, arguments) in
            [("get_my_todo_list", json!({})), ("create_new_todo", json!({ "text": "x" }))]
        {
            let before = world.requests_to(API, "");
            let answer = world.call(&token, tool, arguments).await;
            let told = (answer.status, answer.json()["result"]["isError"].clone());
            assert_eq!(told, (StatusCode::OK, json!(true)), "{tool}: {status} {body}");
            assert_eq!(world.requests_to(API, "") - before, 1, "{tool}: {status} {body}");
        }
        world
            .network
            .serve(API, crate::api::router(&world.config.issuer(), API, &world.host, &world.network));
        assert_eq!(list(&world, &token).await.json()["result"]["isError"], json!(false), "{status} {body}");
    }
}

#[tokio::test]
async fn a_long_list_is_answered_whole() {
    let world = World::new();
    let token = world.connected().await.access;
    let todo =
        |number: usize| json!({ "id": number.to_string(), "text": "x".repeat(2000), "completed": false });
    let todos: Vec<_> = (0..800).map(todo).collect();
    api(&world, StatusCode::OK, &[], json!({ "todos": todos }).to_string());
    let answer = list(&world, &token).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["result"]["structuredContent"]["todos"], json!(todos));
}

#[tokio::test]
async fn a_text_beyond_all_bounds_does_not_reach_the_api() {
    let world = World::new();
    let token = world.connected().await.access;
    for length in [2001, 2 * 1024 * 1024] {
        let answer = world.call(&token, "create_new_todo", json!({ "text": "x".repeat(length) })).await;
        let told = (answer.status, answer.json()["result"]["isError"].clone());
        assert_eq!(told, (StatusCode::OK, json!(true)), "{length}: {}", answer.text);
        assert!(answer.text.len() < 1000, "{length}");
    }
    assert_eq!(world.requests_to(API, ""), 0);
}

#[tokio::test]
async fn without_pingone_whoever_is_connected_stays_so_and_the_documents_are_there() {
    let world = World::new();
    let tokens = world.connected().await;
    // The API has keys of its own to fetch.
    list(&world, &tokens.access).await;
    world.network.unplug(PINGONE);
    for path in ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server"] {
        assert_eq!(world.get(path).await.status, StatusCode::OK, "{path}");
    }
    let challenged = world.mcp(None, &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })).await;
    assert_eq!(challenged.status, StatusCode::UNAUTHORIZED);
    assert!(challenged.header("www-authenticate").starts_with("Bearer resource_metadata="));
    let added = world.call(&tokens.access, "create_new_todo", json!({ "text": "x" })).await.json();
    assert_eq!(added["result"]["isError"], json!(false), "{added}");
    let refreshed = Tokens::of(&tokens.client, &world.refresh(&tokens.client, &tokens.refresh).await);
    let listed = list(&world, &refreshed.access).await.json();
    assert_eq!(listed["result"]["structuredContent"], added["result"]["structuredContent"]);
}

#[tokio::test]
async fn a_redirect_of_the_api_is_not_followed() {
    let world = World::new();
    let tokens = world.connected().await;
    api(&world, StatusCode::FOUND, &[("location", "https://evil.example/")], String::new());
    assert_eq!(list(&world, &tokens.access).await.json()["result"]["isError"], json!(true));
    assert_eq!(world.requests_to("https://evil.example", ""), 0);
}
