//! Replies to elicitations that no request awaits any more.

use deputy::host::RecordKey;
use http::StatusCode;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn unawaited_replies_take_a_bounded_number_of_records() {
    let world = World::new();
    let token = world.connected().await.access;
    let list = world.call(&token, "create_new_todo", json!({ "text": "Buy milk" })).await.json();
    let id = list["result"]["structuredContent"]["todos"][0]["id"].clone();
    let session = world.session(&token, json!({ "elicitation": {} })).await;
    let params = json!({ "name": "delete_todo", "arguments": { "id": id } });
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let mut statuses = Vec::new();
    for _ in 0..60 {
        let question = world.stream(&token, &session, &call).await.next().await["id"].clone();
        let reply = json!({ "jsonrpc": "2.0", "id": question, "result": { "action": "decline", "content": "x".repeat(1000) } });
        statuses.push(world.mcp(Some(&token), &reply).await.status);
    }
    let records = world.host.memory().records(world.host.now());
    let kept = records.iter().filter(|(key, _)| matches!(key, RecordKey::Reply(_))).count();
    let accepted = statuses.iter().filter(|status| **status == StatusCode::ACCEPTED).count();
    assert!(kept == accepted && (8..=16).contains(&kept), "{kept} kept, {accepted} accepted");
    assert!(statuses.iter().all(|status| [202, 503].contains(&status.as_u16())), "{statuses:?}");
    // A waiting request would have taken its reply by now.
    world.host.advance(6);
    let question = world.stream(&token, &session, &call).await.next().await["id"].clone();
    let reply = json!({ "jsonrpc": "2.0", "id": question, "result": { "action": "decline" } });
    for _ in 0..2 {
        assert_eq!(
            world.mcp(Some(&token), &reply).await.status,
            StatusCode::ACCEPTED,
            "also the second time"
        );
    }
}
