//! JSON-RPC batches, which MCP 2025-03-26 requires of a server and later revisions removed.
//!
//! The messages are served one after the other, so that a batch costs no more at a time than one message.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, Response, StatusCode};
use serde_json::Value;

use super::{
    Caller, RequestGrant, RpcError,
    accept::Accept,
    client_messages::{cancel, deliver_reply, without_body},
    message::{Malformed, Message},
    refusal::Refusal,
    rpc_error,
    streamable_http::StreamableHttp,
};
use crate::{http::json_text, log_context};

impl StreamableHttp {
    /// Responds to the messages of a batch with one JSON array. Tools cannot ask the user in a batch.
    ///
    /// After the first call the batch is served to its end: a client that got nothing would repeat it, and do things twice.
    pub(super) async fn serve_batch(
        &self,
        headers: &HeaderMap,
        messages: Vec<Value>,
        caller: &Caller,
        grant: &Arc<dyn RequestGrant>,
    ) -> Result<Response<Body>, Refusal> {
        if messages.is_empty() || messages.len() > MOST_MESSAGES {
            let text = format!("a batch must have 1 to {MOST_MESSAGES} messages");
            return Err(Refusal::invalid(StatusCode::BAD_REQUEST, &Value::Null, &text));
        }
        let messages: Vec<_> = messages.into_iter().map(Message::of_value).collect();
        // Before anything is called, so that a client that repeats a batch with more scopes does nothing twice.
        for message in &messages {
            if let Ok(Message::Request { id, method, params }) = message {
                self.required_scopes(id, method, params, caller, &**grant)?;
            }
        }
        let (mut responses, mut length) = (Vec::<String>::new(), 0);
        for message in messages {
            match message {
                Ok(Message::Request { id, method, .. }) if method == "initialize" => {
                    let error = RpcError::new(RpcError::INVALID_REQUEST, "initialize must not be in a batch");
                    responses.push(rpc_error::response(&id, Err(error)));
                }
                // The responses of other calls stay in memory meanwhile.
                Ok(Message::Request { id, .. }) if length > MOST_BYTES => {
                    let text =
                        "this was not called: the responses of the batch are too long; send it on its own";
                    responses
                        .push(rpc_error::response(&id, Err(RpcError::new(RpcError::INVALID_REQUEST, text))));
                }
                Ok(Message::Request { id, method, params }) => {
                    let request = (id.clone(), method, params);
                    let response = match self.accept_request(headers, Accept::Json, request, &**grant) {
                        // A line of the log names the tool of its own call.
                        Ok(request) => {
                            log_context::with_copied_fields(self.call(
                                request,
                                caller.clone(),
                                Arc::clone(grant),
                            ))
                            .await
                        }
                        Err(refusal) => Err(refusal),
                    };
                    let text = match response {
                        Err(challenge @ Refusal::Challenge(_)) if responses.is_empty() => {
                            return Err(challenge);
                        }
                        response => text_of(&id, response).await,
                    };
                    length += text.as_ref().map_or(0, String::len);
                    responses.extend(text);
                }
                Ok(Message::Cancellation { id }) => cancel(headers, &id, &**grant).await,
                Ok(Message::Notification) => {}
                // A reply has no response of its own.
                Ok(Message::Response { id, reply }) => {
                    let _ = deliver_reply(headers, &id, reply, &**grant).await;
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

/// The JSON-RPC response to one request; `None` for a call that the client has cancelled.
async fn text_of(id: &Value, response: Result<Response<Body>, Refusal>) -> Option<String> {
    let error = match response {
        Ok(response) => {
            // The body is the handler's result, which is in memory already.
            let text = axum::body::to_bytes(response.into_body(), usize::MAX).await.ok()?;
            return String::from_utf8(text.into()).ok().filter(|text| !text.is_empty());
        }
        Err(Refusal::Error { error, .. }) => error,
        Err(Refusal::Challenge(_)) => RpcError::new(
            RpcError::INVALID_REQUEST,
            "the access of this client has changed during the batch; send this on its own",
        ),
    };
    Some(rpc_error::response(id, Err(error)))
}

/// Messages of a batch.
const MOST_MESSAGES: usize = 16;
/// Bytes of the responses of a batch, after which nothing more is called.
const MOST_BYTES: usize = 1024 * 1024;
