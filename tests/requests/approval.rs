use http::StatusCode;
use serde_json::json;
use url::Url;

use crate::world::{Answer, CALLBACK, DEPUTY, World, arrived};

/// A world in which approvals are remembered for every redirect URI.
fn remembering() -> World {
    World::with(&[("CLIENT_APPROVAL", "remember")])
}

#[tokio::test]
async fn the_first_page_is_ours_and_says_who_and_where_and_what() {
    let world = World::new();
    let client = world
        .register(&json!({"client_name": "Claude Code", "redirect_uris": ["http://localhost/callback"]}))
        .await;
    let path = world.authorize_path(
        client["client_id"].as_str().unwrap(),
        &[("redirect_uri", "http://localhost:5000/callback")],
    );
    let page = world.get(&path).await;
    assert_eq!(page.status, StatusCode::OK);
    for text in [
        "Claude Code",
        "http://localhost:5000/callback",
        "todo:read",
        "todo:write",
        "a program on this computer",
    ] {
        assert!(page.text.contains(text), "{text}");
    }
    assert_eq!(world.requests_to_pingone(), 0, "nobody has approved yet");
}

#[tokio::test]
async fn the_page_cannot_be_framed_cached_or_scripted() {
    let world = World::new();
    let client = world.client().await;
    let page = world.get(&world.authorize_path(&client, &[])).await;
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.ends_with("; frame-ancestors 'none'; base-uri 'none'"), "{policy}");
    // One script, which this answer alone names.
    let nonce = |page: &Answer| {
        let policy = page.header("content-security-policy");
        let (_, nonce) = policy.split_once(" script-src 'nonce-").expect("a nonce");
        nonce.split_once('\'').expect("an end").0.to_owned()
    };
    assert_eq!(page.text.matches("<script").count(), 1);
    assert!(page.text.contains(&format!("<script nonce=\"{}\">", nonce(&page))), "{}", page.text);
    let again = world.get(&world.authorize_path(&client, &[])).await;
    assert_ne!(nonce(&page), nonce(&again));
    let refused = world.get("/authorize?client_id=nobody").await;
    assert!(!refused.header("content-security-policy").contains("script-src"));
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let cookie = page.header("set-cookie");
    assert!(cookie.starts_with("__Host-mcp-approve-"), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax"), "{cookie}");
}

#[tokio::test]
async fn a_name_full_of_markup_is_shown_as_text() {
    let world = World::new();
    let name = "<script>alert(1)</script>\"'{{7*7}}\u{202e}";
    let client = world.register(&json!({"client_name": name, "redirect_uris": [CALLBACK]})).await;
    let page =
        world.get(&world.authorize_path(client["client_id"].as_str().unwrap(), &[("state", "<b>")])).await;
    assert!(!page.text.contains("<script>") && !page.text.contains("<b>") && !page.text.contains('\u{202e}'));
    assert!(page.text.contains("{{7*7}}"), "nothing is evaluated");
}

#[tokio::test]
async fn a_name_cannot_rewrite_the_question() {
    let world = World::new();
    let name = "Claude” to read the weather? Verified. Do not allow “Other";
    let client = world.register(&json!({"client_name": name, "redirect_uris": [CALLBACK]})).await;
    let page = world.get(&world.authorize_path(client["client_id"].as_str().unwrap(), &[])).await;
    assert!(
        page.text.contains("<h1>Allow an application to use your to-do list as you?</h1>"),
        "{}",
        page.text
    );
    assert!(page.text.contains("It calls itself (nobody has verified this)"));
}

#[tokio::test]
async fn a_remembered_loopback_approval_is_for_its_port_only() {
    let world = World::new();
    let client = world
        .register(&json!({"redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none"}))
        .await;
    let client = client["client_id"].as_str().unwrap();
    let url =
        |port: u16| world.authorize_url(client, &[("redirect_uri", &format!("http://127.0.0.1:{port}/cb"))]);
    let mut browser = world.browser();
    world.log_in(&mut browser, "alice", &url(5000)).await;
    assert!(arrived(&browser.clone().open(&url(5000)).await).is_some());
    assert_eq!(browser.open(&url(6666)).await.url.path(), "/authorize");
}

