//! Client authentication at the token and revocation endpoints (OAuth 2.1 §2.4).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    authorization_code::redemption,
    world::{CALLBACK, Response, Tokens, VERIFIER, World},
};

/// Posts a form with these `Authorization` headers.
async fn authorized(world: &World, path: &str, authorization: &[&str], form: &str) -> Response {
    let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
    headers.extend(authorization.iter().map(|value| ("authorization", *value)));
    world.request("POST", path, &headers, form).await
}

#[tokio::test]
async fn authorization_header_of_another_scheme_is_ignored() {
    let world = World::new();
    let tokens = world.connected().await;
    let registered = world.register(&json!({ "redirect_uris": [CALLBACK] })).await;
    let [id, secret] = ["client_id", "client_secret"].map(|name| registered[name].as_str().unwrap());
    let public = format!("client_id={}", tokens.client);
    let confidential = format!("client_id={id}&client_secret={secret}");
    for authorization in [
        &[][..],
        &[""],
        &["Bearer"],
        &["Bearer stale"],
        &["bearer stale", "Negotiate YQ=="],
        &["DPoP eyJ", "Bearer a"],
        &["Digest username=\"Basic\", realm=\"x, Basic y\""],
        &["Basic"],
    ] {
        for form in [&public, &confidential] {
            let asked = format!("grant_type=refresh_token&refresh_token=x&{form}");
            let response = authorized(&world, "/token", authorization, &asked).await;
            assert_eq!(response.json()["error"], "invalid_grant", "{authorization:?} {form}");
            let response = authorized(&world, "/revoke", authorization, &format!("token=x&{form}")).await;
            assert_eq!(response.status, StatusCode::OK, "{authorization:?} {form}");
        }
        let unproved = format!("grant_type=refresh_token&refresh_token=x&client_id={id}");
        let response = authorized(&world, "/token", authorization, &unproved).await;
        assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{authorization:?}");
    }
}

#[tokio::test]
async fn client_authenticates_in_one_way_and_may_repeat_its_id() {
    let world = World::new();
    let public = world.client().await;
    let registered = world.register(&json!({ "redirect_uris": [CALLBACK] })).await;
    let [id, secret] = ["client_id", "client_secret"].map(|name| registered[name].as_str().unwrap());
    let basic = |credentials: &str| format!("Basic {}", STANDARD.encode(credentials));
    let (own, of_public) = (basic(&format!("{id}:{secret}")), basic(&format!("{public}:")));
    let good = (StatusCode::BAD_REQUEST, json!("invalid_grant"));
    let several = (StatusCode::BAD_REQUEST, json!("invalid_request"));
    for (authorization, form, told) in [
        (&[own.as_str()][..], format!("&client_id={id}"), &good),
        (&["Bearer stale", &own], format!("&client_id={id}&client_secret="), &good),
        (&[&of_public], String::new(), &good),
        (&[&of_public], format!("&client_id={public}"), &good),
        (&[&own], format!("&client_id={id}&client_secret={secret}"), &several),
        (&[&own, &own], String::new(), &several),
        (&[&own], format!("&client_id={public}"), &several),
    ] {
        let form = format!("grant_type=refresh_token&refresh_token=x{form}");
        let response = authorized(&world, "/token", authorization, &form).await;
        assert_eq!((response.status, response.json()["error"].clone()), *told, "{authorization:?} {form}");
    }
}

#[tokio::test]
async fn confidential_client_authenticates_by_basic_or_form() {
    let world = World::new();
    let registered = world.register(&json!({"redirect_uris": [CALLBACK]})).await;
    let (client, secret) =
        (registered["client_id"].as_str().unwrap(), registered["client_secret"].as_str().unwrap());
    let code = world.code(client).await;
    for wrong in [None, Some(""), Some("wrong")] {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", &code),
            ("code_verifier", VERIFIER),
        ];
        form.extend(wrong.map(|secret| ("client_secret", secret)));
        let response = world.post_form("/token", &form).await;
        assert_eq!(
            (response.status, &response.json()["error"]),
            (StatusCode::UNAUTHORIZED, &json!("invalid_client"))
        );
        assert!(response.header("www-authenticate").starts_with("Basic "));
    }
    let basic =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{client}:{secret}"));
    let body = format!("grant_type=authorization_code&code={code}&code_verifier={VERIFIER}");
    let headers = [
        ("content-type", "application/x-www-form-urlencoded; charset=UTF-8"),
        ("authorization", &format!("Basic {basic}")),
    ];
    let response = world.request("POST", "/token", &headers, &body).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.text);
    let refresh = response.json()["refresh_token"].as_str().unwrap().to_owned();
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", client),
        ("client_secret", secret),
        ("refresh_token", &refresh),
    ];
    assert_eq!(world.post_form("/token", &form).await.status, StatusCode::OK);
}

#[tokio::test]
async fn confidential_client_is_refused_without_its_own_secret() {
    let world = World::new();
    let metadata = json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_post" });
    let (one, other) = (world.register(&metadata).await, world.register(&metadata).await);
    let text = |client: &Value, name: &str| client[name].as_str().unwrap().to_owned();
    let (id, secret, foreign) =
        (text(&one, "client_id"), text(&one, "client_secret"), text(&other, "client_secret"));
    let code = world.code(&id).await;
    let with = |secret: &str| {
        let mut form: Vec<_> =
            redemption(&id, &code).into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        form.push(("client_secret", secret.to_owned()));
        form
    };
    let post = async |path, form: Vec<(&'static str, String)>| {
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        world.post_form(path, &form).await
    };
    for wrong in [foreign.as_str(), "", "x"] {
        let response = post("/token", with(wrong)).await;
        assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{}", response.text);
        assert!(response.header("www-authenticate").starts_with("Basic"));
    }
    let tokens = Tokens::of(&id, &post("/token", with(&secret)).await);
    let revocation = |secret: Option<&str>| {
        let mut form = vec![("token", tokens.refresh.clone()), ("client_id", id.clone())];
        form.extend(secret.map(|secret| ("client_secret", secret.to_owned())));
        form
    };
    for wrong in [None, Some(foreign.as_str())] {
        assert_eq!(post("/revoke", revocation(wrong)).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(world.call(&tokens.access, "who_am_i", json!({})).await.status, StatusCode::OK);
    }
    assert_eq!(post("/revoke", revocation(Some(&secret))).await.status, StatusCode::OK);
    assert_eq!(world.call(&tokens.access, "who_am_i", json!({})).await.status, StatusCode::UNAUTHORIZED);
}
