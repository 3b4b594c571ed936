//! Cookies that Deputy sets in a browser, and foreign ones beside them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use pingone_sim::Failure;

use crate::{
    media_types::{FOREIGN, send},
    world::{CALLBACK, DEPUTY, Response, World, handle_in},
};

/// The cookies that responses at `path` have set so far, each as name, value and attributes.
fn cookies_set_at(world: &World, path: &str) -> Vec<(String, String, String)> {
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
async fn cookies_are_host_only_and_removed_after_use() {
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
        let set = cookies_set_at(&world, path);
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
async fn denied_request_and_failed_login_leave_no_login_cookie() {
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
        assert_eq!(browser.cookie_names(DEPUTY), ["__Host-mcp-approved"], "the approval, and no login");
    }
}

#[tokio::test]
async fn cookies_reveal_neither_client_nor_state_nor_handle() {
    let world = World::with(&[("CLIENT_APPROVAL", "remember")]);
    let client = world.client().await;
    let mut browser = world.browser();
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    let handle = handle_in(&page.text).expect("a handle").to_owned();
    let at_pingone = browser.submit(&page, &[], "approve").await;
    let state = at_pingone.query("state").expect("a state");
    let set = [cookies_set_at(&world, "/authorize"), cookies_set_at(&world, "/approve")].concat();
    assert_eq!(set.len(), 4);
    for (name, value, _) in set {
        let decoded = value.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url"));
        let decoded = String::from_utf8_lossy(&decoded.collect::<Vec<_>>().concat()).into_owned();
        for secret in [&client, CALLBACK, "client.example", "Test client", "client-state", &handle, &state] {
            assert!(![&name, &value, &decoded].iter().any(|text| text.contains(secret)), "{name}: {secret}");
        }
    }
}

/// A same-origin request of a browser with these cookies.
async fn request_with_cookies(
    world: &World,
    method: &str,
    path: &str,
    cookies: Vec<u8>,
    body: &str,
) -> Response {
    let form = b"application/x-www-form-urlencoded".to_vec();
    let headers = [("content-type", form), ("sec-fetch-site", b"same-origin".to_vec()), ("cookie", cookies)];
    send(world, method, path, &headers, body).await
}

/// The name and value of the first cookie that a response sets.
fn first_cookie(response: &Response) -> String {
    response.header("set-cookie").split(';').next().expect("a cookie").to_owned()
}

#[tokio::test]
async fn login_works_beside_foreign_cookies_of_any_bytes() {
    let world = World::new();
    let client = world.client().await;
    for foreign in FOREIGN {
        let joined = |ours: &str, first| {
            let (one, other) = if first { (ours.as_bytes(), foreign) } else { (foreign, ours.as_bytes()) };
            [one, b"; ", other].concat()
        };
        for first in [true, false] {
            let page = world.get(&world.authorize_path(&client, &[])).await;
            let handle = handle_in(&page.text).expect("a handle");
            let form = format!("handle={handle}&decision=approve");
            let response =
                request_with_cookies(&world, "POST", "/approve", joined(&first_cookie(&page), first), &form)
                    .await;
            assert_eq!(response.status, StatusCode::SEE_OTHER, "{foreign:?}: {}", response.text);
            let state =
                response.location().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
            let path = format!("/callback?error=access_denied&state={state}&iss={}", world.config.issuer());
            let response =
                request_with_cookies(&world, "GET", &path, joined(&first_cookie(&response), first), "").await;
            assert!(response.header("location").starts_with(CALLBACK), "{foreign:?}: {}", response.text);
        }
    }
}

#[tokio::test]
async fn cookie_behind_a_unicode_space_is_ignored() {
    let world = World::new();
    let client = world.client().await;
    let page = world.get(&world.authorize_path(&client, &[])).await;
    let handle = handle_in(&page.text).expect("a handle");
    let form = format!("handle={handle}&decision=approve");
    // A subdomain can set a cookie with this name for the whole domain.
    for space in ["\u{85}", "\u{a0}", "\u{2000}", "\u{2028}", "\u{3000}"] {
        let cookie = format!("{space}{}", first_cookie(&page)).into_bytes();
        let response = request_with_cookies(&world, "POST", "/approve", cookie, &form).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{space:?}");
    }
    let response =
        request_with_cookies(&world, "POST", "/approve", first_cookie(&page).into_bytes(), &form).await;
    assert_eq!(response.status, StatusCode::SEE_OTHER);
}
