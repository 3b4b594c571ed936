//! A client that listens, to a server with tools of its own.

use std::sync::Arc;

use deputy::{
    Server, Wording,
    host::BoxFuture,
    mcp::{Call, Caller, Handler, Peer, RpcError},
};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};

use crate::world::{DEPUTY, World};

/// Says that it has begun, and nothing more.
struct Listening;

impl Handler for Listening {
    fn required_scopes(&self, _: &str, _: Option<&str>) -> Vec<String> {
        Vec::new()
    }

    fn input_schema(&self, _: &str) -> Option<Arc<Map<String, Value>>> {
        None
    }

    fn handle(&self, _: Call, _: Caller, peer: Peer) -> BoxFuture<'static, Result<Value, RpcError>> {
        peer.notify(json!({ "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged" }));
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn who_listens_is_sent_away_when_the_grant_is_revoked() {
    let world = World::new();
    let tokens = world.connected().await;
    let wording = Wording::new(todo::API_IN_WORDS, todo::SCOPES_IN_WORDS);
    let server =
        Server::new(world.deputy_config(), Arc::new(world.host.clone()), Arc::new(Listening), wording);
    world.network.serve(DEPUTY, server.router());
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
    });
    let message =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": { "_meta": meta } });
    let request = Request::post(format!("{DEPUTY}/mcp"))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "subscriptions/listen")
        .header("authorization", format!("Bearer {}", tokens.access))
        .body(message.to_string().into());
    let mut body = world.network.open(request.unwrap()).await.unwrap().into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(String::from_utf8_lossy(&first).contains("acknowledged"), "{first:?}");
    let form = [("client_id", tokens.client.as_str()), ("token", tokens.refresh.as_str())];
    assert_eq!(world.post_form("/revoke", &form).await.status, StatusCode::OK);
    let rest = body.collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&rest).contains("no longer good"), "{rest:?}");
}
