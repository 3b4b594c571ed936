//! Logins in a browser, and how they end.

use harness::browser::{Browser, Page};
use http::StatusCode;
use pingone_sim::Failure;
use url::Url;

use super::{CALLBACK, DEPUTY, Tokens, World};

pub(crate) const HOUR: u64 = 3600;

/// The header in which `browser` sends us its cookies.
pub(crate) fn sent(browser: &Browser) -> String {
    let names = browser.cookie_names(DEPUTY).into_iter();
    let pairs = names
        .map(|name| format!("{name}={}", browser.cookie(DEPUTY, &name).expect("a cookie with this name")));
    pairs.collect::<Vec<_>>().join("; ")
}

/// The error at `path` that the client is told, with its state and our issuer.
pub(crate) async fn authorization_error(world: &World, path: &str) -> String {
    let response = world.get(path).await;
    assert_eq!(response.status, StatusCode::SEE_OTHER, "{path}: {}", response.text);
    let answer = response.location();
    assert!(answer.as_str().starts_with(&format!("{CALLBACK}?error=")), "{answer}");
    assert_eq!(answer.fragment(), None);
    let pairs: Vec<_> = answer.query_pairs().into_owned().collect();
    let names: Vec<_> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["error", "error_description", "state", "iss"]);
    assert_eq!((pairs[2].1.as_str(), pairs[3].1.as_str()), ("client-state", "https://deputy.example"));
    pairs[0].1.clone()
}

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

/// A fresh access token of ours while PingOne's is `left` seconds from its end.
pub(crate) async fn about_to_expire(world: &World, left: u64) -> Tokens {
    let tokens = world.connected().await;
    world.host.advance(HOUR - 61);
    let tokens = Tokens::of(&tokens.client, &world.refresh(&tokens.client, &tokens.refresh).await);
    world.host.advance(61 - left);
    tokens
}
