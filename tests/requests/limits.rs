//! Rate limits of remote addresses, limits of one user, and guessing.

use std::sync::Arc;

use axum::Router;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use http::StatusCode;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::world::{ADMIN_TOKEN, API, CALLBACK, Response, World};

/// More requests than any default limit of a minute, except that of `/token`.
const MANY: usize = 200;

/// More requests than the largest limit allows in two minutes: a minute of the clock may end during the test.
const TWO_MINUTES: usize = 2 * 600 + 1;

/// The number of concurrent requests, so that slow responses reach the limit in time.
const AT_ONCE: usize = 20;

/// The number of concurrent requests that one user may have.
const AT_A_TIME: usize = 64;

/// The headers of a `fetch` in the mode `no-cors` by a page of another site.
const CROSS_SITE_FETCH: [(&str, &str); 3] =
    [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "empty")];

/// Sends a request from the address of `world`, with additional headers.
async fn send_from_address(world: &World, request: (&str, &str, &str), more: &[(&str, &str)]) -> Response {
    let (method, path, body) = request;
    let media_type =
        if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" };
    let own = [("x-test-address", world.address.as_str()), ("content-type", media_type)];
    world.request(method, path, &[&own, more].concat(), body).await
}

/// Repeats `request` from one address until it is refused, and returns the refusal.
async fn first_refusal(world: &World, request: (&str, &str, &str)) -> Response {
    first_refusal_with(world, request, &[]).await
}

async fn first_refusal_with(world: &World, request: (&str, &str, &str), more: &[(&str, &str)]) -> Response {
    for _ in 0..TWO_MINUTES.div_ceil(AT_ONCE) {
        let requests = (0..AT_ONCE).map(|_| send_from_address(world, request, more));
        for response in futures_util::future::join_all(requests).await {
            if response.status == StatusCode::TOO_MANY_REQUESTS {
                return response;
            }
            assert!(response.status.as_u16() < 500, "{}", response.text);
        }
    }
    panic!("{TWO_MINUTES} requests to {} were admitted", request.1);
}

fn registration() -> String {
    json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none" }).to_string()
}

#[tokio::test]
async fn registrations_over_the_rate_limit_get_retry_after() {
    let world = World::new();
    let old = world.client().await;
    let response = first_refusal(&world, ("POST", "/register", &registration())).await;
    assert_eq!(response.json()["error"], "temporarily_unavailable");
    let wait: u64 = response.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    // Other addresses and registered clients are not affected.
    world.client().await;
    let page = world.get(&world.authorize_path(&old, &[])).await;
    assert_eq!(page.status, StatusCode::OK);
}

#[tokio::test]
async fn guesses_of_the_admin_token_over_the_rate_limit_are_refused() {
    let world = World::with(&[("ADMIN_TOKEN", ADMIN_TOKEN)]);
    let response = first_refusal(&world, ("GET", "/admin/v1/grants", "")).await;
    assert_ne!(response.header("retry-after"), "");
}

#[tokio::test]
async fn sign_ins_over_the_rate_limit_get_a_page() {
    let world = World::new();
    let response = first_refusal(&world, ("POST", "/agents", "action=sign-in")).await;
    assert!(response.text.contains("Too many requests"), "{}", response.text);
}

