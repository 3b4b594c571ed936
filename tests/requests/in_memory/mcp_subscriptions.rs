//! Subscriptions and open elicitations: how they end, and how many may stay open.

use std::sync::Arc;

use axum::body::Body;
use deputy::{
    Server, Wording,
    host::{BoxFuture, Capacity},
    mcp::{Call, Caller, Handler, Peer, RpcError},
};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};

use crate::world::{DEPUTY, World};

/// Acknowledges the subscription, and sends nothing else.
struct ListeningTool;

impl Handler for ListeningTool {
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
async fn revoked_grant_ends_its_open_subscription() {
    let world = World::new();
    let tokens = world.connected().await;
    serve(&world);
    let body = listening(&world, &tokens.access).await.expect("a stream");
    let form = [("client_id", tokens.client.as_str()), ("token", tokens.refresh.as_str())];
    assert_eq!(world.post_form("/revoke", &form).await.status, StatusCode::OK);
    let rest = body.collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&rest).contains("no longer valid"), "{rest:?}");
}

#[tokio::test]
async fn server_stop_ends_a_subscription_with_a_message() {
    let world = World::new();
    let tokens = world.connected().await;
    serve(&world);
    let body = listening(&world, &tokens.access).await.expect("a stream");
    world.host.stop();
    let rest = body.collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&rest).contains("the server restarts"), "{rest:?}");
}

/// Sends a ping to the client and waits for the reply.
struct AskingTool;

impl Handler for AskingTool {
    fn required_scopes(&self, _: &str, _: Option<&str>) -> Vec<String> {
        Vec::new()
    }

    fn input_schema(&self, _: &str) -> Option<Arc<Map<String, Value>>> {
        None
    }

    fn handle(&self, _: Call, _: Caller, peer: Peer) -> BoxFuture<'static, Result<Value, RpcError>> {
        match peer.ask("ping", None) {
            Ok(reply) => reply,
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

#[tokio::test]
async fn server_stop_ends_an_open_elicitation_with_an_error() {
    let world = World::new();
    let token = world.connected().await.access;
    serve_tools(&world, Arc::new(AskingTool));
    let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "ask" } });
    let request = Request::post(format!("{DEPUTY}/mcp"))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-11-25")
        .header("authorization", format!("Bearer {token}"))
        .body(call.to_string().into());
    let mut body = world.network.open(request.unwrap()).await.unwrap().into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(String::from_utf8_lossy(&first).contains("\"method\":\"ping\""), "{first:?}");
    world.host.stop();
    let rest = body.collect().await.unwrap().to_bytes();
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(rest.contains("\"id\":7") && rest.contains("\"error\""), "{rest}");
}

#[tokio::test]
async fn stream_limit_leaves_room_for_other_requests() {
    let world = World::new();
    let (alice, bob) = (world.connected().await, world.connected_as("bob", &[]).await);
    world.host.set_capacity(Capacity { streams: 1, ..Capacity::default() });
    serve(&world);
    let open = listening(&world, &alice.access).await.expect("a stream");
    assert_eq!(listening(&world, &alice.access).await.err(), Some(StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(listening(&world, &bob.access).await.err(), Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(world.get("/health").await.status, StatusCode::OK);
    drop(open);
    assert!(listening(&world, &bob.access).await.is_ok());
}

/// Serves Deputy with [`ListeningTool`].
fn serve(world: &World) {
    serve_tools(world, Arc::new(ListeningTool));
}

fn serve_tools(world: &World, tools: Arc<dyn Handler>) {
    let wording = Wording::new(todo::API_NAME, todo::SCOPE_DESCRIPTIONS);
    let server = Server::new(world.deputy_config(), world.host.host(), tools, wording);
    world.network.serve(DEPUTY, server.router());
}

/// The stream of events after the acknowledgement, or the status of the refusal.
async fn listening(world: &World, token: &str) -> Result<Body, StatusCode> {
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
        .header("authorization", format!("Bearer {token}"))
        .body(message.to_string().into());
    let response = world.network.open(request.unwrap()).await.unwrap();
    if response.status() != StatusCode::OK {
        return Err(response.status());
    }
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(String::from_utf8_lossy(&first).contains("acknowledged"), "{first:?}");
    Ok(body)
}
