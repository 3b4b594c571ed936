//! The key with which Deputy authenticates.

use serde_json::{Value, json};

use super::{
    super::report::Verb,
    world::{Mode, World, verbs},
};

const RSA: [(&str, &str); 2] = [
    ("PINGONE_CLIENT_AUTH", "private_key_jwt"),
    ("PINGONE_CLIENT_KEY", include_str!("../../../../../tests/requests/pingone_client_key.json")),
];

const P256: [(&str, &str); 2] =
    [RSA[0], ("PINGONE_CLIENT_KEY", include_str!("../../../../../tests/requests/pingone_p256_key.json"))];

/// The application, after `change` of it.
async fn changed(world: &World, change: impl FnOnce(&mut Value)) -> Value {
    world.edit("/applications", |item| item["name"] == "Deputy", change).await;
    application(world).await
}

async fn application(world: &World) -> Value {
    let applications = world.management().await.list("/applications", "applications").await.unwrap();
    applications.into_iter().find(|item| item["name"] == "Deputy").unwrap()
}

fn key_set(application: &Value) -> Vec<Value> {
    let jwks: Value = serde_json::from_str(application["jwks"].as_str().unwrap()).unwrap();
    jwks["keys"].as_array().unwrap().clone()
}

#[tokio::test]
async fn key_of_deputy_replaces_the_client_secret() {
    let world = World::new();
    let applied = world.run(Mode::Apply, &RSA).await;
    assert!(applied.error.is_none(), "{:?}", applied.error);
    assert_eq!((applied.client_secret, applied.client_id.is_some()), (None, true));
    let again = world.run(Mode::Verify, &RSA).await;
    assert_eq!(verbs(&again.lines, Verb::Ok).len(), again.lines.len(), "{:?}", again.lines);
    // Without the key, PingOne would accept a secret again: less than before.
    let without = world.run(Mode::Apply, &[]).await;
    assert_eq!(verbs(&without.lines, Verb::Keep), ["application Deputy"], "{:?}", without.lines);
}

#[tokio::test]
async fn second_key_is_added_to_the_first() {
    let world = World::new();
    for key in [&P256, &RSA] {
        assert!(world.run(Mode::Apply, key).await.error.is_none());
    }
    let kinds: Vec<_> =
        key_set(&application(&world).await).into_iter().map(|key| key["kty"].clone()).collect();
    assert_eq!(kinds, ["EC", "RSA"]);
    for key in [&P256, &RSA] {
        let verified = world.run(Mode::Verify, key).await;
        assert_eq!(verbs(&verified.lines, Verb::Ok).len(), verified.lines.len(), "{:?}", verified.lines);
    }
}

#[tokio::test]
async fn other_ec_key_is_not_that_of_deputy() {
    let world = World::new();
    assert!(world.run(Mode::Apply, &P256).await.error.is_none());
    let mut other = key_set(&application(&world).await)[0].clone();
    (other["x"], other["kid"]) = (other["y"].clone(), json!("other"));
    changed(&world, |app| app["jwks"] = json!(json!({ "keys": [other] }).to_string())).await;
    assert!(world.run(Mode::Apply, &P256).await.error.is_none());
    assert_eq!(key_set(&application(&world).await).len(), 2);
}

#[tokio::test]
async fn key_set_that_is_unclear_is_left_alone() {
    let world = World::new();
    assert!(world.run(Mode::Apply, &P256).await.error.is_none());
    let mut other = key_set(&application(&world).await)[0].clone();
    other["x"] = other["y"].clone();
    // The same kid with another key, a text that is no key set, and a URL.
    for (jwks, url, verb) in [
        (json!(json!({ "keys": [other] }).to_string()), Value::Null, Verb::ByHand),
        (json!("nonsense"), Value::Null, Verb::ByHand),
        (Value::Null, json!("https://deputy.example.com/jwks"), Verb::Keep),
    ] {
        let before = changed(&world, |app| (app["jwks"], app["jwksUrl"]) = (jwks, url)).await;
        let applied = world.run(Mode::Apply, &P256).await;
        assert_eq!(verbs(&applied.lines, verb), ["application Deputy"], "{:?}", applied.lines);
        assert_eq!(application(&world).await, before);
    }
}
