use std::collections::BTreeSet;

use harness::browser::{Browser, Page};
use http::StatusCode;
use pingone_sim::Failure;
use serde_json::json;
use url::{Url, form_urlencoded};

use crate::{
    cookies,
    world::{API, CALLBACK, DEPUTY, World, arrived},
};

/// What a client is told of a login during which something goes wrong at PingOne.
pub(crate) async fn told(failure: Failure) -> String {
    let world = World::new();
    world.pingone.force(failure);
    let client = world.client().await;
    let page = world.log_in_to(&mut world.browser(), &client).await;
    answer(&world, &page)
}

/// The error that a client got with its state and our issuer, and no code.
pub(crate) fn answer(world: &World, page: &Page) -> String {
    assert!(page.url.as_str().starts_with(CALLBACK), "{}: {}", page.url, page.text);
    assert_eq!(
        (page.query("state").as_deref(), page.query("iss").as_deref()),
        (Some("client-state"), Some(DEPUTY))
    );
    assert_eq!(page.query("code"), None);
    let secret = &world.config.application.client_secret;
    assert!(!page.url.as_str().contains(secret.as_str()));
    page.query("error").expect("an error")
}

/// The callback of a login that Alice has finished at PingOne. Nobody has opened it yet.
pub(crate) async fn finished_at_pingone(world: &World, browser: &mut Browser, client: &str) -> Url {
    let page = browser.open(&world.authorize_url(client, &[])).await;
    let page = browser.submit(&page, &[], "approve").await;
    // Nobody is there to take the answer, for now.
    world.network.unplug(DEPUTY);
    let callback = world.log_in(browser, "alice", page.url.as_str()).await;
    assert_eq!(callback.url.path(), "/callback");
    world.start(&[]);
    callback.url
}

#[tokio::test]
async fn the_request_to_pingone_has_all_it_needs_and_nothing_of_the_clients() {
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
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(value(name).len(), 43, "{name}: 256 bits");
    }
    assert!(!url.as_str().contains("client-state") && !url.as_str().contains(&client));
}

#[tokio::test]
async fn five_logins_have_no_state_nonce_or_challenge_in_common() {
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
async fn a_login_ends_with_code_state_and_issuer_once_each() {
    let world = World::new();
    let client = world.client().await;
    let page = world.log_in_to(&mut world.browser(), &client).await;
    let names: Vec<_> = page.url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    assert_eq!(names, ["code", "state", "iss"]);
    assert!(arrived(&page).is_some_and(|code| code.len() == 84 && !code.contains("alice")));
    assert!(world.network.exchanges().iter().all(|e| !matches!(e.response.status().as_u16(), 307 | 308)));
}

#[tokio::test]
async fn keys_may_be_rotated_at_any_time() {
    let world = World::new();
    world.connected().await;
    for _ in 0..2 {
        world.pingone.rotate_keys();
        world.pingone.rotate_keys();
        world.pingone.drop_old_keys();
        world.connected().await;
    }
    assert_eq!(world.pingone.requests("jwks"), 3, "once, and once for each rotation");
}

#[tokio::test]
async fn what_pingone_says_instead_of_a_code_becomes_an_error_for_the_client() {
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
        assert_eq!(told(Failure::CallbackError(said.into())).await, told_as, "{said}");
    }
}

#[tokio::test]
async fn declining_at_pingone_is_told_to_the_client() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    let page = browser.submit(&page, &[], "approve").await;
    let page = browser.submit(&page, &[("username", "alice"), ("password", "Alice-demo-1")], "SIGNON").await;
    let page = browser.submit(&page, &[], "DECLINE").await;
    assert_eq!(answer(&world, &page), "access_denied");
}

