//! Deputy authenticates at PingOne with a key (`private_key_jwt`).

use deputy::config::ClientKey;
use serde_json::{Value, json};

use crate::{
    pingone_refresh::call_succeeds,
    world::{World, error_at_client, with_expiring_token},
};

/// A world whose application at PingOne has these public keys, and whose Deputy has this private key.
fn world(key: &str, jwks: Value) -> World {
    let world =
        World::with(&[("PINGONE_CLIENT_AUTH", "private_key_jwt"), ("PINGONE_CLIENT_KEY", key.trim())]);
    world.pingone.configure(|settings| {
        settings.tenant.application.token_endpoint_auth_method = "PRIVATE_KEY_JWT".into();
        settings.tenant.application.jwks = Some(jwks);
    });
    world
}

/// The public key that belongs to [`CLIENT_KEY`].
pub(crate) fn public_key() -> Value {
    ClientKey::parse(CLIENT_KEY).expect("a key").public_jwk()
}

#[tokio::test]
async fn deputy_logs_in_and_refreshes_with_its_key() {
    for key in [CLIENT_KEY, P256_KEY] {
        let public = ClientKey::parse(key).expect("a key").public_jwk();
        let world = world(key, json!({ "keys": [public] }));
        let tokens = with_expiring_token(&world, 0).await;
        assert!(call_succeeds(&world, &tokens).await);
        assert_eq!(world.pingone.requests("refresh"), 1);
    }
}

/// PingOne has both public keys first, then Deputy signs with the new key, and then PingOne forgets the old one.
#[tokio::test]
async fn key_is_replaced_without_a_failed_login() {
    let [old, new] = [CLIENT_KEY, P256_KEY].map(|key| ClientKey::parse(key).expect("a key").public_jwk());
    let world = world(CLIENT_KEY, json!({ "keys": [old] }));
    world.connected().await;
    world.pingone.configure(|settings| {
        settings.tenant.application.jwks = Some(json!({ "keys": [old, new] }));
    });
    world.connected().await;
    let method = ("PINGONE_CLIENT_AUTH", "private_key_jwt");
    world.start(&[method, ("PINGONE_CLIENT_KEY", P256_KEY.trim())]);
    world.connected().await;
    world.pingone.configure(|settings| settings.tenant.application.jwks = Some(json!({ "keys": [new] })));
    world.connected().await;
}

#[tokio::test]
async fn client_secret_does_not_help_where_a_key_is_demanded() {
    let world = world(CLIENT_KEY, json!({ "keys": [public_key()] }));
    world.start(&[]);
    assert_eq!(refused_login(&world).await, "server_error");
}

#[tokio::test]
async fn key_that_pingone_does_not_know_ends_a_login_with_an_error() {
    let mut other = public_key();
    let modulus = other["n"].as_str().expect("a modulus").to_owned();
    let first = if modulus.starts_with('w') { 'x' } else { 'w' };
    other["n"] = json!(format!("{first}{}", &modulus[1..]));
    assert_eq!(refused_login(&world(CLIENT_KEY, json!({ "keys": [other] }))).await, "server_error");
}

/// The error that a client gets from a login.
async fn refused_login(world: &World) -> String {
    let client = world.client().await;
    let mut browser = world.browser();
    let page = world.log_in_to(&mut browser, &client).await;
    error_at_client(world, &page)
}

/// A private key.
pub(crate) const CLIENT_KEY: &str = include_str!("pingone_client_key.json");

/// A private key for ES256.
const P256_KEY: &str = include_str!("pingone_p256_key.json");
