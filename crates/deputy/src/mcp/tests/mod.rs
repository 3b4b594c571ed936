//! The front, requests in and responses out, before a handler that is a closure and before an rmcp server.

mod asking;
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
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};

use super::{
    Api, ApiError, ApiToken, Call, Caller, Client, DeliveryError, GrantSession, Handler, Peer, Reply,
    RpcError, Rules, StreamableHttp,
};
use crate::{
    encoding::base64url_encode,
    host::{BoxFuture, Timestamp},
    types::User,
};

type Work = BoxFuture<'static, Result<Value, RpcError>>;

/// A handler that is a closure, and counts how often it is asked.
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

    /// Answers every request with its method.
    fn echo() -> Self {
        Self::new(|call, _, _| Box::pin(async move { Ok(json!({ "method": call.method })) }))
    }

    /// Answers every request with this error.
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

/// An API that wants another login.
struct LoggedOut;

impl Api for LoggedOut {
    fn fetch(&self, _: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, ApiError>> {
        Box::pin(std::future::ready(Err(ApiError::LoginRequired)))
    }

    fn token(&self) -> BoxFuture<'_, Result<ApiToken, ApiError>> {
        Box::pin(std::future::ready(Err(ApiError::LoginRequired)))
    }
}

/// Sends to a front where no time passes.
async fn post(handler: &Arc<impl Handler>, headers: &[(&str, &str)], body: impl ToString) -> Reply {
    let sleep = Arc::new(|_: Duration| -> BoxFuture<'static, ()> { Box::pin(std::future::pending()) });
    send(&StreamableHttp::new(Arc::clone(handler) as _, sleep, Rules::default()), headers, body).await
}

/// Sends `body` with `headers` beside those that every client sends; an empty value takes one of these away.
async fn send(front: &StreamableHttp, headers: &[(&str, &str)], body: impl ToString) -> Reply {
    send_in(Arc::new(Talk::default()), front, headers, body).await
}

/// A conversation that is kept in this process.
#[derive(Default)]
struct Talk {
    /// Whether the token is no longer good.
    over: bool,
    waiting: Mutex<HashMap<String, oneshot::Sender<Value>>>,
}

impl GrantSession for Talk {
    fn question(&self) -> String {
        format!("q{}", self.waiting.lock().unwrap().len())
    }

    fn reply(&self, question: &str) -> BoxFuture<'static, Option<Value>> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().unwrap().insert(question.to_owned(), sender);
        Box::pin(async { receiver.await.ok() })
    }

    fn deliver(&self, question: &str, reply: Value) -> BoxFuture<'_, Result<bool, DeliveryError>> {
        let sender = self.waiting.lock().unwrap().remove(question);
        Box::pin(std::future::ready(Ok(sender.is_some_and(|sender| sender.send(reply).is_ok()))))
    }

    fn seal(&self, place: &[u8], text: &str, _: u64) -> String {
        format!("{}|{text}", base64url_encode(place))
    }

    fn open(&self, place: &[u8], sealed: &str) -> Option<String> {
        let (bound, text) = sealed.split_once('|')?;
        (bound == base64url_encode(place)).then(|| text.to_owned())
    }

    fn ended(&self) -> BoxFuture<'static, ()> {
        if self.over { Box::pin(std::future::ready(())) } else { Box::pin(std::future::pending()) }
    }
}

async fn send_in(
    conversation: Arc<dyn GrantSession>,
    front: &StreamableHttp,
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
    front.respond(&head, Bytes::from(body.to_string()), caller, conversation).await
}

fn response(reply: Reply) -> Response<Body> {
    match reply {
        Reply::InsufficientScope { required } => panic!("scopes {required:?}"),
        Reply::LoginRequired => panic!("login"),
        Reply::Response(response) => response,
    }
}

/// A whole answer.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    async fn of(reply: Reply) -> Self {
        let (head, body) = response(reply).into_parts();
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

async fn answer(handler: &Arc<impl Handler>, headers: &[(&str, &str)], body: impl ToString) -> Answer {
    Answer::of(post(handler, headers, body).await).await
}

fn request(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
}

/// What a request of 2026-07-28 carries in its body.
fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

const STATELESS: (&str, &str) = ("mcp-protocol-version", "2026-07-28");
