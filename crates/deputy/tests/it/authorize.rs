use http::StatusCode;
use serde_json::json;

use crate::world::{CALLBACK, World};

#[tokio::test]
async fn an_unknown_client_gets_a_page_and_no_redirect() {
    let world = World::new();
    for id in ["", "unknown", "https://evil.example/client.json", &"x".repeat(5000)] {
        let response = world.get(&world.authorize_path(id, &[])).await;
        assert_eq!(
            (response.status, response.header("location")),
            (StatusCode::BAD_REQUEST, String::new()),
            "{id}"
        );
        assert!(response.header("content-type").starts_with("text/html"));
    }
}

#[tokio::test]
async fn a_redirect_uri_that_is_not_registered_gets_a_page_and_no_redirect() {
    let world = World::new();
    let client = world.client().await;
    for uri in [
        "https://evil.example/cb",
        "https://client.example/cb/",
        "https://client.example/CB",
        "https://client.example/cb?x=1",
        "https://client.example:444/cb",
        "http://client.example/cb",
        "https://client.example@evil.example/cb",
        "https://client.example.evil.example/cb",
        "https://client.example/x/../cb",
        "https://client.example/%63b",
        "https://client.example/cb#",
        "https://client.example/cb\r\nx: y",
        "https://client.example/cb\0",
        "javascript:alert(1)",
        "https://client.example\\@evil.example/cb",
        "//client.example/cb",
        "/cb",
    ] {
        let response = world.get(&world.authorize_path(&client, &[("redirect_uri", uri)])).await;
        assert_eq!(
            (response.status, response.header("location")),
            (StatusCode::BAD_REQUEST, String::new()),
            "{uri:?}"
        );
    }
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn a_redirect_uri_may_be_left_out_only_when_there_is_one() {
    let world = World::new();
    let one = world.client().await;
    assert_eq!(world.get(&world.authorize_path(&one, &[("redirect_uri", "")])).await.status, StatusCode::OK);
    let two = world.register(&json!({"redirect_uris": [CALLBACK, "https://client.example/other"]})).await;
    let two = two["client_id"].as_str().unwrap();
    assert_eq!(
        world.get(&world.authorize_path(two, &[("redirect_uri", "")])).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn what_else_is_wrong_is_told_to_the_client_with_state_and_issuer() {
    let world = World::new();
    let client = world.client().await;
    for (name, value, error) in [
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "code id_token", "unsupported_response_type"),
        ("response_type", "", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("resource", "https://evil.example/mcp", "invalid_target"),
        ("resource", "https://deputy.example/mcp#x", "invalid_target"),
        ("resource", "https://deputy.example.evil.example/mcp", "invalid_target"),
        ("resource", "/mcp", "invalid_target"),
        ("scope", "admin:all", "invalid_scope"),
    ] {
        let response = world.get(&world.authorize_path(&client, &[(name, value)])).await;
        assert_eq!(response.status, StatusCode::SEE_OTHER, "{name}={value}");
        let answer = response.location();
        assert!(answer.as_str().starts_with(&format!("{CALLBACK}?")), "{answer}");
        let values: Vec<_> = answer
            .query_pairs()
            .filter(|(k, _)| k != "error_description")
            .map(|(_, v)| v.into_owned())
            .collect();
        assert_eq!(values, [error, "client-state", "https://deputy.example"], "{name}={value}");
        assert_eq!(answer.fragment(), None);
    }
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn a_repeated_parameter_is_refused() {
    let world = World::new();
    let client = world.client().await;
    let path = world.authorize_path(&client, &[]);
    for name in ["client_id", "redirect_uri"] {
        assert_eq!(world.get(&format!("{path}&{name}=x")).await.status, StatusCode::BAD_REQUEST, "{name}");
    }
    for name in ["state", "scope", "response_type", "code_challenge", "code_challenge_method"] {
        let response = world.get(&format!("{path}&{name}=x&{name}=x")).await;
        let error =
            response.location().query_pairs().find(|(key, _)| key == "error").map(|(_, v)| v.into_owned());
        assert_eq!(error.as_deref(), Some("invalid_request"), "{name}");
    }
}

#[tokio::test]
async fn the_resource_may_be_spelled_as_clients_spell_it() {
    let world = World::new();
    let client = world.client().await;
    for resource in [
        "https://deputy.example/mcp",
        "https://deputy.example/mcp/",
        "https://deputy.example",
        "https://deputy.example/",
        "https://DEPUTY.example:443/mcp",
    ] {
        let path = world.authorize_path(&client, &[("resource", resource)]);
        assert_eq!(world.get(&path).await.status, StatusCode::OK, "{resource}");
    }
    let twice = format!(
        "{}&resource=https://deputy.example/mcp&resource=https://deputy.example",
        world.authorize_path(&client, &[])
    );
    assert_eq!(world.get(&twice).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_loopback_redirect_uri_may_have_any_port() {
    let world = World::new();
    let client =
        world.register(&json!({"redirect_uris": ["http://127.0.0.1/cb", "http://localhost:3000/cb"]})).await;
    let client = client["client_id"].as_str().unwrap();
    for (uri, status) in [
        ("http://127.0.0.1:49152/cb", StatusCode::OK),
        ("http://localhost:49152/cb", StatusCode::OK),
        ("http://127.0.0.1:49152/other", StatusCode::BAD_REQUEST),
        ("http://127.0.0.2:49152/cb", StatusCode::BAD_REQUEST),
        ("http://127.0.0.1:99999/cb", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(
            world.get(&world.authorize_path(client, &[("redirect_uri", uri)])).await.status,
            status,
            "{uri}"
        );
    }
}

#[tokio::test]
async fn a_private_use_scheme_works_only_where_the_operator_admits_it() {
    const URI: &str = "cursor://anysphere.cursor-mcp/oauth/callback";
    let register = json!({"redirect_uris": [URI, "http://localhost:8787/callback"]});
    let world = World::new();
    let client = world.register(&register).await;
    let path = world.authorize_path(client["client_id"].as_str().unwrap(), &[("redirect_uri", URI)]);
    assert_eq!(world.get(&path).await.status, StatusCode::BAD_REQUEST);
    let world = World::with(&[("PRIVATE_USE_REDIRECT_URIS", URI)]);
    let client = world.register(&register).await;
    let path = world.authorize_path(client["client_id"].as_str().unwrap(), &[("redirect_uri", URI)]);
    assert_eq!(world.get(&path).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_link_that_is_too_long_gets_a_page() {
    let world = World::new();
    let response = world.get(&format!("/authorize?state={}", "x".repeat(20_000))).await;
    assert_eq!(response.status, StatusCode::URI_TOO_LONG);
}

#[tokio::test]
async fn a_request_object_is_neither_fetched_nor_believed() {
    let world = World::new();
    let client = world.client().await;
    let request = "eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL2V2aWwuZXhhbXBsZS9jYiJ9.";
    for (name, value) in [("request_uri", "https://evil.example/request"), ("request", request)] {
        let page = world.get(&world.authorize_path(&client, &[(name, value)])).await;
        assert_eq!(page.status, StatusCode::OK, "{name}");
        assert!(page.text.contains(CALLBACK) && !page.text.contains("evil.example"), "{name}: {}", page.text);
        assert_eq!(world.get(&format!("/authorize?{name}={value}")).await.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(world.requests_to("https://evil.example", ""), 0);
}

#[tokio::test]
async fn markup_in_any_parameter_is_never_markup_in_the_answer() {
    let world = World::new();
    let client = world.client().await;
    let markup = "\"'><script>alert(1)</script>";
    for (name, status) in [
        ("client_id", StatusCode::BAD_REQUEST),
        ("redirect_uri", StatusCode::BAD_REQUEST),
        ("response_type", StatusCode::SEE_OTHER),
        ("response_mode", StatusCode::SEE_OTHER),
        ("code_challenge", StatusCode::SEE_OTHER),
        ("code_challenge_method", StatusCode::SEE_OTHER),
        ("resource", StatusCode::SEE_OTHER),
        ("scope", StatusCode::SEE_OTHER),
        ("state", StatusCode::OK),
        ("prompt", StatusCode::OK),
        ("login_hint", StatusCode::OK),
        (markup, StatusCode::OK),
    ] {
        let answer = world.get(&world.authorize_path(&client, &[(name, markup)])).await;
        assert_eq!(answer.status, status, "{name}");
        assert!(!answer.text.contains("alert(1)"), "{name}: {}", answer.text);
        assert!(!answer.header("location").contains("alert"), "{name}: {}", answer.header("location"));
    }
}
