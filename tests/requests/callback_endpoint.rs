//! The redirect from PingOne back to `/callback`.

use http::StatusCode;
use pingone_sim::Failure;
use url::form_urlencoded;

use crate::world::{
    CALLBACK, DEPUTY, World, code_at_client, cookie_header, error_at_client, finished_at_pingone, login_error,
};

#[tokio::test]
async fn successful_login_redirects_code_state_and_iss() {
    let world = World::new();
    let client = world.client().await;
    let page = world.log_in_to(&mut world.browser(), &client).await;
    let names: Vec<_> = page.url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    assert_eq!(names, ["code", "state", "iss"]);
    assert!(code_at_client(&page).is_some_and(|code| code.len() == 84 && !code.contains("alice")));
    assert!(world.network.exchanges().iter().all(|e| !matches!(e.response.status().as_u16(), 307 | 308)));
}

#[tokio::test]
async fn pingone_error_is_mapped_to_an_error_for_the_client() {
    for (said, told_as) in [
        ("access_denied", "access_denied"),
        ("login_required", "access_denied"),
        ("temporarily_unavailable", "temporarily_unavailable"),
        ("server_error", "server_error"),
        ("invalid_scope", "server_error"),
        ("invalid_target", "server_error"),
        ("unauthorized_client", "server_error"),
        ("consent_required", "access_denied"),
        ("<script>alert(1)</script>", "server_error"),
    ] {
        assert_eq!(login_error(Failure::CallbackError(said.into())).await, told_as, "{said}");
    }
}

#[tokio::test]
async fn consent_declined_at_pingone_is_access_denied() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    let page = browser.submit(&page, &[], "approve").await;
    let page = browser.submit(&page, &[("username", "alice"), ("password", "Alice-demo-1")], "SIGNON").await;
    let page = browser.submit(&page, &[], "DECLINE").await;
    assert_eq!(error_at_client(&world, &page), "access_denied");
}

#[tokio::test]
async fn callback_that_matches_no_login_is_refused() {
    for (name, value) in [
        ("state", None),
        ("state", Some("another")),
        ("code", None),
        ("error", Some("server_error")),
        ("iss", Some("https://evil.example/as")),
    ] {
        let world = World::new();
        world.pingone.force(Failure::CallbackParameter(name.into(), value.map(str::to_owned)));
        let client = world.client().await;
        let page = world.log_in_to(&mut world.browser(), &client).await;
        assert_eq!(
            (page.status, page.url.path()),
            (StatusCode::BAD_REQUEST, "/callback"),
            "{name}: {value:?}"
        );
        assert_eq!(world.pingone.requests("token"), 0);
    }
    let world = World::new();
    for query in [
        "",
        "state=",
        "state=x&code=y",
        "state=../&code=y",
        "state=a&state=b&code=y",
        &format!("state={}&code=y", "x".repeat(9000)),
    ] {
        assert_eq!(world.get(&format!("/callback?{query}")).await.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn callback_in_another_browser_is_refused() {
    let world = World::new();
    let client = world.client().await;
    let mut attacker = world.browser();
    let page = attacker.open(&world.authorize_url(&client, &[])).await;
    let at_pingone = attacker.submit(&page, &[], "approve").await;
    let mut victim = world.browser();
    world.log_in_to(&mut victim, &world.client().await).await;
    let page = world.log_in(&mut victim, "alice", at_pingone.url.as_str()).await;
    assert_eq!((page.status, page.url.path()), (StatusCode::BAD_REQUEST, "/callback"));
}

#[tokio::test]
async fn callback_works_once_and_within_ten_minutes() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    let page = browser.submit(&page, &[], "approve").await;
    let mut late = browser.clone();
    let consent =
        browser.submit(&page, &[("username", "alice"), ("password", "Alice-demo-1")], "SIGNON").await;
    let mut again = browser.clone();
    let done = browser.submit(&consent, &[], "APPROVE").await;
    assert!(code_at_client(&done).is_some());
    let exchanges = world.network.exchanges();
    let callback = exchanges
        .iter()
        .rev()
        .find(|e| e.request.uri().path() == "/callback")
        .unwrap()
        .request
        .uri()
        .to_string();
    assert_eq!(again.open(&callback).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.pingone.requests("token"), 1);
    world.host.advance(600);
    assert_eq!(late.open(&callback).await.status, StatusCode::BAD_REQUEST);
}

/// The page of a callback that is opened `seconds` after the login at PingOne.
async fn late(world: &World, seconds: u64, with_cookies: bool) -> String {
    let client = world.client().await;
    let mut browser = world.browser();
    let callback = finished_at_pingone(world, &mut browser, &client).await;
    world.host.advance(seconds);
    let mut browser = if with_cookies { browser } else { world.browser() };
    browser.open(callback.as_str()).await.text
}

#[tokio::test]
async fn expired_login_says_expired_even_without_cookie() {
    for with_cookies in [true, false] {
        let page = late(&World::new(), 660, with_cookies).await;
        assert!(page.contains("took longer than ten minutes"), "{page}");
        assert!(!page.contains("before") && !page.contains("not started"), "{page}");
    }
}

#[tokio::test]
async fn page_for_callback_in_another_browser_names_the_cause() {
    let page = late(&World::new(), 0, false).await;
    assert!(page.contains("This login was not started in this browser"), "{page}");
}

#[tokio::test]
async fn reloaded_callback_says_already_answered_without_its_cookie() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let callback = finished_at_pingone(&world, &mut browser, &client).await;
    assert!(code_at_client(&browser.open(callback.as_str()).await).is_some());
    let page = browser.open(callback.as_str()).await;
    assert_eq!((page.status, page.url.path()), (StatusCode::BAD_REQUEST, "/callback"));
    assert!(page.text.contains("This login was already finished"), "{}", page.text);
}

#[tokio::test]
async fn logins_in_two_tabs_both_succeed() {
    let world = World::new();
    let (one, two) = (world.client().await, world.client().await);
    let mut browser = world.browser();
    let first = browser.open(&world.authorize_url(&one, &[])).await;
    let second = browser.open(&world.authorize_url(&two, &[])).await;
    let second = browser.submit(&second, &[], "approve").await;
    let first = browser.submit(&first, &[], "approve").await;
    for page in [second, first] {
        let page =
            browser.submit(&page, &[("username", "alice"), ("password", "Alice-demo-1")], "SIGNON").await;
        let page =
            if page.text.contains("APPROVE") { browser.submit(&page, &[], "APPROVE").await } else { page };
        assert!(code_at_client(&page).is_some(), "{}", page.url);
    }
}

#[tokio::test]
async fn callback_after_ten_minutes_is_refused() {
    for (seconds, in_time) in [(599, true), (600, false)] {
        let world = World::new();
        let client = world.client().await;
        let mut browser = world.browser();
        let callback = finished_at_pingone(&world, &mut browser, &client).await;
        world.host.advance(seconds);
        let page = browser.open(callback.as_str()).await;
        assert_eq!(page.url.as_str().starts_with(CALLBACK), in_time, "{seconds}: {}", page.text);
        assert_eq!(page.status == StatusCode::BAD_REQUEST, !in_time, "{seconds}");
        assert_eq!(world.pingone.requests("token"), u64::from(in_time), "{seconds}");
    }
}

#[tokio::test]
async fn repeated_callback_parameter_is_refused_and_login_stays_open() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let callback = finished_at_pingone(&world, &mut browser, &client).await;
    let same = |name: &str| {
        let (name, value) = callback.query_pairs().find(|(held, _)| held == name).expect("a parameter");
        format!("{name}={value}")
    };
    for more in ["code=x", &same("code"), "state=x", &same("state"), "iss=x&iss=x", "error=server_error"] {
        let page = browser.open(&format!("{callback}&{more}")).await;
        assert_eq!((page.status, page.url.path()), (StatusCode::BAD_REQUEST, "/callback"), "{more}");
        assert_eq!(world.pingone.requests("token"), 0, "{more}");
    }
    assert!(code_at_client(&browser.open(callback.as_str()).await).is_some());
}

