//! The last page of a login whose redirect URI has a private-use scheme (RFC 8252 §7.1).

use harness::browser::{Browser, Page};
use http::StatusCode;
use serde_json::json;
use url::Url;

use crate::authorization_endpoint::assert_markup_is_escaped;
use crate::world::{DEPUTY, VERIFIER, World};

const CURSOR: &str = "cursor://anysphere.cursor-mcp/oauth/callback";

#[tokio::test]
async fn private_use_login_ends_on_a_page_that_opens_it() {
    let world = cursor_world();
    let client = cursor(&world, "Cursor").await;
    let page = log_in(&world, &mut world.browser(), &client).await;
    assert_eq!((page.status, page.url.path()), (StatusCode::OK, "/callback"));
    assert!(page.text.contains("Connected to <span class=\"quoted\">Cursor</span>"), "{}", page.text);
    assert!(page.text.contains("handles <code>cursor:</code> links"), "{}", page.text);
    let url = opened_url(&page);
    assert_eq!(parameter(&url, "state").as_deref(), Some("client-state"));
    assert_eq!(parameter(&url, "iss").as_deref(), Some(DEPUTY));
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", client.as_str()),
        ("code", &parameter(&url, "code").expect("a code")),
        ("code_verifier", VERIFIER),
        ("redirect_uri", CURSOR),
    ];
    assert_eq!(world.post_form("/token", &form).await.status, StatusCode::OK);
}

#[tokio::test]
async fn page_with_a_code_is_neither_stored_nor_shown_again() {
    let world = cursor_world();
    let client = cursor(&world, "Cursor").await;
    let mut browser = world.browser();
    let page = log_in(&world, &mut browser, &client).await;
    let header = |name| page.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!((header("cache-control"), header("referrer-policy")), ("no-store", "no-referrer"));
    let policy = header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("script-src"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'; base-uri 'none'"), "{policy}");
    assert!(!page.text.contains("<script") && !page.headers.contains_key("refresh"), "{}", page.text);
    let code = parameter(&opened_url(&page), "code").expect("a code");
    let again = browser.open(page.url.as_str()).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert!(again.text.contains("already finished") && !again.text.contains(&code), "{}", again.text);
}

#[tokio::test]
async fn denied_private_use_request_ends_on_a_page_with_advice() {
    let world = cursor_world();
    let client = cursor(&world, "Cursor").await;
    let mut browser = world.browser();
    let page = browser.open(&authorize_url(&world, &client, &[])).await;
    let page = browser.submit(&page, &[], "deny").await;
    assert_eq!((page.status, page.url.path()), (StatusCode::OK, "/approve"));
    assert!(page.text.contains("Not connected") && page.text.contains("you denied it"), "{}", page.text);
    assert!(page.text.contains("start the connection again from the application"), "{}", page.text);
    let url = opened_url(&page);
    assert_eq!(parameter(&url, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&url, "iss").as_deref(), Some(DEPUTY));
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn faulty_private_use_request_gets_a_page_without_a_name() {
    let world = cursor_world();
    let client = cursor(&world, "Your bank").await;
    let url = authorize_url(&world, &client, &[("response_type", "token"), ("state", "'\"><script>")]);
    let page = world.get(&url[DEPUTY.len()..]).await;
    assert_eq!((page.status, page.header("location")), (StatusCode::OK, String::new()));
    assert_markup_is_escaped(&page, "the page");
    assert!(page.text.contains("response_type must be code") && !page.text.contains("bank"), "{}", page.text);
    let url = opened_in(&page.text);
    assert!(url.as_str().starts_with(&format!("{CURSOR}?error=unsupported_response_type&")), "{url}");
}

#[tokio::test]
async fn approval_page_describes_a_private_use_redirect_uri() {
    let world = cursor_world();
    let client = cursor(&world, "Cursor").await;
    let page = world.get(&authorize_url(&world, &client, &[])[DEPUTY.len()..]).await;
    let words = "an application on this computer that handles <span class=\"host\">cursor:</span> links";
    assert!(page.text.contains(words), "{}", page.text);
    assert!(page.text.contains("Approve only if you have just started this connection"), "{}", page.text);
}

fn cursor_world() -> World {
    World::with(&[("PRIVATE_USE_REDIRECT_URIS", CURSOR)])
}

async fn cursor(world: &World, name: &str) -> String {
    let metadata =
        json!({"client_name": name, "redirect_uris": [CURSOR], "token_endpoint_auth_method": "none"});
    world.register(&metadata).await["client_id"].as_str().expect("an id").to_owned()
}

fn authorize_url(world: &World, client: &str, overrides: &[(&str, &str)]) -> String {
    let overrides: Vec<_> = overrides.iter().copied().chain([("redirect_uri", CURSOR)]).collect();
    world.authorize_url(client, &overrides)
}

async fn log_in(world: &World, browser: &mut Browser, client: &str) -> Page {
    world.log_in(browser, "alice", &authorize_url(world, client, &[])).await
}

pub(crate) fn opened_url(page: &Page) -> Url {
    assert!(!page.headers.contains_key("location"), "{:?}", page.headers);
    opened_in(&page.text)
}

/// The URL that a page opens by itself, which is also that of its link.
fn opened_in(page: &str) -> Url {
    let after = |start: &str| {
        let (_, rest) = page.split_once(start).unwrap_or_else(|| panic!("no {start} in {page}"));
        rest.split('"').next().unwrap_or_default().to_owned()
    };
    let opened = after("<meta http-equiv=\"refresh\" content=\"0;url=");
    assert_eq!(after("<a class=\"button main\" href=\""), opened);
    let url = opened.replace("&#38;", "&").replace("&#39;", "'");
    assert!(url.starts_with(CURSOR), "{url}");
    Url::parse(&url).expect("a URL")
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
