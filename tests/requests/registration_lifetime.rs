//! How long a registration lives.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{CALLBACK, World};

/// In seconds.
const DAY: u64 = 24 * 3600;

#[tokio::test]
async fn registration_response_says_when_it_expires_unused() {
    let world = World::new();
    let public = json!({"redirect_uris": ["https://a.example/cb"], "token_endpoint_auth_method": "none"});
    let client = world.register(&public).await;
    assert_eq!(client["client_id_expires_at"], world.now() + 30 * DAY);
    assert_eq!(client["client_secret_expires_at"], Value::Null);
    let client = world.register(&json!({"redirect_uris": ["https://a.example/cb"]})).await;
    assert_eq!(client["token_endpoint_auth_method"], "client_secret_basic");
    assert!(client["client_secret"].as_str().is_some_and(|secret| secret.len() >= 43));
    assert_eq!(client["client_secret_expires_at"], world.now() + 30 * DAY);
    assert_eq!(client["client_id_expires_at"], client["client_secret_expires_at"]);
}

/// Whether a client is registered. The request does not count as a use of the registration.
async fn is_known(world: &World, client: &str) -> bool {
    world.refresh(client, "x").await.status != StatusCode::UNAUTHORIZED
}

#[tokio::test]
async fn registration_lives_30_days_and_90_after_each_use() {
    let world = World::new();
    let (used, unused) = (world.connected().await.client, world.client().await);
    world.host.advance(30 * DAY - 1);
    assert_eq!((is_known(&world, &used).await, is_known(&world, &unused).await), (true, true));
    world.host.advance(1);
    assert_eq!((is_known(&world, &used).await, is_known(&world, &unused).await), (true, false));
    world.host.advance(59 * DAY);
    let code = world.code(&used).await;
    assert_eq!(world.redeem(&used, &code).await.status, StatusCode::OK);
    world.host.advance(90 * DAY - 1);
    assert!(is_known(&world, &used).await);
    world.host.advance(1);
    assert!(!is_known(&world, &used).await);
}

#[tokio::test]
async fn authorization_request_extends_a_registration() {
    let world = World::new();
    let client = world.client().await;
    for _ in 0..3 {
        world.host.advance(29 * DAY);
        let page = world.get(&world.authorize_path(&client, &[])).await;
        assert_eq!(page.status, StatusCode::OK);
    }
    world.host.advance(30 * DAY - 1);
    assert!(is_known(&world, &client).await);
    world.host.advance(1);
    assert!(!is_known(&world, &client).await);
}

#[tokio::test]
async fn registration_outlives_the_refresh_tokens_of_its_client() {
    let world = World::with(&[("REFRESH_TOKEN_LIFETIME", "31536000")]);
    let client = world.connected().await.client;
    world.host.advance(31_536_000 - 1);
    assert!(is_known(&world, &client).await);
}

#[tokio::test]
async fn page_for_an_expired_registration_says_what_to_do() {
    let world = World::new();
    let client = world.client().await;
    world.host.advance(30 * DAY);
    let page = world.get(&world.authorize_path(&client, &[])).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    let says = format!("or its registration has expired. Its client_id is {client}<");
    assert!(page.text.contains(&says), "{}", page.text);
    assert!(page.text.contains("Remove and add the server again in your application"), "{}", page.text);
    // The page escapes and shortens the client_id.
    let page = world.get(&world.authorize_path(&"<b>\u{202e}x".repeat(200), &[])).await;
    assert!(page.text.contains("&#60;b&#62;x") && page.text.len() < 5000, "{}", page.text);
}

#[tokio::test]
async fn client_secret_expires_with_its_registration() {
    let world = World::new();
    let client = world.register(&json!({ "redirect_uris": [CALLBACK] })).await;
    let [id, secret] = ["client_id", "client_secret"].map(|name| client[name].as_str().unwrap());
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", id),
        ("client_secret", secret),
        ("refresh_token", "x"),
    ];
    world.host.advance(30 * DAY - 1);
    let known = world.post_form("/token", &form).await;
    assert_eq!((known.status, &known.json()["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
    world.host.advance(1);
    let unknown = world.post_form("/token", &form).await;
    let refused = (StatusCode::UNAUTHORIZED, &json!("invalid_client"));
    assert_eq!((unknown.status, &unknown.json()["error"]), refused);
    assert!(unknown.header("www-authenticate").starts_with("Basic "));
}
