//! Streamable HTTP: from an authorized `POST` to a JSON-RPC answer.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};
use serde_json::{Map, Value, json};

use super::{
    Call, Caller, GrantSession, Handler, Peer, RpcError,
    exchange::{Events, Exchange, First, Sleep},
    grant_session::shows_forms,
    headers,
    input_round::InputRound,
    message::{Malformed, Message},
    peer::{ClientRequests, NotificationFilter},
    rpc_error::response,
    negotiated_state::{NegotiatedState, SESSION_ID},
};
use crate::http::{StaysOpen, essence, has_media_type, list};

/// The MCP endpoint behind the bearer check.
pub struct StreamableHttp {
    pub(super) handler: Arc<dyn Handler>,
    pub(super) sleep: Sleep,
    pub(super) rules: Rules,
}

/// What the operator decides about requests of MCP.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Scopes that no client can be granted although something needs them.
    pub ungrantable: Vec<String>,
    /// `UNCONFIRMED_TOOLS`: tools that act without the person's word where the client cannot ask for it.
    pub unconfirmed: Vec<String>,
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

impl StreamableHttp {
    /// A front for `handler` that waits with `sleep`.
    pub fn new(handler: Arc<dyn Handler>, sleep: Sleep, rules: Rules) -> Self {
        Self { handler, sleep, rules }
    }

    /// Answers a `POST` of `caller` in their `conversation`.
    pub async fn respond(
        &self,
        head: &Parts,
        body: Bytes,
        caller: Caller,
        conversation: Arc<dyn GrantSession>,
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
        let (id, method, mut params) = match Message::parse(&body) {
            Ok(Message::Request { id, method, params }) => (id, method, params),
            Ok(Message::Notification) => return accepted(headers),
            Ok(Message::Response { id, reply }) => {
                return delivered(headers, &id, reply, &*conversation).await;
            }
            Err(Malformed { id, error }) => return unreadable(&id, error, &*conversation).await,
        };
        headers::keep_readable_capabilities(&method, &mut params);
        // All that comes of it is events.
        if method == "subscriptions/listen" && readable == Readable::Json {
            let error = RpcError::new(RpcError::INVALID_REQUEST, "Accept must allow text/event-stream");
            return refused(StatusCode::NOT_ACCEPTABLE, &id, error);
        }
        let era = match headers::era(headers, &method, &params) {
            Ok(era) => era,
            Err(error) => return refused(status(&error), &id, error),
        };
        // Where requests stand for themselves there are no sessions, and `initialize` begins a new one.
        let session = if era.is_stateless() || method == "initialize" {
            NegotiatedState::default()
        } else {
            NegotiatedState::of(headers, &*conversation)
        };
        let mut wanted = session.log_level.map_or(NotificationFilter::All, NotificationFilter::LogFrom);
        let next = session.after(&method, &params).filter(|_| !era.is_stateless());
        let session_id = next.and_then(|session| session.id(&*conversation));
        let mut capabilities = session.capabilities;
        if era.is_stateless() {
            match self.stateless(headers, &method, &params) {
                Ok(logs) => wanted = logs,
                Err(error) => return refused(status(&error), &id, error),
            }
            capabilities = headers::capabilities(&params);
        } else if let Err(error) = headers::agree_if_present(headers, &method, &params) {
            return refused(status(&error), &id, error);
        }
        let name = headers::name(&method, &params);
        let required = self.handler.required_scopes(&method, name);
        if !required.iter().all(|scope| caller.has_scope(scope)) {
            return self.insufficient_scope(&id, required);
        }
        if readable == Readable::Json {
            wanted = NotificationFilter::Nothing;
        }
        let on_stream = !era.is_stateless() && readable != Readable::Json && method != "initialize";
        let asking = on_stream.then(|| ClientRequests {
            capabilities: capabilities.clone(),
            conversation: Arc::clone(&conversation),
        });
        let can_ask = (on_stream || era.is_stateless()) && shows_forms(&capabilities);
        let unconfirmed = method == "tools/call"
            && name.is_some_and(|tool| self.rules.unconfirmed.iter().any(|named| named == tool));
        let caller = caller.confirming(can_ask, unconfirmed);
        let call = Call { id, method, params, era, capabilities };
        self.answer(call, caller, conversation, Peer::new(wanted, asking), readable, session_id).await
    }