#[tokio::test]
async fn callback_by_another_method_is_refused_and_login_stays_open() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let callback = finished_at_pingone(&world, &mut browser, &client).await;
    let (mut bare, query) = (callback.clone(), callback.query().expect("a query"));
    bare.set_query(None);
    let sent = cookie_header(&browser);
    let headers = [("cookie", sent.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    for (method, url, body) in
        [("POST", &bare, query), ("POST", &callback, ""), ("HEAD", &callback, ""), ("PUT", &callback, "")]
    {
        let response = world.request(method, url.as_str(), &headers, body).await;
        assert_eq!(response.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {url}");
        assert_eq!(
            (response.header("location"), response.header("set-cookie")),
            <(String, String)>::default()
        );
        assert_eq!(world.pingone.requests("token"), 0, "{method} {url}");
    }
    assert!(code_at_client(&browser.open(callback.as_str()).await).is_some());
}

#[tokio::test]
async fn callback_with_the_issuer_of_pingone_is_accepted() {
    let world = World::new();
    world.pingone.force(Failure::CallbackParameter("iss".into(), Some(world.config.issuer())));
    let client = world.client().await;
    assert!(code_at_client(&world.log_in_to(&mut world.browser(), &client).await).is_some());
}

#[tokio::test]
async fn markup_in_an_error_of_pingone_is_neither_shown_nor_sent() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let callback = finished_at_pingone(&world, &mut browser, &client).await;
    let state = callback.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    let markup = "\"><script>alert(1)</script>";
    let with = |state: &str| {
        let params =
            [("error", markup), ("error_description", markup), ("error_uri", markup), ("state", state)];
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        format!("{DEPUTY}/callback?{query}")
    };
    for made_up in [markup, &"x".repeat(43)] {
        let page = browser.open(&with(made_up)).await;
        assert_eq!((page.status, page.url.path()), (StatusCode::BAD_REQUEST, "/callback"));
        assert!(page.text.contains("cannot be finished") && !page.text.contains("alert"), "{}", page.text);
    }
    let page = browser.open(&with(&state)).await;
    assert_eq!(error_at_client(&world, &page), "server_error");
    assert!(!page.url.as_str().contains("alert"), "{}", page.url);
}
