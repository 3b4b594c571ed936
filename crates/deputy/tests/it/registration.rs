use http::StatusCode;
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn a_public_client_gets_an_id_and_no_secret() {
    let world = World::new();
    let metadata = json!({
        "client_name": "Claude Code", "redirect_uris": ["http://localhost/callback"], "token_endpoint_auth_method": "none",
    });
    let response = world.post_json("/register", &metadata).await;
    assert_eq!((response.status, response.header("cache-control")), (StatusCode::CREATED, "no-store".into()));
    let client = response.json();
    assert_eq!(client["client_name"], "Claude Code");
    assert_eq!(client["client_secret"], Value::Null);
    assert_eq!(client["grant_types"], json!(["authorization_code", "refresh_token"]));
    let again = world.register(&json!({"redirect_uris": ["http://localhost/callback"]})).await;
    assert_ne!(client["client_id"], again["client_id"]);
}

#[tokio::test]
async fn a_confidential_client_gets_a_secret_that_expires() {
    let world = World::new();
    let client = world.register(&json!({"redirect_uris": ["https://a.example/cb"]})).await;
    assert_eq!(client["token_endpoint_auth_method"], "client_secret_basic");
    assert!(client["client_secret"].as_str().is_some_and(|secret| secret.len() >= 43));
    assert_eq!(client["client_secret_expires_at"], world.now() + 90 * 24 * 3600);
}

#[tokio::test]
async fn a_registration_that_is_not_one_is_refused_with_a_reason() {
    let world = World::new();
    let good = "https://a.example/cb";
    for (body, error) in [
        (json!(null), "invalid_client_metadata"),
        (json!([]), "invalid_client_metadata"),
        (json!({}), "invalid_redirect_uri"),
        (json!({"redirect_uris": []}), "invalid_redirect_uri"),
        (json!({"redirect_uris": good}), "invalid_redirect_uri"),
        (json!({"redirect_uris": [[good]]}), "invalid_redirect_uri"),
        (json!({"redirect_uris": [good, 7]}), "invalid_redirect_uri"),
        (json!({"redirect_uris": ["/relative"]}), "invalid_redirect_uri"),
        (json!({"redirect_uris": [good, "data:text/html,x"]}), "invalid_redirect_uri"),
        (json!({"redirect_uris": ["http://169.254.169.254/"]}), "invalid_redirect_uri"),
        (json!({"redirect_uris": vec![good; 2000]}), "invalid_redirect_uri"),
        (json!({"redirect_uris": [good], "client_name": 7}), "invalid_client_metadata"),
        (json!({"redirect_uris": [good], "client_name": "x".repeat(10_000)}), "invalid_client_metadata"),
        (json!({"redirect_uris": [good], "grant_types": ["implicit"]}), "invalid_client_metadata"),
        (json!({"redirect_uris": [good], "response_types": ["token"]}), "invalid_client_metadata"),
        (json!({"redirect_uris": [good], "token_endpoint_auth_method": "tls"}), "invalid_client_metadata"),
    ] {
        let response = world.post_json("/register", &body).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(response.json()["error"], error, "{body}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_json_are_refused_and_too_many_are_not_read() {
    let world = World::new();
    for body in ["", "{", "\u{fffd}", "[[[[[[[["] {
        let response =
            world.request("POST", "/register", &[("content-type", "application/json")], body).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let large = json!({"redirect_uris": ["https://a.example/cb"], "contacts": vec!["x"; 50_000]});
    assert_eq!(world.post_json("/register", &large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let text = [("content-type", "text/plain")];
    assert_eq!(world.request("POST", "/register", &text, "{}").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_registration_lives_a_week_and_ninety_days_from_each_use_by_a_person() {
    let world = World::new();
    let (used, unused) = (world.connected().await.client, world.client().await);
    let status = async |client: &str| world.get(&world.authorize_path(client, &[])).await.status;
    world.host.advance(7 * 24 * 3600 - 1);
    assert_eq!((status(&used).await, status(&unused).await), (StatusCode::OK, StatusCode::OK));
    world.host.advance(1);
    assert_eq!((status(&used).await, status(&unused).await), (StatusCode::OK, StatusCode::BAD_REQUEST));
    world.host.advance(80 * 24 * 3600);
    world.log_in_to(&mut world.browser(), &used).await;
    let code = world.code(&used).await;
    assert_eq!(world.redeem(&used, &code).await.status, StatusCode::OK);
    world.host.advance(89 * 24 * 3600);
    assert_eq!(status(&used).await, StatusCode::OK);
    world.host.advance(24 * 3600);
    assert_eq!(status(&used).await, StatusCode::BAD_REQUEST);
}
