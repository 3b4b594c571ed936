//! The decision that the approval page posts to `/approve`.

use harness::browser::{Browser, Page};
use http::StatusCode;
use url::Url;

use crate::world::{CALLBACK, CHALLENGE, DEPUTY, World, cookie_header, handle_in};

#[tokio::test]
async fn denied_request_redirects_to_client_and_skips_pingone() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    let response = browser.submit(&page, &[], "deny").await;
    assert!(response.url.as_str().starts_with(CALLBACK));
    assert_eq!(response.query("error").as_deref(), Some("access_denied"));
    assert_eq!(response.query("state").as_deref(), Some("client-state"));
    assert_eq!(response.query("iss").as_deref(), Some("https://deputy.example"));
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn decision_from_another_browser_is_refused() {
    let world = World::new();
    let client = world.client().await;
    let page = world.browser().open(&world.authorize_url(&client, &[])).await;
    let response = world.browser().submit(&page, &[], "approve").await;
    assert_eq!((response.status, response.url.path()), (StatusCode::BAD_REQUEST, "/approve"));
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn decision_posted_by_another_site_is_refused() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    let handle = handle_in(&page.text).expect("a handle");
    let evil = Url::parse("https://evil.example/").unwrap();
    let target = Url::parse("https://deputy.example/approve").unwrap();
    let response = browser.post(target, format!("handle={handle}&decision=approve"), &evil).await;
    assert_eq!(response.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn second_decision_on_a_page_is_refused() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    let mut again = browser.clone();
    assert_eq!(browser.submit(&page, &[], "approve").await.url.host_str(), Some("auth.pingone.eu"));
    let second = again.submit(&page, &[], "approve").await;
    assert_eq!((second.status, second.url.path()), (StatusCode::CONFLICT, "/approve"));
}

#[tokio::test]
async fn decision_after_ten_minutes_is_refused() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    world.host.advance(600);
    assert_eq!(browser.submit(&page, &[], "approve").await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn expired_approval_page_says_expired_even_without_cookie() {
    for with_cookies in [true, false] {
        let world = World::new();
        let mut browser = world.browser();
        let page = browser.open(&world.authorize_url(&world.client().await, &[])).await;
        world.host.advance(660);
        // Browsers delete the cookie after ten minutes.
        let mut browser = if with_cookies { browser } else { world.browser() };
        let response = browser.submit(&page, &[], "approve").await;
        assert_eq!((response.status, response.url.path()), (StatusCode::CONFLICT, "/approve"));
        assert!(response.text.contains("This page has expired"), "{}", response.text);
        assert!(!response.text.contains("already used"), "{}", response.text);
    }
}

#[tokio::test]
async fn answered_approval_page_says_answered_without_its_cookie() {
    let world = World::new();
    let mut browser = world.browser();
    let page = browser.open(&world.authorize_url(&world.client().await, &[])).await;
    browser.submit(&page, &[], "deny").await;
    let response = browser.submit(&page, &[], "approve").await;
    assert_eq!((response.status, response.url.path()), (StatusCode::CONFLICT, "/approve"));
    assert!(response.text.contains("This page was already used"), "{}", response.text);
}

#[tokio::test]
async fn made_up_handle_is_reported_as_not_from_this_server() {
    let form = [("handle", "x".repeat(43)), ("decision", "approve".to_owned())];
    let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
    let response = World::new().post_form("/approve", &form).await;
    assert_eq!(response.status, StatusCode::BAD_REQUEST);
    assert!(response.text.contains("not come from an approval page of this server"), "{}", response.text);
}

#[tokio::test]
async fn incomplete_approval_form_is_refused() {
    let world = World::new();
    for body in
        ["", "handle=x", "handle=x&decision=approve", "decision=approve", "handle=a&handle=b&decision=deny"]
    {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(
            world.request("POST", "/approve", &form, body).await.status,
            StatusCode::BAD_REQUEST,
            "{body}"
        );
    }
}

/// Opens the approval page of a new client, and returns it with its handle.
async fn open_approval_page(world: &World, browser: &mut Browser) -> (Page, String) {
    let client = world.client().await;
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    let handle = handle_in(&page.text).expect("a handle").to_owned();
    (page, handle)
}

/// Checks that the page still accepts a decision, and that PingOne has got no request before.
async fn assert_page_is_open(world: &World, browser: &mut Browser, page: &Page) {
    assert_eq!(world.requests_to_pingone(), 0);
    let next = browser.submit(page, &[], "approve").await;
    assert_eq!(next.url.host_str(), Some("auth.pingone.eu"), "{}", next.text);
}

#[tokio::test]
async fn invalid_or_repeated_decision_leaves_the_page_open() {
    let world = World::new();
    let mut browser = world.browser();
    let (page, handle) = open_approval_page(&world, &mut browser).await;
    let target = Url::parse(DEPUTY).unwrap().join("/approve").unwrap();
    for body in [
        "handle={}",
        "handle={}&decision=",
        "handle={}&decision=maybe",
        "handle={}&decision=Approve",
        "handle={}&decision=approve&decision=approve",
        "handle={}&decision=approve&decision=deny",
        "handle={}&handle={}&decision=approve",
        "handle={}&handle=x&decision=approve",
        "handle={}x&decision=approve",
    ] {
        let form = body.replace("{}", &handle);
        let response = browser.post(target.clone(), form, &page.url).await;
        assert_eq!((response.status, response.url.path()), (StatusCode::BAD_REQUEST, "/approve"), "{body}");
    }
    assert_page_is_open(&world, &mut browser, &page).await;
}

#[tokio::test]
async fn decision_outside_a_form_leaves_the_page_open() {
    let world = World::new();
    let mut browser = world.browser();
    let (page, handle) = open_approval_page(&world, &mut browser).await;
    let cookie = cookie_header(&browser);
    let headers = [("cookie", cookie.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let url = format!("/approve?handle={handle}&decision=approve");
    for (method, status) in [
        ("GET", StatusCode::METHOD_NOT_ALLOWED),
        ("HEAD", StatusCode::METHOD_NOT_ALLOWED),
        ("POST", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(world.request(method, &url, &headers, "").await.status, status, "{method}");
    }
    assert_page_is_open(&world, &mut browser, &page).await;
}

#[tokio::test]
async fn cross_site_decision_with_valid_cookie_is_refused() {
    let world = World::new();
    let mut browser = world.browser();
    let (page, handle) = open_approval_page(&world, &mut browser).await;
    let (cookie, form) = (cookie_header(&browser), format!("handle={handle}&decision=approve"));
    for (origin, site) in [
        (Some("https://evil.example"), None),
        (Some("https://evil.example"), Some("same-origin")),
        (Some("https://deputy.example.evil.example"), Some("same-origin")),
        (Some("http://deputy.example"), Some("same-origin")),
        (Some(DEPUTY), Some("cross-site")),
        (Some(DEPUTY), Some("same-site")),
        (Some(DEPUTY), Some("none")),
        (Some("null"), Some("cross-site")),
        (None, Some("cross-site")),
    ] {
        let mut headers = vec![("cookie", cookie.as_str())];
        headers.extend([("content-type", "application/x-www-form-urlencoded")]);
        headers.extend(origin.map(|origin| ("origin", origin)));
        headers.extend(site.map(|site| ("sec-fetch-site", site)));
        let response = world.request("POST", "/approve", &headers, &form).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{origin:?} {site:?}");
        assert_eq!(
            (response.header("location"), response.header("set-cookie")),
            <(String, String)>::default()
        );
    }
    assert_page_is_open(&world, &mut browser, &page).await;
}

#[tokio::test]
async fn extra_fields_of_a_decision_are_ignored() {
    let world = World::new();
    let more = [
        ("client_id", "evil"),
        ("redirect_uri", "https://evil.example/cb"),
        ("state", "evil"),
        ("resource", "https://evil.example/mcp"),
        ("code_challenge", CHALLENGE),
    ];
    let mut requests = Vec::new();
    for fields in [&[][..], &more] {
        let mut browser = world.browser();
        let (page, _) = open_approval_page(&world, &mut browser).await;
        let page = browser.submit(&page, fields, "approve").await;
        let fresh = ["state", "nonce", "code_challenge"];
        let params = page.url.query_pairs().into_owned().filter(|(name, _)| !fresh.contains(&name.as_str()));
        requests.push(params.collect::<Vec<_>>());
        let page = world.log_in(&mut browser, "alice", page.url.as_str()).await;
        assert!(page.url.as_str().starts_with(&format!("{CALLBACK}?code=")), "{}", page.url);
        assert_eq!(page.query("state").as_deref(), Some("client-state"));
    }
    assert_eq!(requests[0], requests[1]);
    assert!(requests[0].len() >= 8, "{requests:?}");
}
