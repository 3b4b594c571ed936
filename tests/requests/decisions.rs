//! What is posted as a person's decision, and is none.

use harness::browser::{Browser, Page};
use http::StatusCode;
use url::Url;

use crate::{
    cookies,
    world::{CALLBACK, CHALLENGE, DEPUTY, World},
};

/// The approval page of a new client, and the handle in it.
async fn asked(world: &World, browser: &mut Browser) -> (Page, String) {
    let client = world.client().await;
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    let rest = page.text.split("name=\"handle\" value=\"").nth(1).expect("a handle");
    let handle = rest.split('"').next().expect("an end").to_owned();
    (page, handle)
}

/// The page can still be answered, and nobody has been sent to PingOne so far.
async fn is_unanswered(world: &World, browser: &mut Browser, page: &Page) {
    assert_eq!(world.requests_to_pingone(), 0);
    let next = browser.submit(page, &[], "approve").await;
    assert_eq!(next.url.host_str(), Some("auth.pingone.eu"), "{}", next.text);
}

#[tokio::test]
async fn a_decision_that_is_none_or_is_there_twice_leaves_the_page_unanswered() {
    let world = World::new();
    let mut browser = world.browser();
    let (page, handle) = asked(&world, &mut browser).await;
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
        let answer = browser.post(target.clone(), form, &page.url).await;
        assert_eq!((answer.status, answer.url.path()), (StatusCode::BAD_REQUEST, "/approve"), "{body}");
    }
    is_unanswered(&world, &mut browser, &page).await;
}

#[tokio::test]
async fn a_decision_anywhere_but_in_a_form_leaves_the_page_unanswered() {
    let world = World::new();
    let mut browser = world.browser();
    let (page, handle) = asked(&world, &mut browser).await;
    let cookie = cookies::sent(&browser);
    let headers = [("cookie", cookie.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let url = format!("/approve?handle={handle}&decision=approve");
    for (method, status) in [
        ("GET", StatusCode::METHOD_NOT_ALLOWED),
        ("HEAD", StatusCode::METHOD_NOT_ALLOWED),
        ("POST", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(world.request(method, &url, &headers, "").await.status, status, "{method}");
    }
    is_unanswered(&world, &mut browser, &page).await;
}

#[tokio::test]
async fn a_decision_from_elsewhere_is_refused_with_the_right_handle_and_cookie_too() {
    let world = World::new();
    let mut browser = world.browser();
    let (page, handle) = asked(&world, &mut browser).await;
    let (cookie, form) = (cookies::sent(&browser), format!("handle={handle}&decision=approve"));
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
        let answer = world.request("POST", "/approve", &headers, &form).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{origin:?} {site:?}");
        assert_eq!((answer.header("location"), answer.header("set-cookie")), <(String, String)>::default());
    }
    is_unanswered(&world, &mut browser, &page).await;
}

#[tokio::test]
async fn what_a_decision_says_beside_itself_changes_nothing() {
    let world = World::new();
    let more = [
        ("client_id", "evil"),
        ("redirect_uri", "https://evil.example/cb"),
        ("scope", "admin"),
        ("state", "evil"),
        ("resource", "https://evil.example/mcp"),
        ("code_challenge", CHALLENGE),
    ];
    let mut requests = Vec::new();
    for fields in [&[][..], &more] {
        let mut browser = world.browser();
        let (page, _) = asked(&world, &mut browser).await;
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
