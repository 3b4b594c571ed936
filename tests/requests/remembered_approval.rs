//! Approvals that a browser remembers, and the requests for which it is asked again.

use http::StatusCode;
use serde_json::json;

use crate::world::{CALLBACK, DEPUTY, World, code_at_client};

/// A world in which approvals are remembered for every redirect URI.
fn remembering() -> World {
    World::with(&[("CLIENT_APPROVAL", "remember")])
}

#[tokio::test]
async fn loopback_approval_is_remembered_for_its_port_only() {
    let world = World::new();
    let client = world
        .register(&json!({"redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none"}))
        .await;
    let client = client["client_id"].as_str().unwrap();
    let url =
        |port: u16| world.authorize_url(client, &[("redirect_uri", &format!("http://127.0.0.1:{port}/cb"))]);
    let mut browser = world.browser();
    world.log_in(&mut browser, "alice", &url(5000)).await;
    assert!(code_at_client(&browser.clone().open(&url(5000)).await).is_some());
    assert_eq!(browser.open(&url(6666)).await.url.path(), "/authorize");
}

#[tokio::test]
async fn approval_is_remembered_for_same_client_uri_and_scopes() {
    let world = remembering();
    let client = world.client().await;
    let mut browser = world.browser();
    world.log_in_to(&mut browser, &client).await;
    let opened = |options: &'static [(&'static str, &'static str)]| {
        let (mut browser, url) = (browser.clone(), world.authorize_url(&client, options));
        async move { browser.open(&url).await.url }
    };
    assert_eq!(opened(&[]).await.host_str(), Some("client.example"), "silently, through PingOne's session");
    for options in [&[("prompt", "consent")][..], &[("scope", "todo:read")][..]] {
        assert_eq!(opened(options).await.path(), "/authorize", "{options:?}: the page");
    }
    let other = world.client().await;
    assert_eq!(browser.clone().open(&world.authorize_url(&other, &[])).await.url.path(), "/authorize");
    assert_eq!(world.browser().open(&world.authorize_url(&client, &[])).await.url.path(), "/authorize");
}

#[tokio::test]
async fn consent_prompt_with_offline_access_uses_the_approval() {
    let world = remembering();
    let client = world.client().await;
    // As current clients send it in each request.
    let url = world
        .authorize_url(&client, &[("scope", "todo:read todo:write offline_access"), ("prompt", "consent")]);
    let mut browser = world.browser();
    let page = browser.open(&url).await;
    assert!(page.text.contains("does not ask again"), "{}", page.text);
    world.log_in(&mut browser, "alice", &url).await;
    assert!(code_at_client(&browser.clone().open(&url).await).is_some());
    let page = browser.open(&url.replace("+offline_access", "")).await;
    assert_eq!(page.url.path(), "/authorize", "a client that wants its user asked");
}

#[tokio::test]
async fn link_from_another_site_ignores_remembered_approval() {
    let world = remembering();
    let client = world.client().await;
    let mut browser = world.browser();
    world.log_in_to(&mut browser, &client).await;
    let page = browser.open_from(&world.authorize_url(&client, &[]), "cross-site").await;
    assert_eq!(page.url.path(), "/authorize");
}

#[tokio::test]
async fn redirect_by_deputy_itself_ignores_remembered_approval() {
    let world = remembering();
    let client = world.client().await;
    let mut browser = world.browser();
    world.log_in_to(&mut browser, &client).await;
    let own = world.authorize_url(&client, &[]);
    assert_eq!(browser.clone().open_from(&own, "same-origin").await.url.path(), "/authorize");
    // A redirect URI at Deputy's own address is refused.
    let own = own.replace("&state=client-state", "");
    let metadata = json!({ "redirect_uris": [own], "token_endpoint_auth_method": "none" });
    let other = world.register(&metadata).await["client_id"].as_str().unwrap().to_owned();
    let page = browser.open(&world.authorize_url(&other, &[("redirect_uri", &own)])).await;
    assert_eq!((page.status, page.url.path()), (StatusCode::BAD_REQUEST, "/authorize"));
    assert!(page.text.contains("an address of this server itself"), "{}", page.text);
}

