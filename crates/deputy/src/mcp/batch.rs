//! JSON-RPC batches, which MCP 2025-03-26 requires of a server and later revisions removed.
//!
//! The messages are served one after the other, so that a batch costs no more at a time than one message.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, Response, StatusCode};
use serde_json::Value;

use super::{
    Caller, GrantSession, RpcError,
    accept::Accept,
    client_messages::{cancel, deliver_reply, without_body},
    message::{Malformed, Message},
    refusal::Refusal,
    rpc_error,
    streamable_http::StreamableHttp,
};
use crate::http::json_text;

impl StreamableHttp {
    /// Responds to the messages of a batch with one JSON array. Tools cannot ask the user in a batch.
    pub(super) async fn serve_batch(
        &self,
        headers: &HeaderMap,
        messages: Vec<Value>,
        caller: &Caller,
        session: &Arc<dyn GrantSession>,
    ) -> Result<Response<Body>, Refusal> {
        if messages.is_empty() || messages.len() > MOST_MESSAGES {
            let text = format!("a batch must have 1 to {MOST_MESSAGES} messages");
            return Err(Refusal::invalid(StatusCode::BAD_REQUEST, &Value::Null, &text));
        }
        let messages: Vec<_> = messages.into_iter().map(Message::of_value).collect();
        // Before anything is called, so that a client that repeats a batch with more scopes does nothing twice.
        for message in &messages {
            if let Ok(Message::Request { id, method, params }) = message {
                self.required_scopes(id, method, params, caller, &**session)?;
            }
        }
        let mut responses = Vec::new();
        for message in messages {
            match message {
                Ok(Message::Request { id, method, .. }) if method == "initialize" => {
                    let error = RpcError::new(RpcError::INVALID_REQUEST, "initialize must not be in a batch");
                    responses.push(rpc_error::response(&id, Err(error)));
                }
                Ok(Message::Request { id, method, params }) => {
                    let request = (id.clone(), method, params);
                    let response = match self.accept_request(headers, Accept::Json, request, &**session) {
                        Ok(request) => self.call(request, caller.clone(), Arc::clone(session)).await,
                        Err(refusal) => Err(refusal),
                    };
                    responses.extend(text_of(&id, response).await?);
                }
                Ok(Message::Cancellation { id }) => cancel(headers, &id, &**session).await,
                Ok(Message::Notification) => {}
                Ok(Message::Response { id, reply }) => {
                    deliver_reply(headers, &id, reply, &**session).await?;
                }
                Err(Malformed { id, error }) => responses.push(rpc_error::response(&id, Err(error))),
            }
        }
        Ok(match responses.as_slice() {
            [] => without_body(),
            responses => json_text(StatusCode::OK, format!("[{}]", responses.join(","))),
        })
    }
}

/// The JSON-RPC response in an HTTP response; `None` for a call that the client has cancelled.
async fn text_of(id: &Value, response: Result<Response<Body>, Refusal>) -> Result<Option<String>, Refusal> {
    let body = match response {
        Ok(response) => response.into_body(),
        Err(Refusal::Error { error, .. }) => return Ok(Some(rpc_error::response(id, Err(error)))),
        Err(challenge @ Refusal::Challenge(_)) => return Err(challenge),
    };
    // The body is the handler's result, which is in memory already.
    let text = axum::body::to_bytes(body, usize::MAX).await.ok();
    Ok(text.and_then(|text| String::from_utf8(text.into()).ok()).filter(|text| !text.is_empty()))
}

/// Messages of a batch.
const MOST_MESSAGES: usize = 16;
