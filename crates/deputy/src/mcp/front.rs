//! Streamable HTTP: from an authorized `POST` to a JSON-RPC answer.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};
use serde_json::{Value, json};

use super::{
    Call, Caller, Handler, Notifier, RpcError,
    exchange::{Events, Exchange, First, Sleep},
    headers,
    message::{Malformed, Message},
};
use crate::http::has_media_type;

/// The MCP endpoint behind the bearer check.
pub struct Front {
    handler: Arc<dyn Handler>,
    sleep: Sleep,
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

    /// Answers a `POST` of `caller`.
    pub async fn respond(&self, head: &Parts, body: Bytes, caller: Caller) -> Reply {
        let headers = &head.headers;
        if !has_media_type(headers, "application/json") {
            let error = RpcError::new(RpcError::INVALID_REQUEST, "Content-Type must be application/json");
            return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, &Value::Null, error);
        }
        if !accepts(headers) {
            let text = "Accept must allow application/json and text/event-stream";
            let error = RpcError::new(RpcError::INVALID_REQUEST, text);
            return refused(StatusCode::NOT_ACCEPTABLE, &Value::Null, error);
        }
        let (id, method, params) = match Message::parse(&body) {
            Ok(Message::Request { id, method, params }) => (id, method, params),
            Ok(Message::Notification { method }) => {
                tracing::debug!(method = method.chars().take(64).collect::<String>(), "notification");
                return Reply::Response(empty(StatusCode::ACCEPTED));
            }
            Ok(Message::Response) => return Reply::Response(empty(StatusCode::ACCEPTED)),
            Err(Malformed { id, error }) => return refused(StatusCode::BAD_REQUEST, &id, error),
        };
        let era = match headers::era(headers, &method, &params) {
            Ok(era) => era,
            Err(error) => return refused(status(&error), &id, error),
        };
        if !era.is_stateless() && method != "initialize" && headers.contains_key("mcp-session-id") {
            // We never issue one. 404 makes a client that kept one of somebody else's initialize again.
            let error = RpcError::new(RpcError::INVALID_REQUEST, "this server has no sessions");
            return refused(StatusCode::NOT_FOUND, &id, error);
        }
        if era.is_stateless() {
            let schema = match headers::name(&method, &params) {
                Some(tool) if method == "tools/call" => self.handler.input_schema(tool),
                _ => None,
            };
            if let Err(error) = headers::agree(headers, &method, &params, schema.as_deref()) {
                return refused(status(&error), &id, error);
            }
            if REMOVED.contains(&method.as_str()) {
                let error =
                    RpcError::new(RpcError::METHOD_NOT_FOUND, "this revision does not have this method");
                return refused(StatusCode::NOT_FOUND, &id, error);
            }
        }
        let required = self.handler.required_scopes(&method, headers::name(&method, &params));
        if !required.iter().all(|scope| caller.has_scope(scope)) {
            return Reply::InsufficientScope { required };
        }
        self.answer(Call { id, method, params, era }, caller).await
    }

    /// Lets the handler work: one JSON document if it has nothing to say before its result, events otherwise.
    async fn answer(&self, call: Call, caller: Caller) -> Reply {
        let (id, stateless) = (call.id.clone(), call.era.is_stateless());
        let notifier = Notifier::default();
        let work = self.handler.handle(call, caller.clone(), notifier.clone());
        let mut exchange = Exchange { id, caller, stateless, work, notifier };
        match exchange.first().await {
            First::Result(_) if exchange.caller.login_required() => Reply::LoginRequired,
            First::Result(result) => {
                let status = match &result {
                    // Revisions with a handshake answer errors of the method with 200.
                    Err(error) if exchange.stateless => status_of_answer(error),
                    _ => StatusCode::OK,
                };
                Reply::Response(json_response(status, &exchange.response(result)))
            }
            First::Notifications(sent) => {
                let events = Events::new(exchange, sent, Arc::clone(&self.sleep));
                let mut response = Response::new(Body::new(events));
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                // Proxies that collect answers would hold events back.
                headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
                Reply::Response(response)
            }
        }
    }
}

/// The JSON-RPC response with this id.
pub(super) fn response(id: &Value, result: Result<Value, RpcError>) -> Value {
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        // MCP 2026-07-28: an id that could not be read is left out.
        Err(error) if id.is_null() => json!({ "jsonrpc": "2.0", "error": error }),
        Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
    }
}

/// Whether the client can read what we may answer. Some send `*/*` or nothing.
fn accepts(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    let absent = values.peek().is_none();
    let mut types = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    absent
        || types.any(|media_type| {
            let essence = media_type.split(';').next().unwrap_or_default().trim();
            ["application/json", "text/event-stream", "application/*", "text/*", "*/*"]
                .iter()
                .any(|readable| essence.eq_ignore_ascii_case(readable))
        })
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
    Reply::Response(json_response(status, &response(id, Err(error))))
}

fn json_response(status: StatusCode, document: &Value) -> Response<Body> {
    crate::http::json(status, document)
}

fn empty(status: StatusCode) -> Response<Body> {
    crate::http::empty(status)
}

/// Methods that revisions without a handshake do not have.
const REMOVED: [&str; 4] = ["logging/setLevel", "ping", "resources/subscribe", "resources/unsubscribe"];