#[tokio::test]
async fn a_callback_that_is_not_an_answer_to_this_login_is_refused() {
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
async fn a_login_belongs_to_the_browser_that_approved_it() {
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
async fn a_callback_counts_once_and_for_ten_minutes() {
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
    assert!(arrived(&done).is_some());
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

/// What the page of a callback says that is opened `seconds` after the login began, by the browser that began it.
async fn late(world: &World, seconds: u64, with_cookies: bool) -> String {
    let client = world.client().await;
    let mut browser = world.browser();
    let callback = finished_at_pingone(world, &mut browser, &client).await;
    world.host.advance(seconds);
    let mut browser = if with_cookies { browser } else { world.browser() };
    browser.open(callback.as_str()).await.text
}

#[tokio::test]
async fn expired_login_says_expired_with_and_without_its_cookie() {
    for with_cookies in [true, false] {
        let page = late(&World::new(), 660, with_cookies).await;
        assert!(page.contains("took longer than ten minutes"), "{page}");
        assert!(!page.contains("before") && !page.contains("not started"), "{page}");
    }
}

#[tokio::test]
async fn login_in_another_browser_says_so() {
    let page = late(&World::new(), 0, false).await;
    assert!(page.contains("This login was not started in this browser"), "{page}");
}

#[tokio::test]
async fn reloaded_callback_says_already_answered_without_its_cookie() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let callback = finished_at_pingone(&world, &mut browser, &client).await;
    assert!(arrived(&browser.open(callback.as_str()).await).is_some());
    let page = browser.open(callback.as_str()).await;
    assert_eq!((page.status, page.url.path()), (StatusCode::BAD_REQUEST, "/callback"));
    assert!(page.text.contains("This login was already answered"), "{}", page.text);
}

#[tokio::test]
async fn two_tabs_finish_beside_each_other() {
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
        assert!(arrived(&page).is_some(), "{}", page.url);
    }
}

#[tokio::test]
async fn the_grant_is_no_wider_than_what_pingone_granted() {
    let world = World::new();
    world.pingone.force(Failure::TokenMember("scope".into(), json!("openid todo:read")));
    assert_eq!(world.connected().await.answer["scope"], "todo:read");
    world.pingone.force(Failure::TokenMember("scope".into(), json!("openid")));
    let client = world.client().await;
    let page = world.log_in_to(&mut world.browser(), &client).await;
    assert_eq!(answer(&world, &page), "access_denied");
}

#[tokio::test]
async fn a_login_that_fails_after_pingone_has_issued_tokens_revokes_them() {
    for (failure, told) in [
        (Failure::IdTokenClaim("nonce".into(), json!("another")), "server_error"),
        (Failure::TokenMember("scope".into(), json!("openid")), "access_denied"),
        (Failure::TokenMember("id_token".into(), json!("garbage")), "server_error"),
    ] {
        let world = World::new();
        world.pingone.force(failure.clone());
        let client = world.client().await;
        let page = world.log_in_to(&mut world.browser(), &client).await;
        assert_eq!(answer(&world, &page), told, "{failure:?}");
        world.revoked_at_pingone(1).await;
        // A login that ends well keeps its own.
        world.connected().await;
        world.revoked_at_pingone(1).await;
    }
}

#[tokio::test]
async fn a_foreign_scope_of_pingone_does_not_cost_the_others() {
    let world = World::new();
    let many = (0..70).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
    for foreign in ["p1:read:user", "\"quoted\"", "\u{e9}", &many] {
        let scope = json!(format!("openid {foreign} todo:read"));
        world.pingone.force(Failure::TokenMember("scope".into(), scope));
        assert_eq!(world.connected().await.answer["scope"], "todo:read", "{foreign}");
    }
}

#[tokio::test]
async fn a_forged_host_changes_nothing_of_what_is_sent_to_pingone() {
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

#[tokio::test]
async fn a_login_that_took_longer_than_ten_minutes_is_no_longer_one() {
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
async fn a_callback_with_a_parameter_twice_is_refused_and_uses_nothing_up() {
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
    assert!(arrived(&browser.open(callback.as_str()).await).is_some());
}

#[tokio::test]
async fn a_callback_by_another_method_is_refused_and_uses_nothing_up() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let callback = finished_at_pingone(&world, &mut browser, &client).await;
    let (mut bare, query) = (callback.clone(), callback.query().expect("a query"));
    bare.set_query(None);
    let sent = cookies::sent(&browser);
    let headers = [("cookie", sent.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    for (method, url, body) in
        [("POST", &bare, query), ("POST", &callback, ""), ("HEAD", &callback, ""), ("PUT", &callback, "")]
    {
        let answer = world.request(method, url.as_str(), &headers, body).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {url}");
        assert_eq!((answer.header("location"), answer.header("set-cookie")), <(String, String)>::default());
        assert_eq!(world.pingone.requests("token"), 0, "{method} {url}");
    }
    assert!(arrived(&browser.open(callback.as_str()).await).is_some());
}

#[tokio::test]
async fn a_callback_that_names_our_own_issuer_is_accepted() {
    let world = World::new();
    world.pingone.force(Failure::CallbackParameter("iss".into(), Some(world.config.issuer())));
    let client = world.client().await;
    assert!(arrived(&world.log_in_to(&mut world.browser(), &client).await).is_some());
}

#[tokio::test]
async fn markup_in_an_error_of_pingone_reaches_neither_our_page_nor_the_client() {
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
    assert_eq!(answer(&world, &page), "server_error");
    assert!(!page.url.as_str().contains("alert"), "{}", page.url);
}
