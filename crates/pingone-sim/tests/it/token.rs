use axum::http::StatusCode;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use pingone_sim::Failure;
use serde_json::{Value, json};

use crate::world::{CALLBACK, CHALLENGE, World, form};

#[tokio::test]
async fn a_code_is_good_once_soon_and_for_its_verifier() {
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
async fn a_client_with_a_wrong_secret_or_method_hears_the_same() {
    let world = World::new();
    let application = &world.sim.config().application;
    let wrong = format!("Basic {}", STANDARD.encode(format!("{}:wrong", application.client_id)));
    let post = form(&[
        ("client_id", &application.client_id),
        ("client_secret", &application.client_secret),
        ("grant_type", "refresh_token"),
    ]);
    for (headers, body) in [(vec![("authorization", wrong.as_str())], String::new()), (vec![], post)] {
        let answer = world.send("POST", &world.at("token"), &headers, body).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (StatusCode::UNAUTHORIZED, &json!("invalid_client"))
        );
        assert!(answer.text.contains("Unsupported authentication method"));
    }
}

#[tokio::test]
async fn a_rotated_refresh_token_takes_its_family_with_it() {
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
async fn refresh_tokens_die_with_their_session_unless_configured_otherwise() {
    let world = World::new();
    let token = world.tokens().await["refresh_token"].as_str().unwrap().to_owned();
    for _ in 0..10 {
        world.code().await;
    }
    assert_eq!(
        world.refresh(&token).await.json()["error"],
        "invalid_grant",
        "the eleventh session purged the first"
    );
    world.sim.configure(|pingone| pingone.skip_token_session_validation = true);
    assert_eq!(world.refresh(&token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_refresh_token_is_given_for_offline_access_and_can_be_revoked() {
    let world = World::new();
    let answer = world.authorize(&[("login_hint", "auto"), ("scope", "openid todo:read")], "").await;
    assert_eq!(world.redeem(&answer.told("code").unwrap()).await.json()["refresh_token"], Value::Null);
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
async fn userinfo_says_what_the_scopes_allow_and_nothing_after_sign_off() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.tokens().await["access_token"].as_str().unwrap());
    let answer =
        world.send("GET", &world.at("userinfo"), &[("authorization", &bearer)], String::new()).await.json();
    assert_eq!((&answer["preferred_username"], &answer["email"]), (&json!("auto"), &Value::Null));
    world.sim.end_sessions();
    let answer = world.send("GET", &world.at("userinfo"), &[("authorization", &bearer)], String::new()).await;
    assert_eq!((answer.status, &answer.json()["code"]), (StatusCode::UNAUTHORIZED, &json!("ACCESS_FAILED")));
}

#[tokio::test]
async fn refresh_whose_response_is_lost_has_rotated_the_token() {
    let world = World::new();
    let token = world.tokens().await["refresh_token"].as_str().unwrap().to_owned();
    world.sim.force(Failure::TokenAnswerAfter(11_000));
    // The clock of this world makes it a short wait; the client is gone all the same.
    drop(world.refresh(&token).await);
    assert_eq!(world.refresh(&token).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn busy_token_endpoint_says_when_to_come_back() {
    let world = World::new();
    world.sim.force(Failure::TokenRetryAfter(429, 7));
    let answer = world.refresh("x").await;
    assert_eq!(
        (answer.status, &answer.headers["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"7".parse().unwrap())
    );
}
