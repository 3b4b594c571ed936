//! The authentication request that Deputy sends to PingOne (OpenID Connect Core §3.1.2.1).

use std::collections::BTreeSet;

use http::StatusCode;

use crate::world::{API, DEPUTY, World};

#[tokio::test]
async fn authentication_request_is_complete_and_hides_client_state() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    browser.submit(&page, &[], "approve").await;
    let exchanges = world.network.exchanges();
    let sent = exchanges.iter().find(|e| e.request.uri().path().ends_with("/as/authorize")).unwrap();
    let url = url::Url::parse(&sent.request.uri().to_string()).unwrap();
    let value = |name: &str| {
        url.query_pairs().find(|(key, _)| key == name).map(|(_, v)| v.into_owned()).unwrap_or_default()
    };
    for (name, expected) in [
        ("response_type", "code"),
        ("redirect_uri", "https://deputy.example/callback"),
        ("scope", "openid profile offline_access todo:read todo:write"),
        ("code_challenge_method", "S256"),
        ("acr_values", world.config.policy_id.as_str()),
        ("resource", API),
        ("mcp_client_name", "Test client"),
        ("mcp_redirect_host", "client.example"),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    for (name, length) in [("state", 64), ("nonce", 43), ("code_challenge", 43)] {
        assert_eq!(value(name).len(), length, "{name}");
    }
    assert!(!url.as_str().contains("client-state") && !url.as_str().contains(&client));
}

#[tokio::test]
async fn every_login_has_its_own_state_nonce_and_challenge() {
    let world = World::new();
    let client = world.client().await;
    let mut values = BTreeSet::new();
    for _ in 0..5 {
        let mut browser = world.browser();
        let page = browser.open(&world.authorize_url(&client, &[])).await;
        let page = browser.submit(&page, &[], "approve").await;
        values.extend(["state", "nonce", "code_challenge"].map(|name| page.query(name).expect("a value")));
    }
    assert_eq!(values.len(), 15, "{values:?}");
}

#[tokio::test]
async fn forged_host_header_leaves_authentication_request_as_is() {
    let world = World::with(&[("CLIENT_APPROVAL", "remember")]);
    let client = world.client().await;
    let mut browser = world.browser();
    world.log_in_to(&mut browser, &client).await;
    let cookie = browser.cookie(DEPUTY, "__Host-mcp-approved").unwrap();
    let headers = [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("sec-fetch-site", "none"),
        ("cookie", &format!("__Host-mcp-approved={cookie}")),
    ];
    let response = world.request("GET", &world.authorize_path(&client, &[]), &headers, "").await;
    assert_eq!(response.status, StatusCode::SEE_OTHER);
    assert!(!response.header("location").contains("evil"));
}
