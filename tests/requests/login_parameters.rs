//! Parameters of a client's authorization request that concern the login at PingOne: `login_hint`, `max_age` and `prompt`.

use harness::browser::{Browser, Page};
use http::StatusCode;
use pingone_sim::Failure;
use serde_json::{Value, json};

use crate::world::{
    DEPUTY, PINGONE, Tokens, World, authorization_error, code_at_client, error_at_client, handle_in,
};

/// A parameter with which the browser came to PingOne's authorization endpoint last.
fn sent(world: &World, name: &str) -> Option<String> {
    let query = world.last_query_at_pingone("/as/authorize");
    query.into_iter().find(|(held, _)| held == name).map(|(_, value)| value)
}

fn asks_for_a_login(page: &Page) -> bool {
    page.url.as_str().starts_with(PINGONE) && page.text.contains("value=\"SIGNON\"")
}

/// A browser in which Alice has logged in.
async fn logged_in(world: &World) -> Browser {
    let (client, mut browser) = (world.client().await, world.browser());
    assert!(code_at_client(&world.log_in_to(&mut browser, &client).await).is_some());
    browser
}

#[tokio::test]
async fn login_hint_begins_the_form_of_pingone() {
    let world = World::new();
    for hint in ["alice", "Zoë & co <zoe@example.com>", "a+b%20c"] {
        let page = world.approved_page(&mut world.browser(), &[("login_hint", hint)]).await;
        assert!(asks_for_a_login(&page), "{}", page.text);
        assert_eq!(sent(&world, "login_hint").as_deref(), Some(hint));
    }
    world.approved_page(&mut world.browser(), &[]).await;
    assert_eq!((sent(&world, "login_hint"), sent(&world, "max_age")), (None, None));
}

#[tokio::test]
async fn unusable_login_hint_or_max_age_is_refused() {
    let world = World::new();
    let client = world.client().await;
    let (longest, long) = ("x".repeat(320), "x".repeat(321));
    for (name, value, expected) in [
        ("login_hint", &*longest, None),
        ("login_hint", &long, Some("invalid_request")),
        ("max_age", "0", None),
        ("max_age", "86400", None),
        ("max_age", "-1", Some("invalid_request")),
        ("max_age", "1.5", Some("invalid_request")),
        ("max_age", "99999999999", Some("invalid_request")),
        ("max_age", "soon", Some("invalid_request")),
    ] {
        let path = world.authorize_path(&client, &[(name, value)]);
        match expected {
            None => assert_eq!(world.get(&path).await.status, StatusCode::OK, "{name}={value}"),
            Some(error) => assert_eq!(authorization_error(&world, &path).await, error, "{name}={value}"),
        }
    }
    let twice = format!("{}&max_age=1&max_age=1", world.authorize_path(&client, &[]));
    assert_eq!(authorization_error(&world, &twice).await, "invalid_request");
}

#[tokio::test]
async fn prompt_login_asks_for_a_login_although_there_is_a_session() {
    let world = World::new();
    let mut browser = logged_in(&world).await;
    let page = world.approved_page(&mut browser, &[]).await;
    assert!(code_at_client(&page).is_some(), "{}", page.url);
    for prompt in ["login", "select_account", "login consent"] {
        let page = world.approved_page(&mut browser, &[("prompt", prompt), ("login_hint", "alice")]).await;
        assert!(asks_for_a_login(&page), "{prompt}: {}", page.url);
        assert_eq!(sent(&world, "login_hint").as_deref(), Some("alice"));
    }
}

#[tokio::test]
async fn max_age_asks_for_a_login_when_the_session_is_older() {
    let world = World::new();
    let mut browser = logged_in(&world).await;
    world.host.advance(600);
    let page = world.approved_page(&mut browser, &[("max_age", "900")]).await;
    assert!(code_at_client(&page).is_some(), "{}", page.url);
    let page = world.approved_page(&mut browser, &[("max_age", "300")]).await;
    assert!(asks_for_a_login(&page), "{}", page.url);
    // The user may take a while.
    world.host.advance(240);
    let page = world.finish_at_pingone(&mut browser, "alice", page).await;
    assert!(code_at_client(&page).is_some(), "{}", page.url);
}

