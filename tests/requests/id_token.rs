//! Verification of the tokens that PingOne issues at a login (OpenID Connect Core §3.1.3.7).

use pingone_sim::{Failure, Signature};
use serde_json::{Value, json};

use crate::{
    world::{PINGONE, World, code_at_client},
    world::{error_at_client, login_error},
};

#[tokio::test]
async fn id_token_with_wrong_claims_fails_the_login() {
    let later = World::new().now() + 86_400;
    for (name, value) in [
        ("iss", json!("https://evil.example/as")),
        ("iss", json!(format!("{PINGONE}/5e1f0000-0000-4000-8000-00000000de90/as/"))),
        ("nonce", json!("another")),
        ("nonce", Value::Null),
        ("aud", json!("another")),
        ("aud", json!(["another"])),
        ("aud", json!(["dec1a2e0-0000-4000-8000-000000000c1d", "another"])),
        ("aud", Value::Null),
        ("azp", json!("another")),
        ("exp", json!(1)),
        ("exp", Value::Null),
        ("iat", json!(later)),
        ("iat", Value::Null),
        ("nbf", json!(later)),
        ("sub", json!("")),
        ("sub", Value::Null),
        ("acr", json!("Single_Factor")),
        ("acr", Value::Null),
        ("at_hash", json!("another")),
    ] {
        let error = login_error(Failure::IdTokenClaim(name.into(), value.clone())).await;
        assert_eq!(error, "server_error", "{name}: {value}");
    }
}

#[tokio::test]
async fn id_token_with_a_wrong_signature_fails_the_login() {
    for signature in [
        Signature::AlgNone,
        Signature::AlgNoneInOtherCase,
        Signature::ClientSecret,
        Signature::Critical,
        Signature::PublicKey,
        Signature::PublicKeyPem,
    ] {
        assert_eq!(login_error(Failure::IdTokenSignature(signature)).await, "server_error", "{signature:?}");
    }
    // A key that PingOne publishes later might verify these, so a retry may succeed.
    for signature in [
        Signature::EmbeddedKey,
        Signature::Empty,
        Signature::Flipped,
        Signature::Garbage,
        Signature::OtherKey,
        Signature::UnknownKid,
    ] {
        let error = login_error(Failure::IdTokenSignature(signature)).await;
        assert_eq!(error, "temporarily_unavailable", "{signature:?}");
    }
}

#[tokio::test]
async fn missing_or_garbage_id_token_fails_the_login() {
    for failure in [
        Failure::AccessTokenAsIdToken,
        Failure::TokenMember("id_token".into(), Value::Null),
        Failure::TokenMember("id_token".into(), json!("")),
        Failure::TokenMember("id_token".into(), json!("garbage")),
        Failure::TokenMember("id_token".into(), json!({})),
    ] {
        assert_eq!(login_error(failure.clone()).await, "server_error", "{failure:?}");
    }
}

#[tokio::test]
async fn clock_skew_of_half_a_minute_is_accepted() {
    for (name, ahead) in [("iat", 30), ("nbf", 30), ("exp", -30)] {
        let world = World::new();
        let value = world.now().checked_add_signed(ahead);
        world.pingone.force(Failure::IdTokenClaim(name.into(), json!(value)));
        let client = world.client().await;
        assert!(code_at_client(&world.log_in_to(&mut world.browser(), &client).await).is_some(), "{name}");
    }
}

#[tokio::test]
async fn clock_skew_over_five_minutes_fails_the_login() {
    for (name, skew) in [("iat", 301), ("nbf", 301), ("exp", -301)] {
        let world = World::new();
        let value = world.now().saturating_add_signed(skew);
        world.pingone.force(Failure::IdTokenClaim(name.into(), json!(value)));
        let client = world.client().await;
        let page = world.log_in_to(&mut world.browser(), &client).await;
        assert_eq!(error_at_client(&world, &page), "server_error", "{name}");
    }
}

#[tokio::test]
async fn clock_skew_of_a_day_is_reported_in_seconds() {
    for (skew, says) in [(-86_400_i64, "86400 seconds ahead of"), (86_400, "86400 seconds behind")] {
        // Each world has a clock of its own.
        let world = World::new();
        let issued = world.now().saturating_add_signed(skew);
        world.pingone.force(Failure::IdTokenClaim("iat".into(), json!(issued)));
        world.pingone.force(Failure::IdTokenClaim("exp".into(), json!(issued + 3600)));
        let client = world.client().await;
        let page = world.log_in_to(&mut world.browser(), &client).await;
        assert_eq!(error_at_client(&world, &page), "server_error");
        let described = page.query("error_description").unwrap_or_default();
        assert!(described.contains(&format!("the clock of this server is {says} PingOne's")), "{described}");
    }
}

#[tokio::test]
async fn access_token_with_wrong_claims_fails_the_login() {
    for (name, value) in [
        ("aud", json!(["https://api.pingone.example"])),
        ("iss", json!("https://evil.example/as")),
        ("client_id", json!("another")),
        ("exp", json!(1)),
        ("sub", Value::Null),
    ] {
        assert_eq!(
            login_error(Failure::AccessTokenClaim(name.into(), value)).await,
            "server_error",
            "{name}"
        );
    }
}
