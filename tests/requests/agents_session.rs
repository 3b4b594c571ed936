//! The session of *Your agents*: sign-in at PingOne, sign-out, and forms that other pages send.

use harness::browser::{Browser, Page};
use http::StatusCode;
use pingone_sim::Failure;
use serde_json::json;
use url::Url;

use crate::world::{DEPUTY, PINGONE, World, agent_ids, agents_url, cookie_header, form_token, list_todos};

const SESSION: &str = "__Host-mcp-agents";

/// The page of PingOne after the button of the sign-in page.
async fn begun(browser: &mut Browser) -> Page {
    let page = browser.open(&agents_url()).await;
    browser.submit(&page, &[], "sign-in").await
}

/// The unused callback URL of a sign-in that `user` has finished at PingOne.
async fn finished_at_pingone(world: &World, browser: &mut Browser, user: &str) -> Url {
    let page = begun(browser).await;
    world.network.unplug(DEPUTY);
    let page = world.finish_at_pingone(browser, user, page).await;
    world.start(&[]);
    assert_eq!(page.url.path(), "/callback");
    page.url
}

fn asks_to_sign_in(page: &Page) -> bool {
    page.text.contains("value=\"sign-in\"") && agent_ids(page).is_empty()
}

#[tokio::test]
async fn page_without_a_session_asks_to_sign_in() {
    let world = World::new();
    world.connected().await;
    let before = world.requests_to_pingone();
    let page = world.browser().open(&agents_url()).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(asks_to_sign_in(&page), "{}", page.text);
    assert_eq!(world.requests_to_pingone(), before);
}

#[tokio::test]
async fn sign_in_asks_pingone_for_the_user_and_no_access() {
    let world = World::new();
    let page = begun(&mut world.browser()).await;
    assert!(page.url.as_str().starts_with(PINGONE), "{}", page.url);
    let exchanges = world.network.exchanges();
    let authorize = exchanges.iter().find(|exchange| exchange.request.uri().path().ends_with("/authorize"));
    let url = Url::parse(&authorize.expect("a request").request.uri().to_string()).expect("a URL");
    let of = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    assert_eq!(of("scope").as_deref(), Some("openid profile"));
    assert_eq!(of("acr_values").as_deref(), Some(world.config.policy_id.as_str()));
    assert_eq!(of("redirect_uri").as_deref(), Some("https://deputy.example/callback"));
    assert!(of("nonce").is_some() && of("state").is_some() && of("code_challenge").is_some());
    assert!(of("resource").is_none() && of("mcp_client_name").is_none());
}

#[tokio::test]
async fn session_cookie_is_sealed_and_bound_to_this_host() {
    let world = World::new();
    let mut browser = world.browser();
    let callback = finished_at_pingone(&world, &mut browser, "alice").await;
    let cookies = cookie_header(&browser);
    let path = callback.as_str().strip_prefix(DEPUTY).expect("a path");
    let response = world.request("GET", path, &[("cookie", &cookies)], "").await;
    assert_eq!(response.status, StatusCode::SEE_OTHER);
    assert_eq!(response.header("location"), agents_url());
    let set = response.headers.get_all("set-cookie").iter().map(|value| value.to_str().expect("ASCII"));
    let set = set.filter(|cookie| cookie.starts_with(SESSION)).collect::<Vec<_>>();
    assert_eq!(set.len(), 1);
    assert!(set[0].ends_with("; Path=/; Max-Age=900; HttpOnly; Secure; SameSite=Lax"), "{}", set[0]);
    assert!(!set[0].contains("alice") && set[0].len() < 2000);
}

#[tokio::test]
async fn session_ends_after_a_quarter_of_an_hour_of_use() {
    let world = World::new();
    let tokens = world.connected().await;
    let mut browser = world.browser();
    let page = world.sign_in_to_agents(&mut browser, "alice").await;
    world.host.advance(890);
    assert!(!asks_to_sign_in(&browser.open(&agents_url()).await));
    world.host.advance(20);
    assert!(asks_to_sign_in(&browser.open(&agents_url()).await));
    let late = browser.submit(&page, &[], "end").await;
    assert_eq!(late.status, StatusCode::FORBIDDEN);
    assert!(late.text.contains("nothing was changed"), "{}", late.text);
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK);
}

