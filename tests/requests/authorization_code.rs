//! Redemption of authorization codes (OAuth 2.1 §4.1.3).

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::json;

use crate::world::{API, CALLBACK, CHALLENGE, Tokens, VERIFIER, World};

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn code_is_redeemed_for_opaque_tokens() {
    let world = World::new();
    let client = world.client().await;
    let code = world.code(&client).await;
    let response = world.redeem(&client, &code).await;
    assert_eq!((response.status, response.header("cache-control")), (StatusCode::OK, "no-store".into()));
    let body = response.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 3600);
    assert_eq!(body["scope"], "todo:read todo:write");
    let members: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(members, ["access_token", "expires_in", "refresh_token", "scope", "token_type"]);
    assert!(!response.text.contains("eyJ"), "no JWT");
}

#[tokio::test]
async fn replayed_code_revokes_its_tokens() {
    let world = World::new();
    let client = world.client().await;
    let code = world.code(&client).await;
    let tokens = Tokens::of(&client, &world.redeem(&client, &code).await);
    assert_eq!(world.redeem(&client, &code).await.json()["error"], "invalid_grant");
    assert_eq!(world.call(&tokens.access, "who_am_i", json!({})).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.refresh(&client, &tokens.refresh).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn two_hundred_concurrent_redemptions_succeed_once() {
    let world = World::new();
    let client = world.client().await;
    let code = world.code(&client).await;
    let responses = join_all((0..200).map(|_| world.redeem(&client, &code))).await;
    assert_eq!(responses.iter().filter(|response| response.status == StatusCode::OK).count(), 1);
    assert_eq!(responses.iter().filter(|response| response.status == StatusCode::BAD_REQUEST).count(), 199);
}

#[tokio::test]
async fn concurrent_redemptions_succeed_once_in_every_round() {
    let world = World::new();
    let client = world.client().await;
    for round in 0..12 {
        let code = world.code(&client).await;
        let responses = join_all((0..20).map(|_| world.redeem(&client, &code))).await;
        let (good, bad): (Vec<_>, Vec<_>) =
            responses.iter().partition(|response| response.status == StatusCode::OK);
        assert_eq!((good.len(), bad.len()), (1, 19), "round {round}");
        for response in bad {
            let refused = (StatusCode::BAD_REQUEST, &json!("invalid_grant"));
            assert_eq!((response.status, &response.json()["error"]), refused, "round {round}");
        }
    }
}

#[tokio::test]
async fn code_is_bound_to_client_redirect_uri_and_verifier() {
    let world = World::new();
    let (client, other) = (world.client().await, world.client().await);
    let code = world.code(&client).await;
    for (name, value, error) in [
        ("client_id", other.as_str(), "invalid_grant"),
        ("redirect_uri", "https://client.example/other", "invalid_grant"),
        ("code_verifier", CHALLENGE, "invalid_grant"),
        ("code_verifier", "", "invalid_request"),
        ("code", "", "invalid_request"),
        ("resource", "https://evil.example", "invalid_target"),
        ("resource", "https://deputy.example/mcp#x", "invalid_target"),
    ] {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("client_id", &client),
            ("code", &code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", CALLBACK),
        ];
        form.retain(|(held, _)| *held != name);
        form.push((name, value));
        let response = world.post_form("/token", &form).await;
        assert_eq!(
            (response.status, &response.json()["error"]),
            (StatusCode::BAD_REQUEST, &json!(error)),
            "{name}={value}"
        );
    }
    assert_eq!(world.redeem(&client, &code).await.status, StatusCode::OK, "nothing was consumed");
}

#[tokio::test]
async fn code_is_refused_with_another_registered_redirect_uri() {
    let world = World::new();
    let other = "https://client.example/other";
    let metadata = json!({ "redirect_uris": [CALLBACK, other], "token_endpoint_auth_method": "none" });
    let client = world.register(&metadata).await["client_id"].as_str().unwrap().to_owned();
    for (used, unused) in [(CALLBACK, other), (other, CALLBACK)] {
        let url = world.authorize_url(&client, &[("redirect_uri", used)]);
        let code = world.log_in(&mut world.browser(), "alice", &url).await.query("code").unwrap();
        for (redirect_uri, status) in [(unused, StatusCode::BAD_REQUEST), (used, StatusCode::OK)] {
            let form = [
                ("grant_type", "authorization_code"),
                ("client_id", client.as_str()),
                ("code", &code),
                ("code_verifier", VERIFIER),
                ("redirect_uri", redirect_uri),
            ];
            let response = world.post_form("/token", &form).await;
            assert_eq!(response.status, status, "{redirect_uri}: {}", response.text);
            let error = &response.json()["error"];
            assert_eq!(error == "invalid_grant", status == StatusCode::BAD_REQUEST, "{error}");
        }
    }
}

#[tokio::test]
async fn code_expires_after_two_minutes() {
    let world = World::new();
    let client = world.client().await;
    let code = world.code(&client).await;
    world.host.advance(120);
    let response = world.redeem(&client, &code).await.json();
    let issued = world.audited().await.pop().expect("an event");
    let reference = issued["reference"].as_str().expect("a reference");
    let expected = json!({
        "error": "invalid_grant",
        "error_description": format!("the code has expired, or its login has ended (reference {reference})"),
    });
    assert_eq!(response, expected);
}

#[tokio::test]
async fn code_used_as_a_token_is_refused_and_stays_redeemable() {
    let world = World::new();
    let client = world.client().await;
    let code = world.code(&client).await;
    let response = world.call(&code, "get_my_todo_list", json!({})).await;
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
    assert!(response.header("www-authenticate").starts_with("Bearer error=\"invalid_token\", "));
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
    let response = world.refresh(&client, &code).await;
    let refused = (StatusCode::BAD_REQUEST, &json!("invalid_grant"));
    assert_eq!((response.status, &response.json()["error"]), refused);
    let form = [("token", code.as_str()), ("client_id", &client)];
    assert_eq!(world.post_form("/revoke", &form).await.status, StatusCode::OK);
    assert_eq!(world.redeem(&client, &code).await.status, StatusCode::OK);
}

pub(crate) fn redemption<'a>(client: &'a str, code: &'a str) -> Vec<(&'static str, &'a str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", code),
        ("code_verifier", VERIFIER),
        ("redirect_uri", CALLBACK),
    ]
}

