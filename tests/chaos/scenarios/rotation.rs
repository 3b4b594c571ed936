//! Secrets that are replaced in their files while users work. For the native host only.

use serde_json::json;

use crate::{
    user::Outcome,
    world::{KEY, Price, World, users},
};

/// Replaces the key of the server and the client secret, under load. Each process finds a change at its own time, so the new
/// key is accepted everywhere before tokens are made with it.
async fn replace_secrets(mut world: World, scenario: &str) {
    let load = world.load().await;
    for keys in [format!("{KEY},{NEW_KEY}"), format!("{NEW_KEY},{KEY}")] {
        world.write_secret("SERVER_KEY", &keys);
        load.during(UNTIL_READ).await;
    }
    world.pingone.configure(json!({ "client_secret": NEW_SECRET, "keeps_client_secret": true })).await;
    world.write_secret("PINGONE_CLIENT_SECRET", NEW_SECRET);
    load.during(UNTIL_READ).await;
    world.pingone.configure(json!({ "keeps_client_secret": false })).await;
    load.during(2).await;
    let outcomes = world.finish(scenario, load, Price::default()).await;
    assert_eq!(outcomes.iter().find(|outcome| **outcome != Outcome::Ok), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_replaced_in_files_fail_no_request() {
    replace_secrets(World::start().await, "secrets replaced in their files, no grace").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL and HAProxy"]
async fn secrets_of_replicas_replaced_in_files_fail_no_request() {
    let world = World::start_replicas(users()).await;
    replace_secrets(world, "replicas: secrets replaced in their files, no grace").await;
}

const NEW_KEY: &str = "bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmU=";
const NEW_SECRET: &str = "another-secret-of-the-client";

/// Seconds in which every process has read a file again: it looks twice, two seconds apart.
const UNTIL_READ: u64 = 6;
