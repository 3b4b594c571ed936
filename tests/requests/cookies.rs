//! What a browser keeps for us, and for how long.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use harness::browser::Browser;
use pingone_sim::Failure;

use crate::world::{CALLBACK, DEPUTY, World};

/// The header in which `browser` sends us its cookies.
pub(crate) fn sent(browser: &Browser) -> String {
    let names = browser.cookie_names(DEPUTY).into_iter();
    let pairs = names
        .map(|name| format!("{name}={}", browser.cookie(DEPUTY, &name).expect("a cookie with this name")));
    pairs.collect::<Vec<_>>().join("; ")
}

/// The cookies that we have set so far in answers at `path`, each as name, value and attributes.
fn set_at(world: &World, path: &str) -> Vec<(String, String, String)> {
    let exchanges = world.network.exchanges().into_iter();
    let ours = exchanges.filter(|exchange| exchange.request.uri().to_string().starts_with(DEPUTY));
    let there = ours.filter(|exchange| exchange.request.uri().path() == path);
    let cookies = there.flat_map(|exchange| {
        let headers = exchange.response.headers().get_all("set-cookie").into_iter();
        headers.map(|cookie| cookie.to_str().expect("visible ASCII").to_owned()).collect::<Vec<_>>()
    });
    let parts = cookies.map(|cookie| {
        let (name, rest) = cookie.split_once('=').expect("a name");
        let (value, attributes) = rest.split_once("; ").expect("attributes");
        (name.to_owned(), value.to_owned(), attributes.to_owned())
    });
    parts.collect()
}

#[tokio::test]
async fn every_cookie_is_for_this_host_alone_and_goes_when_it_has_done_its_work() {
    let world = World::with(&[("CLIENT_APPROVAL", "remember")]);
    let client = world.client().await;
    let mut browser = world.browser();
    world.log_in_to(&mut browser, &client).await;
    for (path, cookies) in [
        ("/authorize", &[("__Host-mcp-approve-########", true, 600)][..]),
        (
            "/approve",
            &[
                ("__Host-mcp-login-########", true, 600),
                ("__Host-mcp-approved", true, 2_592_000),
                ("__Host-mcp-approve-########", false, 0),
            ],
        ),
        ("/callback", &[("__Host-mcp-login-########", false, 0)]),
    ] {
        let set = set_at(&world, path);
        assert_eq!(set.len(), cookies.len(), "{path}: {set:?}");
        for ((name, value, attributes), (expected, has_value, seconds)) in set.iter().zip(cookies) {
            let one = expected.strip_suffix("########").and_then(|stem| name.strip_prefix(stem));
            assert!(one.map_or(name == expected, |one| one.len() == 8), "{name}");
            assert_eq!(!value.is_empty(), *has_value, "{name}");
            let expected = format!("Path=/; Max-Age={seconds}; HttpOnly; Secure; SameSite=Lax");
            assert_eq!(*attributes, expected, "{name}");
        }
    }
    assert_eq!(browser.cookie_names(DEPUTY), ["__Host-mcp-approved"]);
}

#[tokio::test]
async fn nothing_is_kept_of_what_was_denied_or_of_a_login_that_failed() {
    let world = World::with(&[("CLIENT_APPROVAL", "remember")]);
    let client = world.client().await;
    let mut denying = world.browser();
    let page = denying.open(&world.authorize_url(&client, &[])).await;
    assert_eq!(denying.cookie_names(DEPUTY).len(), 1);
    denying.submit(&page, &[], "deny").await;
    assert_eq!(denying.cookie_names(DEPUTY), <[String; 0]>::default());
    for failure in [Failure::CallbackError("access_denied".into()), Failure::Token(500, String::new())] {
        world.pingone.force(failure);
        let mut browser = world.browser();
        let page = world.log_in_to(&mut browser, &client).await;
        assert!(page.query("error").is_some(), "{}", page.url);
        assert_eq!(browser.cookie_names(DEPUTY), ["__Host-mcp-approved"], "what was approved, and no login");
    }
}

#[tokio::test]
async fn no_cookie_says_which_client_or_where_to_or_holds_a_state_or_handle() {
    let world = World::with(&[("CLIENT_APPROVAL", "remember")]);
    let client = world.client().await;
    let mut browser = world.browser();
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    let handle = page.text.split("name=\"handle\" value=\"").nth(1).expect("a handle")[..43].to_owned();
    let at_pingone = browser.submit(&page, &[], "approve").await;
    let state = at_pingone.query("state").expect("a state");
    let set = [set_at(&world, "/authorize"), set_at(&world, "/approve")].concat();
    assert_eq!(set.len(), 4);
    for (name, value, _) in set {
        let decoded = value.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url"));
        let decoded = String::from_utf8_lossy(&decoded.collect::<Vec<_>>().concat()).into_owned();
        for secret in [&client, CALLBACK, "client.example", "Test client", "client-state", &handle, &state] {
            assert!(![&name, &value, &decoded].iter().any(|text| text.contains(secret)), "{name}: {secret}");
        }
    }
}
