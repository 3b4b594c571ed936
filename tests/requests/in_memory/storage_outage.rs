//! Storage fails for longer than the lease of a refresh.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::body::Body;
use deputy::host::{BoxFuture, Host, Operation, Outcome, RecordKey, Store, StoreError};
use harness::memory::MemoryHost;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower_service::Service as _;

use crate::world::{DEPUTY, World, list_todos, with_expiring_token};

/// A store that fails for this many operations once PingOne was asked for a refresh. Each takes a second.
struct Outage {
    store: Arc<dyn Store>,
    host: MemoryHost,
    pingone: pingone_sim::Simulator,
    left: AtomicU64,
}

impl Store for Outage {
    fn execute<'a>(
        &'a self,
        key: &'a RecordKey,
        operation: Operation,
    ) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        let fail = |left: u64| left.checked_sub(1);
        if self.pingone.requests("refresh") > 0
            && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fail).is_ok()
        {
            self.host.advance(1);
            return Box::pin(async { Err(StoreError("the database is away".to_owned())) });
        }
        self.store.execute(key, operation)
    }
}

#[tokio::test]
async fn tokens_of_pingone_outlive_an_outage_longer_than_the_lease() {
    let world = World::new();
    let tokens = with_expiring_token(&world, 0).await;
    let parts = world.host.host();
    let outage = Outage {
        store: Arc::clone(&parts.store),
        host: world.host.clone(),
        pingone: world.pingone.clone(),
        left: AtomicU64::new(90),
    };
    let mut router = world.server(Host { store: Arc::new(outage), ..parts }).router();
    let params = json!({ "name": "get_my_todo_list", "arguments": {} });
    let request = Request::post(format!("{DEPUTY}/mcp"))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-11-25")
        .header("authorization", format!("Bearer {}", tokens.access))
        .body(Body::from(
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string(),
        ));
    let Ok(response) = router.call(request.unwrap()).await;
    assert_eq!(response.status(), StatusCode::OK);
    let body: Value =
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    let text = body["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("its own storage"), "the request does not wait for the end of the outage: {text}");
    // The tokens are written meanwhile.
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
    assert_eq!(list_todos(&world, &tokens.access).await.json()["result"]["isError"], json!(false));
    assert_eq!(world.pingone.requests("refresh"), 1);
}