#[tokio::test]
async fn cookie_of_a_signed_out_session_is_refused() {
    let world = World::new();
    world.connected().await;
    let mut browser = world.browser();
    let page = world.sign_in_to_agents(&mut browser, "alice").await;
    let mut thief = browser.clone();
    let page = browser.submit(&page, &[], "sign-out").await;
    assert!(asks_to_sign_in(&page) && page.text.contains("signed out"), "{}", page.text);
    assert_eq!(browser.cookie(DEPUTY, SESSION), None);
    assert!(thief.cookie(DEPUTY, SESSION).is_some());
    assert!(asks_to_sign_in(&thief.open(&agents_url()).await));
    // The next session is not affected.
    let page = begun(&mut browser).await;
    let page = world.finish_at_pingone(&mut browser, "alice", page).await;
    assert_eq!(agent_ids(&page).len(), 1, "{}", page.text);
}

#[tokio::test]
async fn altered_session_cookie_asks_to_sign_in() {
    let world = World::new();
    let mut browser = world.browser();
    world.sign_in_to_agents(&mut browser, "alice").await;
    let value = browser.cookie(DEPUTY, SESSION).expect("a cookie").to_owned();
    let altered: String = value.chars().rev().collect();
    for value in [altered.as_str(), "", "x", &value[1..]] {
        browser.set_cookie(DEPUTY, SESSION, value);
        assert!(asks_to_sign_in(&browser.open(&agents_url()).await), "{value}");
    }
}

