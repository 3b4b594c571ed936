//! A user who ends every access on *Your agents* is signed off at PingOne too (OpenID Connect RP-Initiated Logout 1.0).

use harness::browser::{Browser, Page};
use http::StatusCode;
use pingone_sim::Failure;

use crate::world::{DEPUTY, PINGONE, Tokens, World, agent_ids, agents_url, code_at_client, list_todos};

/// Two clients of Alice, and her browser on *Your agents*.
async fn signed_in(world: &World) -> ([Tokens; 2], Browser, Page) {
    let tokens = [world.connected().await, world.connected().await];
    let mut browser = world.browser();
    let page = world.sign_in_to_agents(&mut browser, "alice").await;
    (tokens, browser, page)
}

#[tokio::test]
async fn user_who_ends_every_access_is_signed_off_at_pingone() {
    let world = World::new();
    let (tokens, mut browser, page) = signed_in(&world).await;
    let mut thief = browser.clone();
    let page = browser.submit(&page, &[("confirm", "yes")], "end-all").await;
    let expected = [
        ("client_id", world.config.application.client_id.as_str()),
        ("post_logout_redirect_uri", "https://deputy.example/agents"),
    ];
    assert_eq!(
        world.last_query_at_pingone("/signoff"),
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    // PingOne sends the browser back, which is told so once.
    assert_eq!((page.url.as_str(), page.status), (agents_url().as_str(), StatusCode::OK));
    assert!(page.text.contains("PingOne was asked to end your session"), "{}", page.text);
    let again = browser.open(&agents_url()).await;
    assert!(!again.text.contains("was asked"), "{}", again.text);
    for tokens in &tokens {
        assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::UNAUTHORIZED);
    }
    // The session of Your agents has ended, and so has that at PingOne.
    assert!(thief.open(&agents_url()).await.text.contains("value=\"sign-in\""));
    let page = browser.submit(&again, &[], "sign-in").await;
    assert!(page.text.contains("value=\"SIGNON\""), "{}", page.text);
}

#[tokio::test]
async fn sign_off_forgets_the_approvals_of_the_browser() {
    let world = World::with(&[("CLIENT_APPROVAL", "remember")]);
    let (client, other, mut browser) = (world.client().await, world.client().await, world.browser());
    for client in [&client, &other] {
        let code = code_at_client(&world.log_in_to(&mut browser, client).await).expect("a code");
        world.redeem(client, &code).await;
    }
    let page = world.sign_in_to_agents(&mut browser, "alice").await;
    assert_eq!(agent_ids(&page).len(), 2, "{}", page.text);
    browser.submit(&page, &[("confirm", "yes")], "end-all").await;
    assert_eq!(browser.cookie(DEPUTY, "__Host-mcp-approved"), None);
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    assert_eq!(page.url.path(), "/authorize");
}

#[tokio::test]
async fn every_access_ends_although_pingone_is_unreachable() {
    for failing in [true, false] {
        let world = World::new();
        let (tokens, mut browser, page) = signed_in(&world).await;
        if failing {
            // Deputy has not read the metadata yet.
            world.start(&[]);
            world.pingone.force_always(Failure::Discovery(503));
        } else {
            world.network.unplug(PINGONE);
            world.start(&[]);
        }
        let page = browser.submit(&page, &[("confirm", "yes")], "end-all").await;
        assert_eq!((page.url.path(), page.status), ("/agents", StatusCode::OK), "{}", page.text);
        assert!(page.text.contains("PingOne could not be asked"), "{}", page.text);
        for tokens in &tokens {
            assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::UNAUTHORIZED);
        }
        let page = browser.open(&agents_url()).await;
        assert!(page.text.contains("value=\"sign-in\"") && !page.text.contains("was asked"), "{}", page.text);
    }
}

#[tokio::test]
async fn unregistered_signoff_url_keeps_every_access_ended() {
    let world = World::new();
    world.pingone.configure(|pingone| {
        pingone.tenant.application.post_logout_redirect_uris = Some(Vec::new());
    });
    let (tokens, mut browser, page) = signed_in(&world).await;
    let page = browser.submit(&page, &[("confirm", "yes")], "end-all").await;
    assert!(page.url.as_str().starts_with(PINGONE) && page.status.is_client_error(), "{}", page.url);
    for tokens in &tokens {
        assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::UNAUTHORIZED);
    }
    // The browser was not sent back: the next session ends without a word about that.
    let page = world.sign_in_to_agents(&mut browser, "alice").await;
    let page = browser.submit(&page, &[], "sign-out").await;
    assert!(page.text.contains("You are signed out here"), "{}", page.text);
    let page = browser.open(&agents_url()).await;
    assert!(!page.text.contains("was asked"), "{}", page.text);
}

#[tokio::test]
async fn link_to_agents_cannot_claim_a_sign_off() {
    let world = World::new();
    let mut browser = world.browser();
    for query in ["?state=1", "?signed-off=1", "?post_logout_redirect_uri=x"] {
        let page = browser.open(&format!("{}{query}", agents_url())).await;
        assert!(!page.text.contains("was asked"), "{}", page.text);
    }
}
