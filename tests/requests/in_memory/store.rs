use deputy::host::{RecordKey, Store as _};
use harness::{index_suite, memory::MemoryHost, network::Network, store_suite};
use http::StatusCode;
use serde_json::json;

use crate::world::{CALLBACK, World};

#[tokio::test]
async fn memory_store_passes_the_store_suite() {
    let host = MemoryHost::new(1, Network::default());
    let failures = store_suite::run(host.memory(), host.now(), 1).await;
    assert_eq!(failures, Vec::<String>::new());
}

#[tokio::test]
async fn memory_index_passes_the_index_suite() {
    let host = MemoryHost::new(1, Network::default());
    let failures = index_suite::run(host.memory(), host.grant_index(), host.now(), 1).await;
    assert_eq!(failures, Vec::<String>::new());
}

#[tokio::test]
async fn registration_stored_by_an_earlier_version_works() {
    let world = World::new();
    let client = "BwcHBwcHBwcHBwcHBwcHBw";
    let record = json!({
        "id": client, "name": "An app", "redirect_uris": [CALLBACK], "auth_method": "none", "secret": null,
        "issued_at": 1_700_000_000,
    });
    let (key, until) = (RecordKey::Client(client.to_owned()), world.host.now().plus(60));
    world.host.memory().put(&key, record.to_string().into_bytes(), until).await.unwrap();
    let code = world.code(client).await;
    assert_eq!(world.redeem(client, &code).await.status, StatusCode::OK);
    // The use has prolonged it.
    world.host.advance(89 * 24 * 3600);
    assert_eq!(world.refresh(client, "x").await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn registrations_store_nothing() {
    let world = World::new();
    let uris: Vec<_> = (0..30).map(|n| format!("https://{n}.example/{}", "x".repeat(200))).collect();
    for number in 0..50 {
        let name = format!("{number}{}", "x".repeat(900));
        world.register(&json!({ "client_name": name, "redirect_uris": uris })).await;
    }
    assert_eq!(world.host.memory().records(world.host.now()), []);
}
