//! Streamable HTTP: from an authorized `POST` to a JSON-RPC answer.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};
use serde_json::{Map, Value, json};

use super::{
    Call, Caller, Conversation, Era, Handler, Peer, RpcError,
    exchange::{Events, Exchange, First, Sleep},
    headers,
    input::Round,
    message::{Malformed, Message},
    peer::{Asking, Wanted},
};
use crate::{
    http::{essence, has_media_type, list},
    limits::StaysOpen,
};

/// The MCP endpoint behind the bearer check.
pub struct Front {
    pub(super) handler: Arc<dyn Handler>,
    pub(super) sleep: Sleep,
}

/// What comes of a request.
pub enum Reply {
    /// The token lacks scopes. Nothing was done.
    InsufficientScope {
        /// All that the request needs.
        required: Vec<String>,
    },
    /// The person has to log in again.
    LoginRequired,
    /// An answer.
    Response(Response<Body>),
}

impl Front {
    /// A front for `handler` that waits with `sleep`.
    pub fn new(handler: Arc<dyn Handler>, sleep: Sleep) -> Self {
        Self { handler, sleep }
    }

    /// Answers a `POST` of `caller` in their `conversation`.
    pub async fn respond(
        &self,
        head: &Parts,
        body: Bytes,
        caller: Caller,
        conversation: Arc<dyn Conversation>,
    ) -> Reply {
        let headers = &head.headers;
        if !has_media_type(headers, "application/json") {
            let error = RpcError::new(RpcError::INVALID_REQUEST, "Content-Type must be application/json");
            return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, &Value::Null, error);
        }
        let Some(readable) = Readable::by(headers) else {
            let text = "Accept must allow application/json or text/event-stream";
            let error = RpcError::new(RpcError::INVALID_REQUEST, text);
            return refused(StatusCode::NOT_ACCEPTABLE, &Value::Null, error);
        };
        let (id, method, params) = match Message::parse(&body) {
            Ok(Message::Request { id, method, params }) => (id, method, params),
            Ok(Message::Notification) => return accepted(headers),
            Ok(Message::Response { id, reply }) => {
                return delivered(headers, &id, reply, &*conversation).await;
            }
            Err(Malformed { id, error }) => return refused(StatusCode::BAD_REQUEST, &id, error),
        };
        // All that comes of it is events.
        if method == "subscriptions/listen" && readable == Readable::Json {
            let error = RpcError::new(RpcError::INVALID_REQUEST, "Accept must allow text/event-stream");
            return refused(StatusCode::NOT_ACCEPTABLE, &id, error);
        }
        let era = match headers::era(headers, &method, &params) {
            Ok(era) => era,
            Err(error) => return refused(status(&error), &id, error),
        };
        if method != "initialize" && names_session(headers, &era) {
            return refused(StatusCode::NOT_FOUND, &id, no_sessions());
        }
        let agreed = conversation.agreed();
        let mut wanted = agreed.log_level.map_or(Wanted::All, Wanted::LogFrom);
        let mut capabilities = agreed.capabilities.clone();
        if era.is_stateless() {
            match self.stateless(headers, &method, &params) {
                Ok(logs) => wanted = logs,
                Err(error) => return refused(status(&error), &id, error),
            }
            capabilities = headers::capabilities(&params);
        } else if let Err(error) = headers::agree_if_present(headers, &method, &params) {
            return refused(status(&error), &id, error);
        }
        let required = self.handler.required_scopes(&method, headers::name(&method, &params));
        if !required.iter().all(|scope| caller.has_scope(scope)) {
            return Reply::InsufficientScope { required };
        }
        if readable == Readable::Json {
            wanted = Wanted::Nothing;
        }
        let can_ask = !era.is_stateless() && readable != Readable::Json && method != "initialize";
        let asking = can_ask
            .then(|| Asking { capabilities: capabilities.clone(), conversation: Arc::clone(&conversation) });
        let call = Call { id, method, params, era, capabilities };
        self.answer(call, caller, conversation, Peer::new(wanted, asking), readable).await
    }

    /// What a stateless request wants to read, if its headers say the same as its body.
    fn stateless(
        &self,
        headers: &HeaderMap,
        method: &str,
        params: &Map<String, Value>,
    ) -> Result<Wanted, RpcError> {
        if REMOVED.contains(&method) {
            return Err(RpcError::new(RpcError::METHOD_NOT_FOUND, "this revision does not have this method"));
        }
        let schema = match headers::name(method, params) {
            Some(tool) if method == "tools/call" => self.handler.input_schema(tool),
            _ => None,
        };
        headers::agree(headers, method, params, schema.as_deref())?;
        Ok(headers::log_level(params)?.map_or(Wanted::NoLog, Wanted::LogFrom))
    }

    /// Lets the handler work: one JSON document if it has nothing to say before its result, events otherwise.
    async fn answer(
        &self,
        mut call: Call,
        caller: Caller,
        conversation: Arc<dyn Conversation>,
        peer: Peer,
        readable: Readable,
    ) -> Reply {
        let (id, stateless) = (call.id.clone(), call.era.is_stateless());
        let round = match Round::begin(&mut call, Arc::clone(&conversation)) {
            Ok(round) => round,
            Err(error) => return refused(status(&error), &id, error),
        };
        // A call ends by itself; who listens must be told to come back with a token that is still good.
        let mut ended = (call.method == "subscriptions/listen").then(|| conversation.ended());
        let agreed = (!stateless).then(|| conversation.agreed().after(&call.method, &call.params)).flatten();
        let work = self.handler.handle(call, caller.clone(), peer.clone());
        let work = Box::pin(async move {
            let result = round.end(work.await?)?;
            // HTTP says 200 of it. The text is the person's.
            if result.get("isError").and_then(Value::as_bool) == Some(true) {
                tracing::info!(tool, "a tool call ended with an error");
            }
            Ok(result)
        });
        let mut exchange = Exchange { id, caller, work, peer };
        let mut stream = |exchange, messages, done| {
            events(Events::new(exchange, messages, done, Arc::clone(&self.sleep), ended.take()), done)
        };
        match exchange.first().await {
            First::Events { messages, done } => stream(exchange, messages, done),
            First::Result(_) if exchange.caller.login_required() => Reply::LoginRequired,
            First::Result(result) => {
                let status = match &result {
                    // Revisions with a handshake answer errors of the method with 200.
                    Err(error) if stateless => status_of_answer(error),
                    _ => StatusCode::OK,
                };
                let response = exchange.response(result);
                if readable == Readable::Events && status == StatusCode::OK {
                    return stream(exchange, vec![response], true);
                }
                Reply::Response(crate::http::json(status, &response))
            }
        }
    }
}