#[tokio::test]
async fn deny_goes_back_to_the_client_and_never_to_pingone() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    let answer = browser.submit(&page, &[], "deny").await;
    assert!(answer.url.as_str().starts_with(CALLBACK));
    assert_eq!(answer.query("error").as_deref(), Some("access_denied"));
    assert_eq!(answer.query("state").as_deref(), Some("client-state"));
    assert_eq!(answer.query("iss").as_deref(), Some("https://deputy.example"));
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn a_decision_from_another_browser_is_refused() {
    let world = World::new();
    let client = world.client().await;
    let page = world.browser().open(&world.authorize_url(&client, &[])).await;
    let answer = world.browser().submit(&page, &[], "approve").await;
    assert_eq!((answer.status, answer.url.path()), (StatusCode::BAD_REQUEST, "/approve"));
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn a_decision_posted_from_another_site_is_refused() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    let handle =
        page.text.split("name=\"handle\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let evil = Url::parse("https://evil.example/").unwrap();
    let target = Url::parse("https://deputy.example/approve").unwrap();
    let answer = browser.post(target, format!("handle={handle}&decision=approve"), &evil).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn a_decision_counts_once() {
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
async fn an_approval_page_is_good_for_ten_minutes() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    world.host.advance(600);
    assert_eq!(browser.submit(&page, &[], "approve").await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn expired_approval_page_says_expired_with_and_without_its_cookie() {
    for with_cookies in [true, false] {
        let world = World::new();
        let mut browser = world.browser();
        let page = browser.open(&world.authorize_url(&world.client().await, &[])).await;
        world.host.advance(660);
        // Browsers drop the cookie when its ten minutes are over.
        let mut browser = if with_cookies { browser } else { world.browser() };
        let answer = browser.submit(&page, &[], "approve").await;
        assert_eq!((answer.status, answer.url.path()), (StatusCode::CONFLICT, "/approve"));
        assert!(answer.text.contains("This page has expired"), "{}", answer.text);
        assert!(!answer.text.contains("already answered"), "{}", answer.text);
    }
}

#[tokio::test]
async fn answered_approval_page_says_answered_without_its_cookie() {
    let world = World::new();
    let mut browser = world.browser();
    let page = browser.open(&world.authorize_url(&world.client().await, &[])).await;
    browser.submit(&page, &[], "deny").await;
    let answer = browser.submit(&page, &[], "approve").await;
    assert_eq!((answer.status, answer.url.path()), (StatusCode::CONFLICT, "/approve"));
    assert!(answer.text.contains("This page was already answered"), "{}", answer.text);
}

#[tokio::test]
async fn made_up_handle_says_that_the_page_is_not_ours() {
    let form = [("handle", "x".repeat(43)), ("decision", "approve".to_owned())];
    let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = World::new().post_form("/approve", &form).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text.contains("not come from an approval page of this server"), "{}", answer.text);
}

#[tokio::test]
async fn forms_that_are_not_the_pages_are_refused() {
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

#[tokio::test]
async fn what_was_approved_is_remembered_for_this_client_redirect_and_scopes_only() {
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
async fn a_remembered_approval_is_not_used_for_a_link_from_another_site() {
    let world = remembering();
    let client = world.client().await;
    let mut browser = world.browser();
    world.log_in_to(&mut browser, &client).await;
    let page = browser.open_from(&world.authorize_url(&client, &[]), "cross-site").await;
    assert_eq!(page.url.path(), "/authorize");
}

#[tokio::test]
async fn a_remembered_approval_is_not_used_for_an_answer_of_our_own_that_leads_to_it() {
    let world = remembering();
    let client = world.client().await;
    let mut browser = world.browser();
    world.log_in_to(&mut browser, &client).await;
    let own = world.authorize_url(&client, &[]);
    assert_eq!(browser.clone().open_from(&own, "same-origin").await.url.path(), "/authorize");
    // And no client gets its answer at an address of ours.
    let own = own.replace("&state=client-state", "");
    let metadata = json!({ "redirect_uris": [own], "token_endpoint_auth_method": "none" });
    let other = world.register(&metadata).await["client_id"].as_str().unwrap().to_owned();
    let page = browser.open(&world.authorize_url(&other, &[("redirect_uri", &own)])).await;
    assert_eq!((page.status, page.url.path()), (StatusCode::BAD_REQUEST, "/authorize"));
    assert!(page.text.contains("an address of this server itself"), "{}", page.text);
}

#[tokio::test]
async fn who_denies_takes_back_what_was_approved_before() {
    let world = remembering();
    let client = world.client().await;
    let mut browser = world.browser();
    world.log_in_to(&mut browser, &client).await;
    let url = world.authorize_url(&client, &[]);
    // Whatever of it they are asked for then.
    let less = world.authorize_url(&client, &[("scope", "todo:read")]);
    let page = browser.open_from(&less, "cross-site").await;
    assert_eq!(browser.submit(&page, &[], "deny").await.query("error").as_deref(), Some("access_denied"));
    assert_eq!(browser.open(&url).await.url.path(), "/authorize");
}

#[tokio::test]
async fn an_edited_cookie_remembers_nothing() {
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
async fn an_approval_is_forgotten_after_thirty_days_and_never_kept_with_always() {
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
async fn an_approval_is_remembered_for_the_redirect_uris_of_the_setting_only() {
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
async fn what_was_remembered_with_another_setting_is_asked_about() {
    let world = remembering();
    let client = world.client().await;
    let mut browser = world.browser();
    world.log_in_to(&mut browser, &client).await;
    let url = world.authorize_url(&client, &[]);
    assert!(arrived(&browser.clone().open(&url).await).is_some());
    world.start(&[]);
    assert_eq!(browser.open(&url).await.url.path(), "/authorize");
}

#[tokio::test]
async fn the_page_says_for_how_long_it_is_not_shown_again_where_that_is_so() {
    const SAYS: &str = "does not ask again about the same application for up to 30 days";
    for (setting, remembers) in [("remember", true), ("loopback", false), ("always", false)] {
        let world = World::with(&[("CLIENT_APPROVAL", setting)]);
        let client = world.client().await;
        let page = world.get(&world.authorize_path(&client, &[])).await;
        assert_eq!(page.text.contains(SAYS), remembers, "{}", page.text);
    }
}

#[tokio::test]
async fn page_says_who_sees_the_token_for_each_setting() {
    const NEVER: &str = "never sees your password, nor the PingOne access token that opens your to-do list.";
    const SEES: &str = "See your PingOne access token for your to-do list";
    for (setting, reveals) in [("claims", false), ("full", true)] {
        let world = World::with(&[("WHO_AM_I_TOKEN", setting)]);
        let page = world.get(&world.authorize_path(&world.client().await, &[])).await;
        assert_eq!(
            (page.text.contains(NEVER), page.text.contains(SEES)),
            (!reveals, reveals),
            "{}",
            page.text
        );
    }
}

#[tokio::test]
async fn thirty_approvals_fit_into_the_cookies_of_a_browser() {
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
async fn another_redirect_uri_of_an_approved_client_is_asked_about() {
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
async fn more_scopes_than_were_approved_are_asked_about() {
    let world = remembering();
    let client = world.client().await;
    let mut browser = world.browser();
    let url = |scope| world.authorize_url(&client, &[("scope", scope)]);
    world.log_in(&mut browser, "alice", &url("todo:read")).await;
    assert!(arrived(&browser.clone().open(&url("todo:read")).await).is_some());
    assert_eq!(browser.open(&url("todo:read todo:write")).await.url.path(), "/authorize");
}

#[tokio::test]
async fn a_remembered_approval_needs_a_browser_that_says_the_person_came_by_themselves() {
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
async fn of_seventeen_approvals_the_first_is_forgotten_and_the_others_are_silent() {
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
