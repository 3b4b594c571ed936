//! Requests that Deputy sends: their deadlines, the size of their responses, and the addresses they may reach.

use std::time::Duration;

use axum::{Json, Router};
use bytes::Bytes;
use deputy::host::{FetchError, FetchLimits, HttpClient as _, Reach};
use harness::{memory::MemoryHost, network::Network};
use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{API, CALLBACK, PINGONE, Tokens, World, list_todos, with_expiring_token};

/// The limits of all requests so far to `origin` whose path ends with `path`.
fn limits(world: &World, origin: &str, path: &str) -> Vec<FetchLimits> {
    let fetches = world.host.fetches().into_iter();
    let asked = fetches.filter(|(uri, _)| uri.to_string().starts_with(origin) && uri.path().ends_with(path));
    asked.map(|(_, limits)| limits).collect()
}

fn within(seconds: u64, max_bytes: usize, reach: Reach) -> FetchLimits {
    FetchLimits { deadline: Duration::from_secs(seconds), max_bytes, reach }
}

#[tokio::test]
async fn client_document_fetch_is_public_small_and_short() {
    let world = World::new();
    let client = "https://app.example/client.json";
    let document = json!({ "client_id": client, "client_name": "An app", "redirect_uris": [CALLBACK] });
    world.network.serve("https://app.example", Router::new().fallback(async move || Json(document)));
    assert_eq!(world.get(&world.authorize_path(client, &[])).await.status, StatusCode::OK);
    assert_eq!(limits(&world, "", ""), [within(10, 5 * 1024, Reach::PublicInternet)]);
}

#[tokio::test]
async fn login_at_a_slow_pingone_ends_within_45_seconds() {
    let world = World::new();
    world.connected().await;
    let mut seconds = 0;
    // Deputy fetches the keys again when a new key signed the token.
    for (path, times) in [("openid-configuration", 1), ("/token", 1), ("/jwks", 2), ("/userinfo", 1)] {
        let asked = limits(&world, PINGONE, path);
        let deadline = asked[0].deadline.as_secs();
        assert!((1..=10).contains(&deadline), "{path}");
        assert_eq!(asked, [within(deadline, 256 * 1024, Reach::Anywhere)], "{path}");
        seconds += times * deadline;
    }
    assert!(seconds <= 45, "{seconds}");
}

#[tokio::test]
async fn refresh_revocation_and_api_calls_have_deadlines() {
    let world = World::new();
    let tokens = world.connected().await;
    world.host.advance(3600);
    let tokens = Tokens::of(&tokens.client, &world.refresh(&tokens.client, &tokens.refresh).await);
    world.call(&tokens.access, "get_my_todo_list", json!({})).await;
    let form = [("token", tokens.refresh.as_str()), ("client_id", tokens.client.as_str())];
    world.post_form("/revoke", &form).await;
    tokio::task::yield_now().await;
    // The deadline is long: a refresh response that is lost ends the grant.
    let asked = [10, 38].map(|seconds| within(seconds, 256 * 1024, Reach::Anywhere));
    assert_eq!(limits(&world, PINGONE, "/token"), asked);
    assert_eq!(limits(&world, PINGONE, "/revoke"), [within(10, 256 * 1024, Reach::Anywhere)]);
    assert_eq!(limits(&world, API, ""), [within(15, 4 * 1024 * 1024, Reach::Anywhere)]);
}

#[tokio::test]
async fn api_that_is_late_may_have_made_a_change_but_no_read() {
    let text = async |world: World, tool: &str, arguments| {
        let token = world.connected().await.access;
        world.network.stall(API);
        let response = world.call(&token, tool, arguments).await;
        response.json()["result"]["content"][0]["text"].as_str().unwrap_or_default().to_owned()
    };
    for (world, tool, arguments, may_change) in [
        (World::new(), "get_my_todo_list", json!({}), false),
        (World::new(), "create_new_todo", json!({ "text": "x" }), true),
        (World::of_invoices(), "listInvoices", json!({}), false),
        (World::of_invoices(), "createInvoice", invoice(), true),
    ] {
        let text = text(world, tool, arguments).await;
        assert!(text.contains("did not arrive"), "{tool}: {text}");
        assert_eq!(
            (text.contains("made"), text.contains("Try again later")),
            (may_change, !may_change),
            "{text}"
        );
    }
}

fn invoice() -> Value {
    json!({ "body": { "customer": "A", "lines": [{ "text": "Advice", "cents": 5000 }] } })
}

#[tokio::test]
async fn refresh_after_the_end_of_its_lease_is_not_sent() {
    let world = World::new();
    let tokens = with_expiring_token(&world, 30).await;
    // The detached refresh runs when the test waits for something. This is like a process that slept.
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK);
    world.host.advance(61);
    // PingOne ends a session whose refresh token is used twice.
    assert_eq!(list_todos(&world, &tokens.access).await.json()["result"]["isError"], json!(false));
    assert_eq!(limits(&world, PINGONE, "/token").len(), 2, "the code, and one refresh");
}

#[tokio::test]
async fn memory_host_refuses_private_addresses_for_public_reach() {
    let network = Network::default();
    let host = MemoryHost::new(1, network.clone());
    for origin in ["http://127.0.0.1", "http://[::1]", "http://1.1.1.1"] {
        network.serve(origin, Router::new().fallback(async || "here"));
        let fetch = async |reach| {
            let request = http::Request::get(format!("{origin}/")).body(Bytes::new()).unwrap();
            host.fetch(request, within(1, 100, reach)).await.map(|response| response.status())
        };
        assert_eq!(fetch(Reach::Anywhere).await, Ok(StatusCode::OK), "{origin}");
        let public =
            if origin.ends_with("1.1.1.1") { Ok(StatusCode::OK) } else { Err(FetchError::NotPublic) };
        assert_eq!(fetch(Reach::PublicInternet).await, public, "{origin}");
    }
}
