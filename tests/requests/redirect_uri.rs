//! Redirect URIs of authorization requests: exact comparison, loopback ports (RFC 8252 §7.3), private-use schemes.

use http::StatusCode;
use serde_json::json;

use crate::authorization_endpoint::assert_markup_is_escaped;
use crate::world::{CALLBACK, World};

/// URIs that resemble [`CALLBACK`] and differ as text.
const SIMILAR_URIS: [&str; 39] = [
    "https://evil.example/cb",
    "https://CLIENT.example/cb",
    "https://client.example./cb",
    "https://evilclient.example/cb",
    "https://evil-client.example/cb",
    "https://sub.client.example/cb",
    "https://client.example.evil.example/cb",
    "https://client.examplee/cb",
    "https://client.example:443/cb",
    "https://client.example:444/cb",
    "https://client.example:/cb",
    "http://client.example/cb",
    "HTTPS://client.example/cb",
    "https:/client.example/cb",
    "https:client.example/cb",
    "https:///client.example/cb",
    "https://client.example/cb/",
    "https://client.example//cb",
    "https://client.example/CB",
    "https://client.example/%63b",
    "https://client.example/%2fcb",
    "https://client.example%2fcb",
    "https://client.example/x/../cb",
    "https://client.example/./cb",
    "https://client.example/cb/..",
    "https://client.example/cb?",
    "https://client.example/cb?x=1",
    "https://client.example/cb#",
    "https://client.example/cb#frag",
    "https://user@client.example/cb",
    "https://client.example@evil.example/cb",
    "https://client.example\\@evil.example/cb",
    " https://client.example/cb",
    "https://client.example/cb ",
    "https://client.example/cb\t",
    "https://client.example/cb\r\nx: y",
    "https://client.example/cb\0",
    "javascript:alert(1)",
    "//client.example/cb",
];

#[tokio::test]
async fn unregistered_redirect_uri_gets_a_page_without_redirect() {
    let world = World::new();
    let client = world.client().await;
    for uri in SIMILAR_URIS {
        let response = world.get(&world.authorize_path(&client, &[("redirect_uri", uri)])).await;
        assert_eq!(
            (response.status, response.header("location")),
            (StatusCode::BAD_REQUEST, String::new()),
            "{uri:?}"
        );
        assert_eq!(response.header("content-type"), "text/html; charset=utf-8", "{uri:?}");
    }
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn omitted_redirect_uri_needs_a_single_registered_one() {
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
async fn loopback_redirect_uri_may_differ_in_its_port_only() {
    const BAD: StatusCode = StatusCode::BAD_REQUEST;
    let world = World::new();
    let uris = ["http://127.0.0.1/cb", "http://localhost:3000/cb", "http://[::1]:1/cb?x=1"];
    let client = world.register(&json!({ "redirect_uris": uris })).await;
    for (uri, status) in [
        ("http://127.0.0.1:49152/cb", StatusCode::OK),
        ("http://127.0.0.1/cb", StatusCode::OK),
        ("http://localhost:49152/cb", StatusCode::OK),
        ("http://localhost/cb", StatusCode::OK),
        ("http://[::1]:49152/cb?x=1", StatusCode::OK),
        ("http://[::1]/cb?x=1", StatusCode::OK),
        ("http://127.0.0.1:49152/other", BAD),
        ("http://127.0.0.1:49152/cb/", BAD),
        ("http://127.0.0.1:49152/cb?x=1", BAD),
        ("http://[::1]:49152/cb", BAD),
        ("http://[::1]:49152/cb?x=2", BAD),
        ("http://[::]:49152/cb?x=1", BAD),
        ("http://[::ffff:127.0.0.1]:49152/cb?x=1", BAD),
        ("https://127.0.0.1:49152/cb", BAD),
        ("http://user@127.0.0.1:49152/cb", BAD),
        ("http://127.0.0.1:80@evil.example/cb", BAD),
        ("http://127.0.0.1.evil.example:49152/cb", BAD),
        ("http://localhost.evil.example:49152/cb", BAD),
        ("http://127.0.0.2:49152/cb", BAD),
        ("http://127.1:49152/cb", BAD),
        ("http://127.0.0.1:99999/cb", BAD),
        ("http://127.0.0.1:x/cb", BAD),
    ] {
        let path = world.authorize_path(client["client_id"].as_str().unwrap(), &[("redirect_uri", uri)]);
        let response = world.get(&path).await;
        assert_eq!((response.status, response.header("location")), (status, String::new()), "{uri}");
    }
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn private_use_redirect_uri_needs_the_operators_permission() {
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
async fn markup_in_a_registered_redirect_uri_stays_encoded() {
    const URI: &str = "https://client.example/cb?x='%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    let world = World::new();
    let client = world.register(&json!({ "redirect_uris": [URI] })).await;
    let client = client["client_id"].as_str().unwrap();
    let page = world.get(&world.authorize_path(client, &[("redirect_uri", URI)])).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_markup_is_escaped(&page, "the page");
    assert!(!page.text.contains("x='"), "{}", page.text);
    let wrong = [("redirect_uri", URI), ("response_type", "token")];
    let response = world.get(&world.authorize_path(client, &wrong)).await;
    assert_eq!(response.status, StatusCode::SEE_OTHER);
    assert!(response.header("location").starts_with(&format!("{URI}&error=")));
    assert_markup_is_escaped(&response, "the redirect");
}
