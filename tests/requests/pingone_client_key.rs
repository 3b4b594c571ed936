//! Deputy authenticates at PingOne with a key (`private_key_jwt`).

use deputy::config::ClientKey;
use serde_json::{Value, json};

use crate::{
    pingone_refresh::call_succeeds,
    world::{World, error_at_client, with_expiring_token},
};

/// A world whose application at PingOne has these public keys, and whose Deputy has the key of this module.
fn world(jwks: Value) -> World {
    let world =
        World::with(&[("PINGONE_CLIENT_AUTH", "private_key_jwt"), ("PINGONE_CLIENT_KEY", KEY.trim())]);
    world.pingone.configure(|settings| {
        settings.tenant.application.token_endpoint_auth_method = "PRIVATE_KEY_JWT".into();
        settings.tenant.application.jwks = Some(jwks);
    });
    world
}

fn public_key() -> Value {
    ClientKey::parse(KEY).expect("a key").public_jwk()
}

#[tokio::test]
async fn deputy_logs_in_and_refreshes_with_its_key() {
    let world = world(json!({ "keys": [public_key()] }));
    let tokens = with_expiring_token(&world, 0).await;
    assert!(call_succeeds(&world, &tokens).await);
    assert_eq!(world.pingone.requests("refresh"), 1);
}

#[tokio::test]
async fn client_secret_does_not_help_where_a_key_is_demanded() {
    let world = world(json!({ "keys": [public_key()] }));
    world.start(&[]);
    assert_eq!(refused_login(&world).await, "server_error");
}

#[tokio::test]
async fn key_that_pingone_does_not_know_ends_a_login_with_an_error() {
    let mut other = public_key();
    let modulus = other["n"].as_str().expect("a modulus").to_owned();
    let first = if modulus.starts_with('w') { 'x' } else { 'w' };
    other["n"] = json!(format!("{first}{}", &modulus[1..]));
    assert_eq!(refused_login(&world(json!({ "keys": [other] }))).await, "server_error");
}

/// The error that a client gets from a login.
async fn refused_login(world: &World) -> String {
    let client = world.client().await;
    let mut browser = world.browser();
    let page = world.log_in_to(&mut browser, &client).await;
    error_at_client(world, &page)
}

const KEY: &str = include_str!("pingone_client_key.json");