#[tokio::test]
async fn repeated_redemption_parameter_is_refused_and_keeps_the_code() {
    let world = World::new();
    let client = world.client().await;
    let code = world.code(&client).await;
    for (name, value) in redemption(&client, &code) {
        let mut form = redemption(&client, &code);
        form.push((name, value));
        let response = world.post_form("/token", &form).await;
        let expected = (StatusCode::BAD_REQUEST, &json!("invalid_request"));
        assert_eq!((response.status, &response.json()["error"]), expected, "{name}");
    }
    assert_eq!(world.redeem(&client, &code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn redemption_outside_a_form_is_refused_and_keeps_the_code() {
    let world = World::new();
    let client = world.client().await;
    let code = world.code(&client).await;
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(redemption(&client, &code))
        .finish();
    let in_query = format!("/token?{form}");
    for (method, path, media_type, body) in [
        ("GET", in_query.as_str(), FORM, ""),
        ("POST", in_query.as_str(), FORM, ""),
        ("POST", "/token", "text/plain", form.as_str()),
        ("POST", "/token", "multipart/form-data; boundary=x", form.as_str()),
        ("PUT", "/token", FORM, form.as_str()),
    ] {
        let response = world.request(method, path, &[("content-type", media_type)], body).await;
        assert!(response.status.is_client_error(), "{method} {path} {media_type}: {}", response.text);
    }
    assert_eq!(world.redeem(&client, &code).await.status, StatusCode::OK);
}
