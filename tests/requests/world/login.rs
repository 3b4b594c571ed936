//! Logins in a browser, and their results.

use harness::browser::{Browser, Page};
use http::StatusCode;
use pingone_sim::Failure;
use url::Url;

use super::{CALLBACK, DEPUTY, Tokens, World};

pub(crate) const HOUR: u64 = 3600;

/// The `Cookie` header of `browser` for Deputy.
pub(crate) fn cookie_header(browser: &Browser) -> String {
    let names = browser.cookie_names(DEPUTY).into_iter();
    let pairs = names
        .map(|name| format!("{name}={}", browser.cookie(DEPUTY, &name).expect("a cookie with this name")));
    pairs.collect::<Vec<_>>().join("; ")
}

/// The error that the authorization request at `path` redirects to the client, with its `state` and `iss`.
pub(crate) async fn authorization_error(world: &World, path: &str) -> String {
    let response = world.get(path).await;
    assert_eq!(response.status, StatusCode::SEE_OTHER, "{path}: {}", response.text);
    let location = response.location();
    assert!(location.as_str().starts_with(&format!("{CALLBACK}?error=")), "{location}");
    assert_eq!(location.fragment(), None);
    let pairs: Vec<_> = location.query_pairs().into_owned().collect();
    let names: Vec<_> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["error", "error_description", "state", "iss"]);
    assert_eq!((pairs[2].1.as_str(), pairs[3].1.as_str()), ("client-state", "https://deputy.example"));
    pairs[0].1.clone()
}

/// The error that a login with this failure at PingOne redirects to the client.
pub(crate) async fn login_error(failure: Failure) -> String {
    let world = World::new();
    world.pingone.force(failure);
    let client = world.client().await;
    let page = world.log_in_to(&mut world.browser(), &client).await;
    error_at_client(&world, &page)
}

/// The error at the client's redirect URI, with `state` and `iss` and without a code.
pub(crate) fn error_at_client(world: &World, page: &Page) -> String {
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

/// The unused callback URL of a login that Alice has finished at PingOne.
pub(crate) async fn finished_at_pingone(world: &World, browser: &mut Browser, client: &str) -> Url {
    let page = browser.open(&world.authorize_url(client, &[])).await;
    let page = browser.submit(&page, &[], "approve").await;
    // Deputy is unreachable when the browser returns, so that the callback stays unused.
    world.network.unplug(DEPUTY);
    let callback = world.log_in(browser, "alice", page.url.as_str()).await;
    assert_eq!(callback.url.path(), "/callback");
    world.start(&[]);
    callback.url
}

/// New tokens of Deputy, while PingOne's access token expires in `left` seconds.
pub(crate) async fn with_expiring_token(world: &World, left: u64) -> Tokens {
    let tokens = world.connected().await;
    world.host.advance(HOUR - 61);
    let tokens = Tokens::of(&tokens.client, &world.refresh(&tokens.client, &tokens.refresh).await);
    world.host.advance(61 - left);
    tokens
}