#[tokio::test]
async fn login_before_max_age_is_refused() {
    for auth_time in [Value::Null, json!(1_000_000), json!("now")] {
        let world = World::new();
        world.pingone.force(Failure::IdTokenClaim("auth_time".into(), auth_time.clone()));
        let mut browser = world.browser();
        let page = world.approved_page(&mut browser, &[("max_age", "300")]).await;
        let page = world.finish_at_pingone(&mut browser, "alice", page).await;
        assert_eq!(error_at_client(&world, &page), "server_error", "{auth_time}");
        // Without max_age, PingOne's auth_time does not matter.
        world.pingone.force(Failure::IdTokenClaim("auth_time".into(), auth_time));
        world.connected().await;
    }
}

#[tokio::test]
async fn user_can_log_in_with_another_account() {
    let world = World::new();
    let mut browser = logged_in(&world).await;
    let client = world.client().await;
    let page = browser.open(&world.authorize_url(&client, &[("login_hint", "alice")])).await;
    assert!(page.text.contains("Not you? Use another account"), "{}", page.text);
    let page = browser.submit(&page, &[("account", "other")], "approve").await;
    assert!(asks_for_a_login(&page), "{}", page.url);
    assert_eq!((sent(&world, "prompt").as_deref(), sent(&world, "login_hint")), (Some("login"), None));
    let page = world.finish_at_pingone(&mut browser, "bob", page).await;
    let code = code_at_client(&page).expect("a code");
    let tokens = Tokens::of(&client, &world.redeem(&client, &code).await);
    let me = world.call(&tokens.access, "who_am_i", json!({})).await;
    assert!(me.text.contains("bob"), "{}", me.text);
}

#[tokio::test]
async fn request_without_its_prompt_is_no_new_login() {
    let world = World::new();
    let mut browser = logged_in(&world).await;
    world.host.advance(600);
    let with_prompt = world.approved_page(&mut browser, &[("prompt", "login")]).await;
    assert!(asks_for_a_login(&with_prompt), "{}", with_prompt.url);
    let mut url = url::Url::parse(&format!("{}/as/authorize", world.config.issuer().trim_end_matches("/as")))
        .expect("a URL");
    let query = world.last_query_at_pingone("/as/authorize").into_iter();
    url.query_pairs_mut().extend_pairs(query.filter(|(name, _)| name != "prompt"));
    let page = browser.open(url.as_str()).await;
    assert_eq!(error_at_client(&world, &page), "server_error");
    // PingOne's ID token may have no auth_time, and has had one that was a thousand times too small.
    let now = world.now();
    for (auth_time, is_new) in [(Value::Null, true), (json!(now / 1000), true), (json!(now - 600), false)] {
        world.pingone.force(Failure::IdTokenClaim("auth_time".into(), auth_time.clone()));
        let page = world.approved_page(&mut browser, &[("prompt", "login")]).await;
        let page = world.finish_at_pingone(&mut browser, "alice", page).await;
        assert_eq!(code_at_client(&page).is_some(), is_new, "{auth_time}");
    }
}

#[tokio::test]
async fn pushed_prompt_needs_no_later_auth_time() {
    let world = World::with(&[("PINGONE_PAR", "on")]);
    let mut browser = logged_in(&world).await;
    world.host.advance(600);
    let page = world.approved_page(&mut browser, &[("prompt", "login")]).await;
    assert!(asks_for_a_login(&page), "{}", page.url);
    world.pingone.force(Failure::IdTokenClaim("auth_time".into(), json!(world.now() - 600)));
    let page = world.finish_at_pingone(&mut browser, "alice", page).await;
    assert!(code_at_client(&page).is_some(), "{}", page.url);
}

#[tokio::test]
async fn choice_of_another_account_needs_the_approval_page() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = logged_in(&world).await;
    let before = world.requests_to(PINGONE, "/as/authorize");
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    let handle = handle_in(&page.text).expect("a handle");
    let evil = url::Url::parse("https://evil.example/").expect("a URL");
    let url = url::Url::parse(&format!("{DEPUTY}/approve")).expect("a URL");
    for body in ["decision=approve&account=other", "decision=approve&account=bob", "account=other"] {
        let refused = browser.post(url.clone(), format!("handle={handle}&{body}"), &evil).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let twice = format!("handle={handle}&decision=approve&account=other&account=other");
    assert_eq!(browser.post(url.clone(), twice, &url).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.requests_to(PINGONE, "/as/authorize"), before);
    // A denial is one, whatever is chosen besides.
    let page = browser.submit(&page, &[("account", "other")], "deny").await;
    assert_eq!(error_at_client(&world, &page), "access_denied");
}
