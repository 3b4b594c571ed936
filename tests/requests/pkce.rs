//! PKCE (RFC 7636): `S256` for every client.

use serde_json::json;

use crate::world::{CALLBACK, CHALLENGE, World};

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