    /// The token lacks scopes. A scope that no client can be granted is nothing to ask for: that would lead the client
    /// around in a circle.
    fn insufficient_scope(&self, id: &Value, required: Vec<String>) -> Reply {
        match required.iter().find(|scope| self.rules.ungrantable.contains(scope)) {
            None => Reply::InsufficientScope { required },
            Some(scope) => {
                let text = format!("this needs the scope {scope}, which this server grants to no client");
                refused(StatusCode::OK, id, RpcError::new(RpcError::INTERNAL_ERROR, text))
            }
        }
    }

    /// What a stateless request wants to read, if its headers say the same as its body.
    fn stateless(
        &self,
        headers: &HeaderMap,
        method: &str,
        params: &Map<String, Value>,
    ) -> Result<NotificationFilter, RpcError> {
        if REMOVED.contains(&method) {
            return Err(RpcError::new(RpcError::METHOD_NOT_FOUND, "this revision does not have this method"));
        }
        let schema = match headers::name(method, params) {
            Some(tool) if method == "tools/call" => self.handler.input_schema(tool),
            _ => None,
        };
        headers::agree(headers, method, params, schema.as_deref())?;
        Ok(headers::log_level(params)?.map_or(NotificationFilter::NoLog, NotificationFilter::LogFrom))
    }

    /// Lets the handler work: one JSON document if it has nothing to say before its result, events otherwise.
    async fn answer(
        &self,
        mut call: Call,
        caller: Caller,
        conversation: Arc<dyn GrantSession>,
        peer: Peer,
        readable: Readable,
        session_id: Option<HeaderValue>,
    ) -> Reply {
        let (id, stateless) = (call.id.clone(), call.era.is_stateless());
        let round = match InputRound::begin(&mut call, Arc::clone(&conversation)) {
            Ok(round) => round,
            Err(error) => return refused(status(&error), &id, error),
        };
        // A call ends by itself; who listens must be told to come back with a token that is still good.
        let mut ended = (call.method == "subscriptions/listen").then(|| conversation.ended());
        let tool = (call.method == "tools/call").then(|| headers::name(&call.method, &call.params)).flatten();
        let tool = tool.map(str::to_owned);
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
        let in_session = |mut response: Response<Body>| {
            if let Some(session_id) = session_id {
                response.headers_mut().insert(SESSION_ID, session_id);
            }
            Reply::Response(response)
        };
        match exchange.first().await {
            First::Events { messages, done } => in_session(stream(exchange, messages, done)),
            First::Result(_) if exchange.caller.login_required() => Reply::LoginRequired,
            First::Result(result) => {
                let status = match &result {
                    // Revisions with a handshake answer errors of the method with 200.
                    Err(error) if stateless => status_of_answer(error),
                    _ => StatusCode::OK,
                };
                let succeeded = result.is_ok();
                let message = exchange.response(result);
                let response = if readable == Readable::Events && status == StatusCode::OK {
                    stream(exchange, vec![message], true)
                } else {
                    crate::http::json(status, &message)
                };
                if succeeded { in_session(response) } else { Reply::Response(response) }
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
        Ok(_) => {
            let mut response = crate::http::empty(StatusCode::ACCEPTED);
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Reply::Response(response)
        }
        Err(error) => refused(status(&error), &Value::Null, error),
    }
}

/// The reply to a question. Another request waits for it, perhaps in another process.
async fn delivered(headers: &HeaderMap, id: &Value, reply: Value, conversation: &dyn GrantSession) -> Reply {
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

/// A message that cannot be read. If it was to be the reply to a question, the question ends with it: nobody replies twice.
async fn unreadable(id: &Value, error: RpcError, conversation: &dyn GrantSession) -> Reply {
    if let Some(question) = id.as_str() {
        let text = format!("the client's reply cannot be read: {}", error.message);
        let reply = json!({ "error": { "code": RpcError::INTERNAL_ERROR, "message": text } });
        if let Err(error) = conversation.deliver(question, reply).await {
            tracing::error!(%error, "a client's reply could not be kept");
        }
    }
    refused(StatusCode::BAD_REQUEST, id, error)
}

fn events(events: Events, done: bool) -> Response<Body> {
    let mut response = Response::new(Body::new(events));
    if !done {
        response.extensions_mut().insert(StaysOpen);
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that collect answers would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
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