#[tokio::test]
async fn denial_forgets_the_remembered_approval() {
    let world = remembering();
    let client = world.client().await;
    let mut browser = world.browser();
    world.log_in_to(&mut browser, &client).await;
    let url = world.authorize_url(&client, &[]);
    // A denial of fewer scopes forgets the approval, too.
    let less = world.authorize_url(&client, &[("scope", "todo:read")]);
    let page = browser.open_from(&less, "cross-site").await;
    assert_eq!(browser.submit(&page, &[], "deny").await.query("error").as_deref(), Some("access_denied"));
    assert_eq!(browser.open(&url).await.url.path(), "/authorize");
}

#[tokio::test]
async fn edited_approval_cookie_remembers_nothing() {
    let world = remembering();
    let client = world.client().await;
    let mut browser = world.browser();
    world.log_in_to(&mut browser, &client).await;
    let value = browser.cookie("https://deputy.example", "__Host-mcp-approved").unwrap().to_owned();
    for edited in
        [value.replacen('A', "B", 1), value.to_lowercase(), format!("{value}A"), ".".into(), String::new()]
    {
        browser.set_cookie("https://deputy.example", "__Host-mcp-approved", &edited);
        assert_eq!(
            browser.clone().open(&world.authorize_url(&client, &[])).await.url.path(),
            "/authorize",
            "{edited}"
        );
    }
}

#[tokio::test]
async fn approval_is_kept_for_thirty_days_or_never_with_always() {
    let world = remembering();
    let client = world.client().await;
    let mut browser = world.browser();
    world.log_in_to(&mut browser, &client).await;
    world.host.advance(30 * 24 * 3600);
    assert_eq!(browser.open(&world.authorize_url(&client, &[])).await.url.path(), "/authorize");
    let world = World::with(&[("CLIENT_APPROVAL", "always")]);
    let client = world.client().await;
    let mut browser = world.browser();
    world.log_in_to(&mut browser, &client).await;
    assert_eq!(browser.open(&world.authorize_url(&client, &[])).await.url.path(), "/authorize");
    assert!(browser.cookie(DEPUTY, "__Host-mcp-approved").is_none(), "not even for another configuration");
}

#[tokio::test]
async fn client_approval_setting_decides_which_uris_are_remembered() {
    const LOOPBACK: &str = "http://127.0.0.1/cb";
    const PRIVATE: &str = "myapp://localhost/cb";
    for (setting, remembered) in [
        ("", &[LOOPBACK][..]),
        ("loopback", &[LOOPBACK]),
        ("always", &[]),
        ("remember", &[LOOPBACK, CALLBACK, PRIVATE]),
    ] {
        let world = World::with(&[("CLIENT_APPROVAL", setting), ("PRIVATE_USE_REDIRECT_URIS", PRIVATE)]);
        let metadata = json!({
            "redirect_uris": [LOOPBACK, CALLBACK, PRIVATE], "token_endpoint_auth_method": "none",
        });
        let client = world.register(&metadata).await["client_id"].as_str().unwrap().to_owned();
        for uri in [LOOPBACK, CALLBACK, PRIVATE] {
            let url = world.authorize_url(&client, &[("redirect_uri", uri)]);
            let mut browser = world.browser();
            let page = browser.open(&url).await;
            assert_eq!(
                page.text.contains("does not ask again"),
                remembered.contains(&uri),
                "{setting} {uri}"
            );
            browser.submit(&page, &[], "approve").await;
            let silent = browser.open(&url).await.url.path() != "/authorize";
            assert_eq!(silent, remembered.contains(&uri), "{setting} {uri}");
        }
    }
}

