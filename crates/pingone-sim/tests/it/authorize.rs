use axum::http::{StatusCode, header};
use pingone_sim::ResourceMode;

use crate::world::{API, World};

#[tokio::test]
async fn a_wrong_application_or_address_is_shown_and_not_redirected() {
    let world = World::new();
    for (name, value) in [("client_id", "x"), ("redirect_uri", "https://evil.example/"), ("redirect_uri", "")]
    {
        let answer = world.authorize(&[(name, value)], "").await;
        assert_eq!(
            (answer.status, answer.headers.get(header::LOCATION)),
            (StatusCode::BAD_REQUEST, None),
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_else_is_wrong_is_told_to_the_application() {
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
        let answer = world.authorize(&[(name, value)], "").await;
        assert_eq!(
            (answer.told("error").as_deref(), answer.told("state").as_deref()),
            (Some(error), Some("s")),
            "{name}={value}"
        );
    }
    world.sim.configure(|pingone| pingone.resource_mode = ResourceMode::Rejected);
    let answer = world.authorize(&[("resource", API)], "").await;
    assert!(
        answer.told("error_description").unwrap().contains("May not request scopes for multiple resources")
    );
}
