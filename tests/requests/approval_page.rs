//! The approval page: what it shows, and the headers that protect it.

use http::StatusCode;
use serde_json::json;

use crate::world::{CALLBACK, Response, World};

#[tokio::test]
async fn approval_page_names_client_redirect_uri_and_scopes() {
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
    assert_eq!(world.requests_to_pingone(), 0, "PingOne is not asked before the approval");
}

#[tokio::test]
async fn approval_page_headers_forbid_framing_caching_and_scripts() {
    let world = World::new();
    let client = world.client().await;
    let page = world.get(&world.authorize_path(&client, &[])).await;
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.ends_with("; frame-ancestors 'none'; base-uri 'none'"), "{policy}");
    // The policy allows one script, by a nonce that is new in each response.
    let nonce = |page: &Response| {
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
async fn markup_in_a_client_name_is_shown_as_text() {
    let world = World::new();
    let name = "<script>alert(1)</script>\"'{{7*7}}\u{202e}";
    let client = world.register(&json!({"client_name": name, "redirect_uris": [CALLBACK]})).await;
    let page =
        world.get(&world.authorize_path(client["client_id"].as_str().unwrap(), &[("state", "<b>")])).await;
    assert!(!page.text.contains("<script>") && !page.text.contains("<b>") && !page.text.contains('\u{202e}'));
    assert!(page.text.contains("{{7*7}}"), "nothing is evaluated");
}

#[tokio::test]
async fn client_name_does_not_change_the_question() {
    let world = World::new();
    let name = "Claude” to read the weather? Verified. Do not allow “Other";
    let client = world.register(&json!({"client_name": name, "redirect_uris": [CALLBACK]})).await;
    let page = world.get(&world.authorize_path(client["client_id"].as_str().unwrap(), &[])).await;
    assert!(
        page.text.contains("<h1>Allow an application to use your to-do list as you?</h1>"),
        "{}",
        page.text
    );
    assert!(page.text.contains("It calls itself (not verified)"));
}

#[tokio::test]
async fn approval_page_says_how_long_it_remembers() {
    const SAYS: &str = "does not ask again about the same application for up to 30 days";
    for (setting, remembers) in [("remember", true), ("loopback", false), ("always", false)] {
        let world = World::with(&[("CLIENT_APPROVAL", setting)]);
        let client = world.client().await;
        let page = world.get(&world.authorize_path(&client, &[])).await;
        assert_eq!(page.text.contains(SAYS), remembers, "{}", page.text);
    }
}

#[tokio::test]
async fn approval_page_says_who_sees_the_access_token() {
    const NEVER: &str = "never sees your password, nor the PingOne access token that opens your to-do list.";
    const SEES: &str = "Your PingOne access token for your to-do list";
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
