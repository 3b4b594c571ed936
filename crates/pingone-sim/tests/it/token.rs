use axum::http::StatusCode;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use pingone_sim::Failure;
use serde_json::{Value, json};

use crate::world::{CALLBACK, CHALLENGE, World, form};

#[tokio::test]
async fn code_is_redeemed_once_in_time_and_with_its_verifier() {
    let world = World::new();
    let code = world.code().await;
    assert_eq!(world.redeem(&code).await.status, StatusCode::OK);
    assert_eq!(world.redeem(&code).await.json()["error"], "invalid_grant");
    let code = world.code().await;
    world.advance(60);
    assert_eq!(world.redeem(&code).await.json()["error"], "invalid_grant");
    let code = world.code().await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", CHALLENGE),
    ];
    assert_eq!(world.token(&fields).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn wrong_secret_and_wrong_method_get_same_error() {
    let world = World::new();
    let application = &world.sim.config().application;
    let wrong = format!("Basic {}", STANDARD.encode(format!("{}:wrong", application.client_id)));
    let post = form(&[
        ("client_id", &application.client_id),
        ("client_secret", &application.client_secret),
        ("grant_type", "refresh_token"),
    ]);
    for (headers, body) in [(vec![("authorization", wrong.as_str())], String::new()), (vec![], post)] {
        let response = world.send("POST", &world.at("token"), &headers, body).await;
        assert_eq!(
            (response.status, &response.json()["error"]),
            (StatusCode::UNAUTHORIZED, &json!("invalid_client"))
        );
        assert!(response.text.contains("Unsupported authentication method"));
    }
}

#[tokio::test]
async fn reused_refresh_token_revokes_family() {
    let world = World::new();
    let first = world.tokens().await["refresh_token"].as_str().unwrap().to_owned();
    let second = world.refresh(&first).await.json()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(world.refresh(&first).await.json()["error"], "invalid_grant");
    assert_eq!(world.refresh(&second).await.json()["error"], "invalid_grant", "the successor too");
    world.sim.configure(|pingone| pingone.refresh_grace_seconds = 10);
    let first = world.tokens().await["refresh_token"].as_str().unwrap().to_owned();
    world.refresh(&first).await;
    assert_eq!(world.refresh(&first).await.status, StatusCode::OK, "within the grace period");
}

#[tokio::test]
async fn ended_session_ends_its_refresh_tokens() {
    let world = World::new();
    let token = world.tokens().await["refresh_token"].as_str().unwrap().to_owned();
    for _ in 0..10 {
        world.code().await;
    }
    assert_eq!(
        world.refresh(&token).await.json()["error"],
        "invalid_grant",
        "the eleventh session ended the first"
    );
    world.sim.configure(|pingone| pingone.skip_token_session_validation = true);
    assert_eq!(world.refresh(&token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn offline_access_gets_refresh_token_that_can_be_revoked() {
    let world = World::new();
    let response = world.authorize(&[("login_hint", "auto"), ("scope", "openid todo:read")], "").await;
    assert_eq!(world.redeem(&response.parameter("code").unwrap()).await.json()["refresh_token"], Value::Null);
    let token = world.tokens().await["refresh_token"].as_str().unwrap().to_owned();
    let application = &world.sim.config().application;
    let basic = format!(
        "Basic {}",
        STANDARD.encode(format!("{}:{}", application.client_id, application.client_secret))
    );
    world.send("POST", &world.at("revoke"), &[("authorization", &basic)], form(&[("token", &token)])).await;
    assert_eq!(world.refresh(&token).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn userinfo_returns_claims_of_scopes_until_session_ends() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.tokens().await["access_token"].as_str().unwrap());
    let response =
        world.send("GET", &world.at("userinfo"), &[("authorization", &bearer)], String::new()).await.json();
    assert_eq!((&response["preferred_username"], &response["email"]), (&json!("auto"), &Value::Null));
    world.sim.end_sessions();
    let response =
        world.send("GET", &world.at("userinfo"), &[("authorization", &bearer)], String::new()).await;
    assert_eq!(
        (response.status, &response.json()["code"]),
        (StatusCode::UNAUTHORIZED, &json!("ACCESS_FAILED"))
    );
}

#[tokio::test]
async fn refresh_with_lost_response_rotates_token() {
    let world = World::new();
    let token = world.tokens().await["refresh_token"].as_str().unwrap().to_owned();
    world.sim.force(Failure::TokenResponseAfter(11_000));
    // The response comes at once, because this clock does not wait. The client ignores it.
    drop(world.refresh(&token).await);
    assert_eq!(world.refresh(&token).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn forced_retry_after_is_in_response() {
    let world = World::new();
    world.sim.force(Failure::TokenRetryAfter(429, 7));
    let response = world.refresh("x").await;
    assert_eq!(
        (response.status, &response.headers["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"7".parse().unwrap())
    );
}
