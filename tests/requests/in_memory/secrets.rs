use serde_json::json;

use crate::world::{API, World, claims};

#[tokio::test]
async fn nothing_that_is_stored_or_sent_to_the_client_opens_anything() {
    let world = World::new();
    let tokens = world.connected().await;
    world.start(&[("WHO_AM_I_TOKEN", "full")]);
    let me = world.call(&tokens.access, "who_am_i", json!({})).await.json();
    let upstream = me["result"]["structuredContent"]["accessToken"]["raw"].as_str().unwrap().to_owned();
    assert_eq!(claims(&upstream)["aud"], json!([API]));
    for (key, record) in world.host.memory().records(deputy::host::Timestamp(world.now())) {
        let stored = String::from_utf8_lossy(&record.value);
        for secret in [&tokens.access[45..], &tokens.refresh[45..], &upstream[200..240], "client-state"] {
            assert!(!stored.contains(secret), "{key:?}");
        }
    }
}