#[tokio::test]
async fn changed_client_approval_setting_asks_again() {
    let world = remembering();
    let client = world.client().await;
    let mut browser = world.browser();
    world.log_in_to(&mut browser, &client).await;
    let url = world.authorize_url(&client, &[]);
    assert!(code_at_client(&browser.clone().open(&url).await).is_some());
    world.start(&[]);
    assert_eq!(browser.open(&url).await.url.path(), "/authorize");
}

#[tokio::test]
async fn thirty_open_approvals_fit_into_browser_cookies() {
    let world = remembering();
    let mut browser = world.browser();
    for _ in 0..30 {
        let client = world.client().await;
        let page = browser.open(&world.authorize_url(&client, &[])).await;
        browser.submit(&page, &[], "approve").await;
    }
    let origin = "https://deputy.example";
    let size: usize = browser
        .cookie_names(origin)
        .iter()
        .map(|name| name.len() + browser.cookie(origin, name).unwrap().len() + 3)
        .sum();
    assert!(size < 6 * 1024, "{size}");
}

#[tokio::test]
async fn other_redirect_uri_of_an_approved_client_asks_again() {
    let world = remembering();
    let second = "https://client.example/another";
    let metadata = json!({ "redirect_uris": [CALLBACK, second], "token_endpoint_auth_method": "none" });
    let client = world.register(&metadata).await["client_id"].as_str().unwrap().to_owned();
    let mut browser = world.browser();
    world.log_in_to(&mut browser, &client).await;
    let page = browser.open(&world.authorize_url(&client, &[("redirect_uri", second)])).await;
    assert_eq!(page.url.path(), "/authorize");
    assert!(page.text.contains(second), "{}", page.text);
}

#[tokio::test]
async fn more_scopes_than_approved_ask_again() {
    let world = remembering();
    let client = world.client().await;
    let mut browser = world.browser();
    let url = |scope| world.authorize_url(&client, &[("scope", scope)]);
    world.log_in(&mut browser, "alice", &url("todo:read")).await;
    assert!(code_at_client(&browser.clone().open(&url("todo:read")).await).is_some());
    assert_eq!(browser.open(&url("todo:read todo:write")).await.url.path(), "/authorize");
}

#[tokio::test]
async fn remembered_approval_needs_sec_fetch_site_none() {
    let world = remembering();
    let client = world.client().await;
    let mut browser = world.browser();
    world.log_in_to(&mut browser, &client).await;
    let url = world.authorize_url(&client, &[]);
    assert_eq!(browser.clone().open_from(&url, "same-site").await.url.path(), "/authorize");
    let value = browser.cookie("https://deputy.example", "__Host-mcp-approved").unwrap();
    let cookie = format!("__Host-mcp-approved={value}");
    let sent = [("cookie", cookie.as_str())];
    let without = world.request("GET", &world.authorize_path(&client, &[]), &sent, "").await;
    assert_eq!(without.status, StatusCode::OK, "the page");
    let sent = [("cookie", cookie.as_str()), ("sec-fetch-site", "none")];
    let with = world.request("GET", &world.authorize_path(&client, &[]), &sent, "").await;
    assert_eq!(with.status, StatusCode::SEE_OTHER, "silently");
}

#[tokio::test]
async fn seventeenth_approval_replaces_the_oldest() {
    let world = remembering();
    let mut browser = world.browser();
    let mut urls = Vec::new();
    for _ in 0..17 {
        urls.push(world.authorize_url(&world.client().await, &[]));
        let page = browser.open(urls.last().unwrap()).await;
        assert_eq!(page.url.path(), "/authorize");
        browser.submit(&page, &[], "approve").await;
    }
    let mut asked = Vec::new();
    for url in &urls {
        asked.push(browser.open(url).await.url.host_str() == Some("deputy.example"));
    }
    assert_eq!(asked, [&[true][..], &[false; 16]].concat());
}
