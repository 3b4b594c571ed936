use axum::http::StatusCode;
use serde_json::json;

use crate::world::{API, World, claims};

#[tokio::test]
async fn user_who_signs_on_and_approves_returns_with_code() {
    let world = World::new();
    let consent = world.sign_on("alice", "Alice-demo-1").await;
    assert!(
        consent.text.contains("See your to-do list") && consent.text.contains("APPROVE"),
        "{}",
        consent.text
    );
    let back = world.submit(&consent.flow(), "APPROVE", &[]).await;
    assert_eq!((back.status, back.parameter("state").as_deref()), (StatusCode::FOUND, Some("s")));
    let tokens = world.redeem(&back.parameter("code").unwrap()).await.json();
    let id_token = claims(&tokens["id_token"]);
    assert_eq!((&id_token["nonce"], &id_token["preferred_username"]), (&json!("n"), &json!("alice")));
    assert_eq!(id_token["acr"], world.sim.config().policy_id);
    assert_eq!(claims(&tokens["access_token"])["aud"], json!([API]));
    let again = world.authorize(&[], &consent.cookie()).await;
    assert!(again.parameter("code").is_some(), "session and consent are remembered");
    let asked = world.authorize(&[("prompt", "login")], &consent.cookie()).await;
    assert!(asked.text.contains("SIGNON"));
}

#[tokio::test]
async fn wrong_passwords_lock_account() {
    let world = World::new();
    for remaining in (0..5).rev() {
        let page = world.sign_on("alice", "wrong").await;
        assert!(page.text.contains(&format!("{remaining} attempts remaining")), "{}", page.text);
        assert!(page.text.contains("value=\"alice\""), "the page shows the username again");
    }
    assert!(world.sign_on("alice", "Alice-demo-1").await.text.contains("locked"));
    assert!(world.sign_on("carol", "Carol-demo-1").await.text.contains("locked"));
    assert!(world.sign_on("nobody", "x").await.text.contains("Incorrect username or password."));
}

#[tokio::test]
async fn code_resets_forgotten_password() {
    let world = World::new();
    let page = world.authorize(&[], "").await;
    let page = world.submit(&page.flow(), "TROUBLE", &[]).await;
    let page = world.submit(&page.flow(), "RECOVER", &[("username", "alice")]).await;
    let wrong = world.submit(&page.flow(), "RESET", &[("code", "x"), ("password", "New-password-1")]).await;
    assert!(wrong.text.contains("Invalid verification code"));
    let code = page.emailed_code();
    let weak = world.submit(&page.flow(), "RESET", &[("code", &code), ("password", "weak")]).await;
    assert!(weak.text.contains("password policy"));
    world.submit(&page.flow(), "RESET", &[("code", &code), ("password", "New-password-1")]).await;
    assert!(world.sign_on("alice", "Alice-demo-1").await.text.contains("Incorrect username or password."));
    assert!(world.sign_on("alice", "New-password-1").await.text.contains("APPROVE"));
}

#[tokio::test]
async fn registered_user_verifies_email_and_is_asked_for_consent() {
    let world = World::new();
    let page = world.authorize(&[], "").await;
    let page = world.submit(&page.flow(), "REGISTER", &[]).await;
    let fields = |username: &'static str| {
        [
            ("username", username),
            ("email", "d@example.com"),
            ("password", "Dora-demo-1"),
            ("given_name", "<b>Dora</b>"),
        ]
    };
    assert!(world.submit(&page.flow(), "REGISTER", &fields("alice")).await.text.contains("already in use"));
    let page = world.submit(&page.flow(), "REGISTER", &fields("dora")).await;
    let code = page.emailed_code();
    let consent = world.submit(&page.flow(), "VERIFY", &[("code", &code)]).await;
    assert!(consent.text.contains("dora") && !consent.text.contains("<b>"), "{}", consent.text);
}

#[tokio::test]
async fn declined_consent_returns_configured_error() {
    let world = World::new();
    let consent = world.sign_on("alice", "Alice-demo-1").await;
    assert_eq!(
        world.submit(&consent.flow(), "DECLINE", &[]).await.parameter("error").as_deref(),
        Some("access_denied")
    );
    world.sim.configure(|pingone| pingone.decline_error = "invalid_request".into());
    let response = world.authorize(&[("login_hint", "auto-deny")], "").await;
    assert_eq!(response.parameter("error").as_deref(), Some("invalid_request"));
    assert!(response.parameter("error_description").unwrap().contains("(Correlation ID: "));
}
