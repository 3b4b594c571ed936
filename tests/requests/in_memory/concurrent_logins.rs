//! Concurrent logins. On the Workers runtime of a test machine they would slow down every other test.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::world::{CALLBACK, DEPUTY, Tokens, World, code_at_client};

/// The user of the login with this number.
const fn user(number: usize) -> (&'static str, &'static str) {
    if number.is_multiple_of(2) { ("alice", "Alice Anders") } else { ("bob", "Bob Brandt") }
}

fn verifier(number: usize) -> String {
    format!("{number:043}")
}

/// The code that the client receives with the state of this login.
async fn code(world: &World, client: &str, number: usize) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier(number)));
    let state = format!("state-{number}");
    let url = world.authorize_url(client, &[("state", &state), ("code_challenge", &challenge)]);
    let page = world.log_in(&mut world.browser(), user(number).0, &url).await;
    assert_eq!(page.query("state"), Some(state));
    code_at_client(&page).unwrap_or_else(|| panic!("no code at {}:\n{}", page.url, page.text))
}

/// The tokens for a code, redeemed with the verifier of this login.
async fn tokens(world: &World, client: &str, code: &str, number: usize) -> Tokens {
    let verifier = verifier(number);
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", code),
        ("code_verifier", &verifier),
        ("redirect_uri", CALLBACK),
    ];
    Tokens::of(client, &world.post_form("/token", &form).await)
}

#[tokio::test]
async fn hundred_concurrent_logins_get_their_own_codes_and_users() {
    let world = World::new();
    let client = world.client().await;
    let codes = join_all((0..100).map(|number| code(&world, &client, number))).await;
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), 100);
    let numbered = codes.iter().enumerate();
    let tokens = join_all(numbered.map(|(number, code)| tokens(&world, &client, code, number))).await;
    let calls = tokens.iter().map(|tokens| world.call(&tokens.access, "who_am_i", json!({})));
    for (number, response) in join_all(calls).await.into_iter().enumerate() {
        assert!(response.text.contains(user(number).1), "{number}: {}", response.text);
    }
    assert!(world.network.exchanges().iter().all(|exchange| {
        !exchange.request.uri().to_string().starts_with(DEPUTY) || exchange.response.status().as_u16() < 500
    }));
}