#[tokio::test]
async fn authorization_requests_over_the_rate_limit_get_a_page() {
    let world = World::new();
    let path = world.authorize_path(&world.client().await, &[]);
    let response = first_refusal(&world, ("GET", &path, "")).await;
    assert!(response.text.contains("Too many requests"), "{}", response.text);
    assert!(!response.header("retry-after").is_empty());
    assert_eq!(response.header("location"), "");
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn token_requests_over_the_rate_limit_are_refused() {
    let world = World::with(&[("RATE_LIMITS", "on")]);
    let client = world.client().await;
    let form = format!("grant_type=refresh_token&refresh_token=guess&client_id={client}");
    for _ in 0..3 {
        let headers = [
            ("x-test-address", world.address.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let requests = (0..MANY).map(|_| world.request("POST", "/token", &headers, &form));
        let responses = futures_util::future::join_all(requests).await;
        assert!(responses.iter().all(|response| [400, 429].contains(&response.status.as_u16())));
    }
    let response = first_refusal(&world, ("POST", "/token", &form)).await;
    assert_eq!(response.json()["error"], "temporarily_unavailable");
}

#[tokio::test]
async fn cross_site_requests_leave_the_limit_of_programs_alone() {
    let world = World::with(&[("RATE_LIMITS", "on")]);
    let registration = registration();
    let refresh = format!("grant_type=refresh_token&refresh_token=x&client_id={}", world.client().await);
    for (path, body, served) in [
        ("/register", &registration, StatusCode::CREATED),
        ("/token", &refresh, StatusCode::BAD_REQUEST),
        ("/revoke", &"token=x".to_owned(), StatusCode::BAD_REQUEST),
    ] {
        let request = ("POST", path, body.as_str());
        first_refusal_with(&world, request, &CROSS_SITE_FETCH).await;
        first_refusal_with(&world, request, &[("sec-fetch-site", "same-site")]).await;
        for program in [&[][..], &[("sec-fetch-mode", "cors")], &[("sec-fetch-site", "none")]] {
            let response = send_from_address(&world, request, program).await;
            assert_eq!(response.status, served, "{path} {program:?}: {}", response.text);
        }
    }
}

#[tokio::test]
async fn cross_site_registrations_on_loopback_are_limited() {
    let mut world = World::with(&[("RATE_LIMITS", "on")]);
    world.address = "127.9.9.9".to_owned();
    let registration = registration();
    let request = ("POST", "/register", registration.as_str());
    first_refusal_with(&world, request, &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")])
        .await;
}

#[tokio::test]
async fn background_request_of_a_page_begins_no_login() {
    let world = World::new();
    let path = world.authorize_path(&world.client().await, &[]);
    let request = ("GET", path.as_str(), "");
    let navigation = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
    let of = |more: &[(&'static str, &'static str)]| [&navigation, more].concat();
    let (frame, prefetch) = (of(&[("sec-fetch-dest", "iframe")]), of(&[("sec-purpose", "prefetch")]));
    for background in [&CROSS_SITE_FETCH[..], &frame, &prefetch] {
        for _ in 0..MANY / 3 {
            let page = send_from_address(&world, request, background).await;
            assert_eq!(page.status, StatusCode::BAD_REQUEST, "{background:?}: {}", page.text);
            assert_eq!((page.header("location"), page.header("set-cookie")), Default::default());
        }
    }
    // A page of the client may navigate the user here.
    for user in [of(&[("sec-fetch-dest", "document")]), of(&[]), vec![("sec-fetch-site", "none")], vec![]] {
        assert_eq!(send_from_address(&world, request, &user).await.status, StatusCode::OK, "{user:?}");
    }
}

#[tokio::test]
async fn cross_site_navigations_leave_the_limit_of_users_alone() {
    let world = World::with(&[("RATE_LIMITS", "on")]);
    let path = world.authorize_path(&world.client().await, &[]);
    let request = ("GET", path.as_str(), "");
    first_refusal_with(&world, request, &[("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "document")])
        .await;
    assert_eq!(
        send_from_address(&world, request, &[("sec-fetch-site", "none")]).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn disabled_rate_limits_refuse_no_request() {
    let world = World::with(&[("RATE_LIMITS", "off")]);
    let headers = [("x-test-address", world.address.as_str()), ("content-type", "application/json")];
    for _ in 0..MANY {
        let response = world.request("POST", "/register", &headers, &registration()).await;
        assert_eq!(response.status, StatusCode::CREATED);
    }
}

#[tokio::test]
async fn concurrent_calls_of_one_user_are_limited_others_are_served() {
    let world = World::new();
    let alice = world.connected().await;
    let bob = world.connected_as("bob", &[]).await;
    let gate = Arc::new(Semaphore::new(0));
    let closed = Arc::clone(&gate);
    // The API does not respond until the gate closes.
    let slow = Router::new().fallback(async move || {
        let _ = closed.acquire().await;
        StatusCode::SERVICE_UNAVAILABLE
    });
    world.network.serve(API, slow);
    let calls = (0..MANY).map(|_| world.call(&alice.access, "get_my_todo_list", json!({})));
    let mut calls: FuturesUnordered<_> = calls.collect();
    for _ in AT_A_TIME..MANY {
        let refused = calls.next().await.expect("a response");
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.text);
        assert_eq!(refused.header("retry-after"), "1");
    }
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    assert_eq!(world.mcp(Some(&bob.access), &ping).await.status, StatusCode::OK);
    gate.close();
    assert!(calls.all(async |response: Response| response.status == StatusCode::OK).await);
    assert_eq!(world.mcp(Some(&alice.access), &ping).await.status, StatusCode::OK);
}

#[tokio::test]
async fn oversized_body_is_refused_and_other_requests_are_served() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let (json, form) = ("application/json", "application/x-www-form-urlencoded");
    let large = format!("handle={}", "x".repeat(2 * 1024 * 1024));
    for (path, media_type, authorization, status) in [
        ("/register", json, "", StatusCode::PAYLOAD_TOO_LARGE),
        ("/token", form, "", StatusCode::PAYLOAD_TOO_LARGE),
        ("/revoke", form, "", StatusCode::PAYLOAD_TOO_LARGE),
        ("/approve", form, "", StatusCode::PAYLOAD_TOO_LARGE),
        ("/mcp", json, bearer.as_str(), StatusCode::BAD_REQUEST),
        ("/mcp", json, "Bearer x", StatusCode::UNAUTHORIZED),
        ("/mcp", json, "", StatusCode::UNAUTHORIZED),
    ] {
        let mut headers = vec![("content-type", media_type), ("authorization", authorization)];
        headers.retain(|(_, value)| !value.is_empty());
        let response = world.request("POST", path, &headers, &large).await;
        assert_eq!(response.status, status, "{path} {authorization}: {}", response.text);
        assert_eq!(world.get("/health").await.status, StatusCode::OK, "{path}");
    }
    assert_eq!(world.requests_to(API, ""), 0);
}

#[tokio::test]
async fn guessed_tokens_are_refused_and_real_ones_keep_working() {
    let world = World::new();
    let tokens = world.connected().await;
    let code = world.code(&tokens.client).await;
    // The guess differs from the token in its last four characters only.
    let guess = |token: &str, number: usize| format!("{}{number:04}", &token[..token.len() - 4]);
    for number in 0..300 {
        let response = world.call(&guess(&tokens.access, number), "get_my_todo_list", json!({})).await;
        assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{number}");
    }
    for number in 0..100 {
        let response = world.redeem(&tokens.client, &guess(&code, number)).await;
        let refused = (StatusCode::BAD_REQUEST, &json!("invalid_grant"));
        assert_eq!((response.status, &response.json()["error"]), refused, "{number}");
        let response = world.refresh(&tokens.client, &guess(&tokens.refresh, number)).await;
        assert_eq!((response.status, &response.json()["error"]), refused, "{number}");
    }
    assert_eq!(world.requests_to(API, ""), 0);
    assert_eq!(world.redeem(&tokens.client, &code).await.status, StatusCode::OK);
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.status, StatusCode::OK);
    assert_eq!(world.call(&tokens.access, "get_my_todo_list", json!({})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn guessed_client_secret_is_refused_by_form_and_basic() {
    let world = World::new();
    let client = world.register(&json!({ "redirect_uris": [CALLBACK] })).await;
    let [id, secret] = ["client_id", "client_secret"].map(|name| client[name].as_str().unwrap());
    let asked = "grant_type=refresh_token&refresh_token=x";
    let media_type = ("content-type", "application/x-www-form-urlencoded");
    let by_form = async |secret: &str| {
        let form = format!("{asked}&client_id={id}&client_secret={secret}");
        world.request("POST", "/token", &[media_type], &form).await
    };
    let by_basic = async |secret: &str| {
        let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        world.request("POST", "/token", &[media_type, ("authorization", &basic)], asked).await
    };
    let told = |response: Response| (response.status, response.json()["error"].clone());
    for number in 0..100 {
        let guess = format!("{}{number:04}", &secret[..secret.len() - 4]);
        let refused = (StatusCode::UNAUTHORIZED, json!("invalid_client"));
        assert_eq!(told(by_form(&guess).await), refused, "{number}");
        assert_eq!(told(by_basic(&guess).await), refused, "{number}");
    }
    let proved = (StatusCode::BAD_REQUEST, json!("invalid_grant"));
    assert_eq!((told(by_form(secret).await), told(by_basic(secret).await)), (proved.clone(), proved));
}