#[tokio::test]
async fn form_of_another_site_changes_nothing() {
    let world = World::new();
    let tokens = world.connected().await;
    let mut browser = world.browser();
    let page = world.sign_in_to_agents(&mut browser, "alice").await;
    let (id, token) = (&agent_ids(&page)[0], form_token(&page));
    let evil = Url::parse("https://evil.example/").expect("a URL");
    let url = Url::parse(&agents_url()).expect("a URL");
    for body in [
        format!("action=end&agent={id}&token={token}"),
        format!("action=end-all&confirm=yes&token={token}"),
        "action=sign-in".to_owned(),
    ] {
        let refused = browser.post(url.clone(), body, &evil).await;
        assert_eq!((refused.status, refused.url.path()), (StatusCode::BAD_REQUEST, "/agents"));
    }
    for body in [format!("action=end&agent={id}"), format!("action=end&agent={id}&token={}", &token[1..])] {
        assert_eq!(browser.post(url.clone(), body, &url).await.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK);
}

#[tokio::test]
async fn form_with_unknown_or_repeated_values_is_refused() {
    let world = World::new();
    world.connected().await;
    let mut browser = world.browser();
    let page = world.sign_in_to_agents(&mut browser, "alice").await;
    let (id, token) = (&agent_ids(&page)[0], form_token(&page));
    let url = Url::parse(&agents_url()).expect("a URL");
    for body in [
        String::new(),
        format!("token={token}"),
        format!("action=drop&token={token}"),
        format!("action=end&token={token}"),
        format!("action=end&agent=../x&token={token}"),
        format!("action=end&agent={id}&agent={id}&token={token}"),
        format!("action=end&action=end&agent={id}&token={token}"),
    ] {
        assert_eq!(
            browser.post(url.clone(), body.clone(), &url).await.status,
            StatusCode::BAD_REQUEST,
            "{body}"
        );
    }
}

#[tokio::test]
async fn other_user_in_the_same_browser_gets_their_own_page() {
    let world = World::new();
    let (alice, bob) = (world.connected().await, world.connected_as("bob", &[]).await);
    let mut browser = world.browser();
    let of_alice = world.sign_in_to_agents(&mut browser, "alice").await;
    // Alice's page stays open while Bob signs in.
    let page = browser.submit(&of_alice, &[], "sign-out").await;
    let page = browser.submit(&page, &[], "other-account").await;
    let of_bob = world.finish_at_pingone(&mut browser, "bob", page).await;
    assert_eq!(agent_ids(&of_bob).len(), 1);
    assert_ne!(agent_ids(&of_bob), agent_ids(&of_alice));
    let refused = browser.submit(&of_alice, &[("confirm", "yes")], "end").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    for tokens in [&alice, &bob] {
        assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn sign_in_finishes_only_in_the_browser_that_began_it() {
    let world = World::new();
    let callback = finished_at_pingone(&world, &mut world.browser(), "alice").await;
    let mut victim = world.browser();
    let refused = victim.open_from(callback.as_str(), "cross-site").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
    assert_eq!(victim.cookie(DEPUTY, SESSION), None);
}

#[tokio::test]
async fn callback_of_a_sign_in_works_once() {
    let world = World::new();
    let mut browser = world.browser();
    let callback = finished_at_pingone(&world, &mut browser, "alice").await;
    let cookies = browser.clone();
    assert_eq!(browser.open(callback.as_str()).await.status, StatusCode::OK);
    let mut again = cookies;
    assert_eq!(again.open(callback.as_str()).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(again.cookie(DEPUTY, SESSION), None);
}

#[tokio::test]
async fn sign_in_replaces_a_session_that_was_there_before() {
    let world = World::new();
    let mut browser = world.browser();
    world.sign_in_to_agents(&mut browser, "alice").await;
    let planted = browser.cookie(DEPUTY, SESSION).expect("a cookie").to_owned();
    let page = browser.open(&agents_url()).await;
    let page = browser.submit(&page, &[], "sign-out").await;
    browser.set_cookie(DEPUTY, SESSION, &planted);
    let page = browser.submit(&page, &[], "sign-in").await;
    world.finish_at_pingone(&mut browser, "alice", page).await;
    assert_ne!(browser.cookie(DEPUTY, SESSION), Some(planted.as_str()));
}

#[tokio::test]
async fn sign_in_leads_to_no_other_page() {
    let world = World::new();
    let mut browser = world.browser();
    let evil = "https://evil.example/";
    let page =
        browser.open(&format!("{DEPUTY}/agents?return_to={evil}&redirect_uri={evil}&next={evil}")).await;
    assert!(!page.text.contains("evil.example"), "{}", page.text);
    let page = browser.submit(&page, &[("return_to", evil), ("redirect_uri", evil)], "sign-in").await;
    let page = world.finish_at_pingone(&mut browser, "alice", page).await;
    assert_eq!(page.url.as_str(), agents_url());
}

#[tokio::test]
async fn agents_pages_cannot_be_framed_cached_or_scripted() {
    let world = World::new();
    world.connected().await;
    let mut browser = world.browser();
    let before = browser.open(&agents_url()).await;
    let page = world.sign_in_to_agents(&mut browser, "alice").await;
    let after = browser.submit(&page, &[], "end").await;
    for page in [before, page, after] {
        let header = |name: &str| page.headers[name].to_str().expect("ASCII").to_owned();
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("script-src"), "{policy}");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("referrer-policy"), "no-referrer");
    }
}

#[tokio::test]
async fn page_of_another_site_cannot_load_agents_in_the_background() {
    let world = World::new();
    let headers =
        [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
    assert_eq!(world.request("GET", "/agents", &headers, "").await.status, StatusCode::BAD_REQUEST);
    for method in ["HEAD", "PUT", "DELETE"] {
        let status = world.request(method, "/agents", &[], "").await.status;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
}

#[tokio::test]
async fn failed_sign_in_is_told_on_a_page() {
    for (failure, status) in [
        (Failure::IdTokenClaim("nonce".into(), json!("another")), StatusCode::BAD_GATEWAY),
        (Failure::IdTokenClaim("acr".into(), json!("another")), StatusCode::BAD_GATEWAY),
        (Failure::Token(500, "{}".into()), StatusCode::BAD_GATEWAY),
    ] {
        let world = World::new();
        world.pingone.force(failure.clone());
        let mut browser = world.browser();
        let page = world.sign_in_to_agents(&mut browser, "alice").await;
        assert_eq!(page.status, status, "{failure:?}: {}", page.text);
        assert!(asks_to_sign_in(&page));
        assert_eq!(browser.cookie(DEPUTY, SESSION), None);
    }
}
