//! One request under way. The body of its response owns the handler's future, so dropping the body cancels the work.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::Frame;
use serde_json::Value;

use super::{Peer, RpcError, Withdrawn, rpc_error::response};
use crate::{host::BoxFuture, http::StaysOpen};

/// A timer of the host.
pub(super) type Sleep = Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// A request whose handler is running.
pub(super) struct Exchange {
    pub(super) id: Value,
    pub(super) work: BoxFuture<'static, Outcome>,
    pub(super) peer: Peer,
}

/// The outcome of a handler.
pub(super) enum Outcome {
    /// The user's login at `PingOne` has ended, which the handler's result may not show.
    LoginRequired(Result<Value, RpcError>),
    Finished(Result<Value, RpcError>),
}

/// The first output of a handler.
pub(super) enum FirstOutput {
    /// Messages. If the handler is `done`, the last message is the response.
    Events { messages: Vec<String>, done: bool },
    /// The outcome, without messages before it.
    Outcome(Outcome),
}

impl Exchange {
    /// Waits for the first output of the handler.
    pub(super) async fn first_output(&mut self) -> FirstOutput {
        std::future::poll_fn(|cx| {
            // Registered before the handler runs, so that no message from another task is missed.
            self.peer.register(cx.waker());
            let outcome = self.work.as_mut().poll(cx);
            match (self.peer.take(), outcome) {
                // The status has not been sent, so the response can still be 401.
                (_, Poll::Ready(outcome @ Outcome::LoginRequired(_))) => {
                    Poll::Ready(FirstOutput::Outcome(outcome))
                }
                (sent, Poll::Ready(outcome)) if sent.is_empty() => Poll::Ready(FirstOutput::Outcome(outcome)),
                (mut messages, Poll::Ready(outcome)) => {
                    messages.push(self.last_message(outcome));
                    Poll::Ready(FirstOutput::Events { messages, done: true })
                }
                (sent, Poll::Pending) if sent.is_empty() => Poll::Pending,
                (messages, Poll::Pending) => Poll::Ready(FirstOutput::Events { messages, done: false }),
            }
        })
        .await
    }

    /// The JSON-RPC response that ends a stream.
    fn last_message(&self, outcome: Outcome) -> String {
        let result = match outcome {
            // The status has been sent. The next request of the client gets 401.
            Outcome::LoginRequired(Ok(_)) => {
                Err(RpcError::new(RpcError::INTERNAL_ERROR, "the login has ended; log in again"))
            }
            Outcome::Finished(result) | Outcome::LoginRequired(result) => result,
        };
        response(&self.id, result)
    }
}

/// The end of a stream before its handler has finished, and the error that the client gets then.
pub(super) struct Closed(BoxFuture<'static, Option<&'static str>>);

impl Closed {
    /// The stream of a subscription, which ends with the access token.
    pub(super) fn expired(at: BoxFuture<'static, ()>) -> Self {
        Self(Box::pin(async {
            at.await;
            Some(
                "the access token of this request is no longer valid, or the server restarts; subscribe again",
            )
        }))
    }

    /// The stream of a call, which ends with the grant, or without an error if the client has cancelled it.
    pub(super) fn withdrawn(withdrawn: BoxFuture<'static, Withdrawn>) -> Self {
        Self(Box::pin(async {
            match withdrawn.await {
                Withdrawn::Cancelled => None,
                Withdrawn::Unauthorized(_) => Some("the access of this request was ended or narrowed"),
            }
        }))
    }
}

/// A response body of server-sent events.
pub(super) struct Events {
    exchange: Exchange,
    sleep: Sleep,
    keep_alive: BoxFuture<'static, ()>,
    closed: Closed,
    ready: Vec<String>,
    done: bool,
}

impl Events {
    /// A stream that begins with `ready`. It ends there if the handler is `done`, otherwise when the handler finishes
    /// or `closed` completes.
    pub(super) fn new(
        exchange: Exchange,
        ready: Vec<String>,
        done: bool,
        sleep: Sleep,
        closed: Closed,
    ) -> Self {
        Self { exchange, keep_alive: sleep(KEEP_ALIVE), sleep, closed, ready, done }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<String>> {
        if !self.ready.is_empty() {
            return Poll::Ready(Some(
                std::mem::take(&mut self.ready).iter().map(|text| event(text)).collect(),
            ));
        }
        if self.done {
            return Poll::Ready(None);
        }
        let messages = self.poll_messages(cx);
        if !messages.is_empty() {
            self.keep_alive = (self.sleep)(KEEP_ALIVE);
            return Poll::Ready(Some(messages.iter().map(|text| event(text)).collect()));
        }
        if let Poll::Ready(text) = self.closed.0.as_mut().poll(cx) {
            self.done = true;
            let error = text.map(|text| RpcError::new(RpcError::INTERNAL_ERROR, text));
            return Poll::Ready(error.map(|error| event(&response(&self.exchange.id, Err(error)))));
        }
        self.keep_alive.as_mut().poll(cx).map(|()| {
            self.keep_alive = (self.sleep)(KEEP_ALIVE);
            Some(": keep-alive\n\n".to_owned())
        })
    }

    /// The messages of the handler since the last poll, with the response if the handler has finished.
    fn poll_messages(&mut self, cx: &mut Context<'_>) -> Vec<String> {
        self.exchange.peer.register(cx.waker());
        let outcome = self.exchange.work.as_mut().poll(cx);
        let mut messages = self.exchange.peer.take();
        if let Poll::Ready(outcome) = outcome {
            self.done = true;
            messages.push(self.exchange.last_message(outcome));
        }
        messages
    }

    /// The response with this stream. It counts as open unless the stream is complete.
    pub(super) fn into_response(self) -> Response<Body> {
        let done = self.done;
        let mut response = Response::new(Body::new(self));
        if !done {
            response.extensions_mut().insert(StaysOpen);
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // A proxy that buffers responses would hold events back.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.poll_chunk(cx).map(|chunk| chunk.map(|text| Ok(Frame::data(Bytes::from(text)))))
    }
}

/// A server-sent event. JSON text has no line breaks between its tokens, and escapes them in strings.
fn event(message: &str) -> String {
    format!("event: message\ndata: {message}\n\n")
}

/// Proxies close connections that are silent for about a minute. On Workers, only a write shows that a client has hung
/// up, so this is also how long work continues without a client.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
