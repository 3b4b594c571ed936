//! Requests to `StreamableHttp` and its responses, with handlers that are closures, and with an rmcp server.

mod asking;
#[cfg(feature = "rmcp-handler")]
mod constant_lists;
mod events;
mod handshake;
mod params;
#[cfg(feature = "rmcp-handler")]
mod rmcp_server;
mod stateless;
mod transport;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use futures_channel::oneshot;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};

use super::{
    Api, ApiError, ApiToken, Call, Caller, Challenge, Client, DeliveryError, Handler, Peer, RequestGrant,
    RpcError, Rules, StreamableHttp,
};
use crate::{
    encoding::base64url_encode,
    host::{BoxFuture, Timestamp},
    types::User,
};

type Work = BoxFuture<'static, Result<Value, RpcError>>;
type Reply = Result<http::Response<Body>, Challenge>;

/// A handler that is a closure, and counts its calls.
struct Scripted {
    runs: AtomicUsize,
    scopes: Vec<String>,
    schema: Option<Value>,
    act: Box<dyn Fn(Call, Caller, Peer) -> Work + Send + Sync>,
}

impl Scripted {
    fn new(act: impl Fn(Call, Caller, Peer) -> Work + Send + Sync + 'static) -> Self {
        Self { runs: AtomicUsize::new(0), scopes: Vec::new(), schema: None, act: Box::new(act) }
    }

    /// Responds to every request with its method.
    fn echo() -> Self {
        Self::new(|call, _, _| Box::pin(async move { Ok(json!({ "method": call.method })) }))
    }

    /// Responds to every request with this error.
    fn failing(error: RpcError) -> Self {
        Self::new(move |_, _, _| Box::pin(std::future::ready(Err(error.clone()))))
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

impl Handler for Scripted {
    fn required_scopes(&self, method: &str, name: Option<&str>) -> Vec<String> {
        if (method, name) == ("tools/call", Some("free")) { Vec::new() } else { self.scopes.clone() }
    }

    fn input_schema(&self, _: &str) -> Option<Arc<Map<String, Value>>> {
        self.schema.as_ref().and_then(Value::as_object).cloned().map(Arc::new)
    }

    fn handle(&self, call: Call, caller: Caller, peer: Peer) -> Work {
        self.runs.fetch_add(1, Ordering::SeqCst);
        (self.act)(call, caller, peer)
    }
}

/// An API whose user has to log in again.
struct LoggedOut;

impl Api for LoggedOut {
    fn fetch(&self, _: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, ApiError>> {
        Box::pin(std::future::ready(Err(ApiError::LoginRequired)))
    }

    fn token(&self) -> BoxFuture<'_, Result<ApiToken, ApiError>> {
        Box::pin(std::future::ready(Err(ApiError::LoginRequired)))
    }
}

/// Sends a request to a server whose clock stands still.
async fn post(handler: &Arc<impl Handler>, headers: &[(&str, &str)], body: impl ToString) -> Reply {
    let sleep = Arc::new(|_: Duration| -> BoxFuture<'static, ()> { Box::pin(std::future::pending()) });
    send(&StreamableHttp::new(Arc::clone(handler) as _, sleep, Rules::default()), headers, body).await
}

/// Sends `body` with `headers` and those that every client sends. An empty value removes one of these.
async fn send(server: &StreamableHttp, headers: &[(&str, &str)], body: impl ToString) -> Reply {
    send_in(Arc::new(MemoryGrant::default()), server, headers, body).await
}

/// A session in the memory of the test.
#[derive(Default)]
struct MemoryGrant {
    /// Whether the access token has expired.
    is_closed: bool,
    waiting: Mutex<HashMap<String, oneshot::Sender<Value>>>,
}

impl RequestGrant for MemoryGrant {
    fn question_id(&self) -> String {
        format!("q{}", self.waiting.lock().unwrap().len())
    }

    fn await_reply(&self, question: &str) -> BoxFuture<'static, Option<Value>> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().unwrap().insert(question.to_owned(), sender);
        Box::pin(async { receiver.await.ok() })
    }

    fn deliver_reply(&self, question: &str, reply: Value) -> BoxFuture<'_, Result<bool, DeliveryError>> {
        let sender = self.waiting.lock().unwrap().remove(question);
        Box::pin(std::future::ready(Ok(sender.is_some_and(|sender| sender.send(reply).is_ok()))))
    }

    fn seal(&self, purpose: &[u8], text: &str, _: u64) -> String {
        format!("{}|{text}", base64url_encode(purpose))
    }

    fn open(&self, purpose: &[u8], sealed: &str) -> Option<String> {
        let (bound, text) = sealed.split_once('|')?;
        (bound == base64url_encode(purpose)).then(|| text.to_owned())
    }

    fn until_closed(&self) -> BoxFuture<'static, ()> {
        if self.is_closed { Box::pin(std::future::ready(())) } else { Box::pin(std::future::pending()) }
    }
}

async fn send_in(
    grant: Arc<dyn RequestGrant>,
    server: &StreamableHttp,
    headers: &[(&str, &str)],
    body: impl ToString,
) -> Reply {
    let mut all = HeaderMap::new();
    let usual = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
    for (name, value) in usual.iter().filter(|(name, _)| headers.iter().all(|(given, _)| given != name)) {
        all.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_static(value));
    }
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        all.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let (mut head, ()) = http::Request::new(()).into_parts();
    head.headers = all;
    let user = User { sub: "alice".into(), ..User::default() };
    let client = Client { id: "client".into(), name: None };
    let caller = Caller::new(user, client, vec!["read".into()], Timestamp(0), Arc::new(LoggedOut));
    server.respond(&head, Bytes::from(body.to_string()), caller, grant).await
}

fn http_response(reply: Reply) -> http::Response<Body> {
    reply.expect("no challenge")
}

/// A response with its whole body.
#[derive(Debug)]
struct Response {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Response {
    async fn of(reply: Reply) -> Self {
        let (head, body) = http_response(reply).into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Self { status: head.status, headers: head.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// Status and JSON-RPC error code, or 0.
    fn outcome(&self) -> (u16, i64) {
        (self.status.as_u16(), self.json()["error"]["code"].as_i64().unwrap_or_default())
    }

    fn media_type(&self) -> &str {
        self.headers["content-type"].to_str().unwrap()
    }

    /// The messages of a stream.
    fn events(&self) -> Vec<Value> {
        assert_eq!(self.media_type(), "text/event-stream");
        let data = self.text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str(data).unwrap()).collect()
    }
}

async fn response_to(handler: &Arc<impl Handler>, headers: &[(&str, &str)], body: impl ToString) -> Response {
    Response::of(post(handler, headers, body).await).await
}

fn request(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
}

/// The `_meta` of a request of 2026-07-28.
fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

const STATELESS: (&str, &str) = ("mcp-protocol-version", "2026-07-28");
