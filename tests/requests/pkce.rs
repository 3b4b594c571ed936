//! PKCE (RFC 7636): `S256` for every client.

use serde_json::json;

use crate::{
    authorization_endpoint::without,
    world::{CALLBACK, CHALLENGE, World, authorization_error},
};

#[tokio::test]
async fn challenge_other_than_s256_redirects_error_to_client() {
    let world = World::new();
    let client = world.client().await;
    let (long, padded) = ("A".repeat(10_000), format!("{CHALLENGE}="));
    for (name, value) in [
        ("code_challenge", ""),
        ("code_challenge", "short"),
        ("code_challenge", &CHALLENGE[1..]),
        ("code_challenge", &padded),
        ("code_challenge", &long),
        ("code_challenge", "<script>alert(1)</script>aaaaaaaaaaaaaaaaaa"),
        ("code_challenge_method", "plain"),
        ("code_challenge_method", "S512"),
        ("code_challenge_method", "s256"),
        ("code_challenge_method", ""),
    ] {
        let path = world.authorize_path(&client, &[(name, value)]);
        assert_eq!(authorization_error(&world, &path).await, "invalid_request", "{name}={value}");
    }
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn missing_challenge_or_method_redirects_error_to_client() {
    let world = World::new();
    for name in ["code_challenge", "code_challenge_method"] {
        let path = without(&world, name).await;
        assert_eq!(authorization_error(&world, &path).await, "invalid_request", "{name}");
    }
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn confidential_client_needs_pkce_too() {
    let world = World::new();
    let client = world.register(&json!({ "redirect_uris": [CALLBACK] })).await;
    let id = client["client_id"].as_str().unwrap();
    for overrides in [
        [("code_challenge", ""), ("code_challenge_method", "S256")],
        [("code_challenge", CHALLENGE), ("code_challenge_method", "plain")],
    ] {
        let response = world.get(&world.authorize_path(id, &overrides)).await;
        let location = response.location();
        let error =
            location.query_pairs().find(|(name, _)| name == "error").map(|(_, value)| value.into_owned());
        assert_eq!(error.as_deref(), Some("invalid_request"), "{overrides:?}");
    }
    assert_eq!(world.requests_to_pingone(), 0);
}
