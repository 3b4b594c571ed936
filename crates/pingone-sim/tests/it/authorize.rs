use axum::http::{StatusCode, header};
use pingone_sim::ResourceMode;

use crate::world::{API, World};

#[tokio::test]
async fn wrong_client_or_redirect_uri_is_not_redirected() {
    let world = World::new();
    for (name, value) in [("client_id", "x"), ("redirect_uri", "https://evil.example/"), ("redirect_uri", "")]
    {
        let response = world.authorize(&[(name, value)], "").await;
        assert_eq!(
            (response.status, response.headers.get(header::LOCATION)),
            (StatusCode::BAD_REQUEST, None),
            "{name}"
        );
    }
}

#[tokio::test]
async fn other_wrong_parameter_is_reported_to_application() {
    let world = World::new();
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("acr_values", "Single_Factor", "invalid_request"),
        ("scope", "openid nonsense", "invalid_scope"),
        ("scope", "openid p1:read:user todo:read", "invalid_scope"),
        ("resource", "https://other.example", "invalid_target"),
        ("prompt", "none", "login_required"),
    ] {
        let response = world.authorize(&[(name, value)], "").await;
        assert_eq!(
            (response.parameter("error").as_deref(), response.parameter("state").as_deref()),
            (Some(error), Some("s")),
            "{name}={value}"
        );
    }
    world.sim.configure(|pingone| pingone.resource_mode = ResourceMode::Rejected);
    let response = world.authorize(&[("resource", API)], "").await;
    assert!(
        response
            .parameter("error_description")
            .unwrap()
            .contains("May not request scopes for multiple resources")
    );
}
