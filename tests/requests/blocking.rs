//! Clients and hosts that the operator has blocked.

use axum::{Router, response::IntoResponse as _};
use futures_util::future::join;
use http::StatusCode;
use serde_json::json;

use crate::{
    admin::{end, last_audited, text, world},
    world::{ADMIN_TOKEN, CALLBACK, Tokens, World, code_at_client, known_name, list_todos},
};

async fn block(world: &World, subject: &str) {
    let response = world.admin("POST", "block", subject).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.text);
}

#[tokio::test]
async fn code_redeemed_while_its_client_is_blocked_gives_no_access() {
    for _ in 0..5 {
        let world = world();
        let client = world.client().await;
        let code = world.code(&client).await;
        let stop = async {
            block(&world, &format!("client={client}")).await;
            end(&world, &format!("client={client}")).await;
        };
        let (redeemed, ()) = join(world.redeem(&client, &code), stop).await;
        if redeemed.status == StatusCode::OK {
            let tokens = Tokens::of(&client, &redeemed);
            assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::UNAUTHORIZED);
        }
    }
}

#[tokio::test]
async fn blocked_client_cannot_begin_or_finish_a_login() {
    let world = world();
    let client = world.client().await;
    let code = world.code(&client).await;
    block(&world, &format!("client={client}")).await;
    let event = last_audited(&world).await;
    assert_eq!(
        (text(&event, "event"), text(&event["client"], "id")),
        ("client_blocked", known_name(&client))
    );

    let refused = world.redeem(&client, &code).await;
    assert_eq!(
        (refused.status, text(&refused.json(), "error")),
        (StatusCode::BAD_REQUEST, "unauthorized_client"),
        "{}",
        refused.text
    );
    let event = last_audited(&world).await;
    assert_eq!(text(&event, "event"), "login_refused", "{event}");
    assert!(text(&event, "reason").contains("blocked"), "{event}");

    let page = world.get(&world.authorize_path(&client, &[])).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.text);
    assert!(page.text.contains("has blocked this application"), "{}", page.text);
    assert_eq!(page.header("location"), "");
    assert_eq!(text(&last_audited(&world).await, "event"), "login_refused");

    // Another client is not affected.
    world.connected().await;
    let listed = world.admin("GET", "blocked", "").await.json();
    assert_eq!(listed["blocked"], json!([{ "client": known_name(&client), "since": world.now() }]));
    let response = world.admin("POST", "unblock", &format!("client={}", known_name(&client))).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.text);
    assert_eq!(text(&last_audited(&world).await, "event"), "client_unblocked");
    world.code(&client).await;
    let again = world.admin("POST", "unblock", &format!("client={client}")).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    assert_eq!(world.admin("GET", "blocked", "").await.json(), json!({ "blocked": [] }));
}

#[tokio::test]
async fn blocked_client_can_still_revoke_its_tokens() {
    let world = world();
    let tokens = world.connected().await;
    block(&world, &format!("client={}", tokens.client)).await;
    let form = [("token", tokens.refresh.as_str()), ("client_id", &tokens.client)];
    assert_eq!(world.post_form("/revoke", &form).await.status, StatusCode::OK);
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn block_survives_a_restart_and_a_repeated_block() {
    let world = world();
    let client = world.client().await;
    block(&world, &format!("client={client}")).await;
    block(&world, &format!("client={client}")).await;
    world.start(&[("ADMIN_TOKEN", ADMIN_TOKEN)]);
    let listed = world.admin("GET", "blocked", "").await.json();
    assert_eq!(listed["blocked"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(world.get(&world.authorize_path(&client, &[])).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn blocked_host_refuses_its_clients_and_new_registrations() {
    let world = world();
    let client = world.client().await;
    let code = world.code(&client).await;
    block(&world, "host=Client.Example").await;
    assert_eq!(text(&world.redeem(&client, &code).await.json(), "error"), "unauthorized_client");
    assert_eq!(world.get(&world.authorize_path(&client, &[])).await.status, StatusCode::FORBIDDEN);
    let metadata = |uris: &[&str]| json!({ "redirect_uris": uris, "token_endpoint_auth_method": "none" });
    let refused = world.post_json("/register", &metadata(&["https://other.example/cb", CALLBACK])).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(text(&refused.json(), "error"), "invalid_redirect_uri", "{}", refused.text);
    world.register(&metadata(&["https://other.example/cb", "https://client.example.org/cb"])).await;
}

#[tokio::test]
async fn client_with_a_document_at_a_blocked_host_is_refused() {
    let world = world();
    let client = "https://app.example/client.json";
    let document = json!({
        "client_id": client, "client_name": "An app", "redirect_uris": [CALLBACK, "http://127.0.0.1/cb"],
        "token_endpoint_auth_method": "none",
    });
    let document = ([("content-type", "application/json")], document.to_string());
    world.network.serve("https://app.example", Router::new().fallback(async || document.into_response()));
    let page = world.log_in_to(&mut world.browser(), client).await;
    let tokens = Tokens::of(client, &world.redeem(client, &code_at_client(&page).expect("a code")).await);
    block(&world, "host=app.example").await;
    assert_eq!(world.get(&world.authorize_path(client, &[])).await.status, StatusCode::FORBIDDEN);
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK);
    assert_eq!(end(&world, "host=app.example").await["ended"].as_array().map(Vec::len), Some(1));
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn block_needs_one_client_or_host() {
    let world = world();
    for subject in ["", "client=x", "user=x", "host=", "client=BwcHBwcHBwcHBwcHBwcHBw&host=a.example"] {
        let response = world.admin("POST", "block", subject).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{subject}: {}", response.text);
    }
    assert_eq!(world.admin("GET", "blocked", "").await.json(), json!({ "blocked": [] }));
}

#[tokio::test]
async fn text_that_is_no_host_is_refused_and_others_are_normalized() {
    let world = world();
    for host in
        ["https%3A%2F%2Fapp.example", "app.example%2Fpath", "app.example%3A443", "a%20b", "%3A", "7%3A"]
    {
        for (method, path) in [("POST", "block"), ("POST", "unblock"), ("POST", "grants/end")] {
            let response = world.admin(method, path, &format!("host={host}")).await;
            assert_eq!(response.status, StatusCode::BAD_REQUEST, "{host}: {}", response.text);
            assert!(response.text.contains("host must be a host"), "{}", response.text);
        }
    }
    for (host, stored) in [
        ("B%C3%BCcher.Example", "xn--bcher-kva.example"),
        ("%5B%3A%3A1%5D", "[::1]"),
        ("127.0.0.1", "127.0.0.1"),
        ("Cursor%3A", "cursor:"),
    ] {
        block(&world, &format!("host={host}")).await;
        let listed = world.admin("GET", "blocked", "").await.json();
        assert_eq!(listed["blocked"][0]["host"], stored);
        world.admin("POST", "unblock", &format!("host={host}")).await;
    }
}
