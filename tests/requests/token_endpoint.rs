//! Requests to the token endpoint that no grant type accepts.

use http::StatusCode;
use serde_json::json;

use crate::world::{API, CALLBACK, Response, Tokens, VERIFIER, World};

#[tokio::test]
async fn garbage_or_another_kind_of_token_is_an_invalid_grant() {
    let world = World::new();
    let tokens = world.connected().await;
    let refused = (StatusCode::BAD_REQUEST, json!("invalid_grant"));
    let told = |response: Response| (response.status, response.json()["error"].clone());
    let (long, alike) = ("x".repeat(20_000), format!("dpc_{}", "A".repeat(80)));
    for garbage in ["x", "\0", "::", "a:b:c", "../x", "ü\u{202e}\u{1f980}", "dpc_", "'; --", &long, &alike] {
        assert_eq!(told(world.redeem(&tokens.client, garbage).await), refused, "{garbage:?}");
        assert_eq!(told(world.refresh(&tokens.client, garbage).await), refused, "{garbage:?}");
    }
    for token in [&tokens.access, &tokens.refresh] {
        assert_eq!(told(world.redeem(&tokens.client, token).await), refused);
    }
    assert_eq!(told(world.refresh(&tokens.client, &tokens.access).await), refused);
    let response = world.call(&tokens.refresh, "get_my_todo_list", json!({})).await;
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.status, StatusCode::OK);
}

#[tokio::test]
async fn empty_token_parameter_counts_as_omitted() {
    const EMPTY: &str = "resource=&scope=&client_secret=&client_id=&grant_type=&code=&refresh_token=&redirect_uri=&token=&token_type_hint=";
    let world = World::new();
    let client = world.client().await;
    let code = world.code(&client).await;
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let post = async |path: &str, form: &str| world.request("POST", path, &headers, form).await;
    let form =
        format!("grant_type=authorization_code&client_id={client}&code={code}&code_verifier={VERIFIER}");
    let response = post("/token", &format!("{EMPTY}&{form}")).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.text);
    let tokens = Tokens::of(&client, &response);
    let form = format!("grant_type=refresh_token&client_id={client}&refresh_token={}", tokens.refresh);
    let response = post("/token", &format!("{form}&{EMPTY}")).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.text);
    let form = format!("token={}&client_id={client}", Tokens::of(&client, &response).access);
    assert_eq!(post("/revoke", &format!("{EMPTY}&{form}")).await.status, StatusCode::OK);
    let response = world.call(&Tokens::of(&client, &response).access, "who_am_i", json!({})).await;
    assert_eq!(response.status, StatusCode::UNAUTHORIZED, "it was revoked");
}

#[tokio::test]
async fn invalid_token_request_is_refused_with_its_error_code() {
    let world = World::new();
    let client = world.client().await;
    for grant_type in
        ["password", "client_credentials", "implicit", "urn:ietf:params:oauth:grant-type:device_code"]
    {
        let response = world.post_form("/token", &[("grant_type", grant_type), ("client_id", &client)]).await;
        let refused = (StatusCode::BAD_REQUEST, &json!("unsupported_grant_type"));
        assert_eq!((response.status, &response.json()["error"]), refused, "{grant_type}");
    }
    assert_eq!(world.post_form("/token", &[]).await.json()["error"], "invalid_request");
    let twice = [
        ("grant_type", "refresh_token"),
        ("client_id", &client),
        ("refresh_token", "a"),
        ("refresh_token", "b"),
    ];
    assert_eq!(world.post_form("/token", &twice).await.json()["error"], "invalid_request");
    let json = world.post_json("/token", &json!({"grant_type": "refresh_token"})).await;
    assert_eq!((json.status, &json.json()["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_request")));
    let large = world.post_form("/token", &[("grant_type", &"x".repeat(100_000))]).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn authenticated_client_gets_no_token_without_a_user() {
    let world = World::new();
    let registered = world.register(&json!({ "redirect_uris": [CALLBACK] })).await;
    let [client, secret] = ["client_id", "client_secret"].map(|name| registered[name].as_str().unwrap());
    for grant_type in ["password", "client_credentials", "implicit", "token", "Authorization_Code"] {
        let form = [
            ("grant_type", grant_type),
            ("client_id", client),
            ("client_secret", secret),
            ("username", "alice"),
            ("password", "Alice-demo-1"),
            ("scope", "todo:read"),
        ];
        let response = world.post_form("/token", &form).await;
        let refused = (StatusCode::BAD_REQUEST, &json!("unsupported_grant_type"));
        assert_eq!((response.status, &response.json()["error"]), refused, "{grant_type}");
    }
    assert_eq!(world.requests_to_pingone(), 0);
}