/// The JSON-RPC response with this id.
pub(super) fn response(id: &Value, result: Result<Value, RpcError>) -> Value {
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(mut error) => {
            if let Some((end, _)) = error.message.char_indices().nth(LONGEST_MESSAGE) {
                error.message.truncate(end);
            }
            match id {
                // MCP 2026-07-28: an id that could not be read is left out.
                Value::Null => json!({ "jsonrpc": "2.0", "error": error }),
                id => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
            }
        }
    }
}

/// What a client reads. It must be able to read both (MCP 2025-03-26); some name one of them, `*/*` or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readable {
    /// Whatever suits the answer.
    Both,
    /// Only `text/event-stream`.
    Events,
    /// Only `application/json`.
    Json,
}

impl Readable {
    fn by(headers: &HeaderMap) -> Option<Self> {
        let types: Vec<_> = list(headers, &header::ACCEPT).map(essence).collect();
        // A header without a member says as much as none.
        if types.is_empty() {
            return Some(Self::Both);
        }
        let any = |readable: [&str; 3]| {
            types.iter().any(|asked| readable.iter().any(|it| asked.eq_ignore_ascii_case(it.as_bytes())))
        };
        match (any(["application/json", "application/*", "*/*"]), any(["text/event-stream", "text/*", "*/*"]))
        {
            (true, true) => Some(Self::Both),
            (true, false) => Some(Self::Json),
            (false, true) => Some(Self::Events),
            (false, false) => None,
        }
    }
}

/// A notification: there is nothing to say to it.
fn accepted(headers: &HeaderMap) -> Reply {
    match headers::named(headers) {
        Ok(era) if names_session(headers, &era) => {
            refused(StatusCode::NOT_FOUND, &Value::Null, no_sessions())
        }
        Ok(_) => {
            let mut response = crate::http::empty(StatusCode::ACCEPTED);
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Reply::Response(response)
        }
        Err(error) => refused(status(&error), &Value::Null, error),
    }
}

/// The reply to a question. Another request waits for it, perhaps in another process.
async fn delivered(headers: &HeaderMap, id: &Value, reply: Value, conversation: &dyn Conversation) -> Reply {
    let accepted = accepted(headers);
    let Reply::Response(response) = &accepted else { return accepted };
    if !response.status().is_success() {
        return accepted;
    }
    let (status, code, text) = match conversation.deliver(id.as_str().unwrap_or_default(), reply).await {
        Ok(true) => return accepted,
        Ok(false) => {
            (StatusCode::BAD_REQUEST, RpcError::INVALID_REQUEST, "this answers no question of this server")
        }
        Err(error) => {
            tracing::error!(%error, "a client's reply could not be kept");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                RpcError::INTERNAL_ERROR,
                "the reply could not be kept; try again",
            )
        }
    };
    // Without the id: it would name a request of the client's.
    refused(status, &Value::Null, RpcError::new(code, text))
}

/// Whether a client keeps a session that it has from somebody else; we never open one. 404 makes it initialize again
/// (MCP 2025-03-26). Where requests stand for themselves the header means nothing.
fn names_session(headers: &HeaderMap, era: &Era) -> bool {
    !era.is_stateless() && headers.contains_key("mcp-session-id")
}

fn no_sessions() -> RpcError {
    RpcError::new(RpcError::INVALID_REQUEST, "this server has no sessions")
}

fn events(events: Events, done: bool) -> Reply {
    let mut response = Response::new(Body::new(events));
    if !done {
        response.extensions_mut().insert(StaysOpen);
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that collect answers would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Reply::Response(response)
}

/// The status of a request that was not handed to the handler.
const fn status(error: &RpcError) -> StatusCode {
    match error.code {
        RpcError::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// The status of a stateless request that the handler answered with an error (MCP 2026-07-28, Streamable HTTP).
const fn status_of_answer(error: &RpcError) -> StatusCode {
    match error.code {
        RpcError::HEADER_MISMATCH
        | RpcError::MISSING_CLIENT_CAPABILITY
        | RpcError::UNSUPPORTED_PROTOCOL_VERSION => StatusCode::BAD_REQUEST,
        RpcError::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    }
}

fn refused(status: StatusCode, id: &Value, error: RpcError) -> Reply {
    tracing::info!(code = error.code, reason = error.message, "MCP request refused");
    Reply::Response(crate::http::json(status, &response(id, Err(error))))
}

/// Methods that revisions without a handshake do not have.
const REMOVED: [&str; 4] = ["logging/setLevel", "ping", "resources/subscribe", "resources/unsubscribe"];
/// Characters. Some messages of handlers repeat what the client sent.
const LONGEST_MESSAGE: usize = 512;
