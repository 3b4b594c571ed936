//! One request under way: the body of its answer owns the handler's future, so dropping the body cancels the work.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::Frame;
use serde_json::Value;

use super::{Caller, Peer, RpcError};
use crate::host::BoxFuture;

/// How the host waits.
pub(super) type Sleep = Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// A handler at work.
pub(super) struct Exchange {
    pub(super) id: Value,
    pub(super) caller: Caller,
    pub(super) work: BoxFuture<'static, Result<Value, RpcError>>,
    pub(super) peer: Peer,
}

/// What a handler did first.
pub(super) enum First {
    /// It sent something before its result. The result may have followed at once, and is the last of `messages` then.
    Events { messages: Vec<Value>, done: bool },
    /// It finished, and nothing that matters came before.
    Result(Result<Value, RpcError>),
}

impl Exchange {
    /// Waits for whatever the handler does first.
    pub(super) async fn first(&mut self) -> First {
        std::future::poll_fn(|cx| {
            // Registered before the handler runs: what it sends from elsewhere meanwhile is not missed.
            self.peer.register(cx.waker());
            let result = self.work.as_mut().poll(cx);
            match (self.peer.take(), result) {
                // Nothing has left yet, so that the answer can still be 401.
                (sent, Poll::Ready(result)) if sent.is_empty() || self.caller.login_required() => {
                    Poll::Ready(First::Result(result))
                }
                (mut messages, Poll::Ready(result)) => {
                    messages.push(self.response(result));
                    Poll::Ready(First::Events { messages, done: true })
                }
                (sent, Poll::Pending) if sent.is_empty() => Poll::Pending,
                (messages, Poll::Pending) => Poll::Ready(First::Events { messages, done: false }),
            }
        })
        .await
    }

    /// The JSON-RPC response to this request.
    pub(super) fn response(&self, result: Result<Value, RpcError>) -> Value {
        super::rpc_error::response(&self.id, result)
    }
}

/// The body of an answer that is a stream of events.
pub(super) struct Events {
    exchange: Exchange,
    sleep: Sleep,
    waiting: BoxFuture<'static, ()>,
    /// Until the bearer token is no longer good, where that ends the stream.
    ended: BoxFuture<'static, ()>,
    ready: Vec<Value>,
    done: bool,
}

impl Events {
    /// A stream that begins with `ready`, and is over after that if the handler is `done`, or else when it has `ended`.
    pub(super) fn new(
        exchange: Exchange,
        ready: Vec<Value>,
        done: bool,
        sleep: Sleep,
        ended: Option<BoxFuture<'static, ()>>,
    ) -> Self {
        let ended = ended.unwrap_or_else(|| Box::pin(std::future::pending()));
        Self { exchange, waiting: sleep(KEEP_ALIVE), sleep, ended, ready, done }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<String>> {
        if !self.ready.is_empty() {
            return Poll::Ready(Some(std::mem::take(&mut self.ready).iter().map(event).collect()));
        }
        if self.done {
            return Poll::Ready(None);
        }
        self.exchange.peer.register(cx.waker());
        let result = self.exchange.work.as_mut().poll(cx);
        let mut messages = self.exchange.peer.take();
        if let Poll::Ready(result) = result {
            self.done = true;
            let result = match result {
                // The status has been sent; the next request will meet the 401.
                Ok(_) if self.exchange.caller.login_required() => {
                    Err(RpcError::new(RpcError::INTERNAL_ERROR, "the login has ended; log in again"))
                }
                result => result,
            };
            messages.push(self.exchange.response(result));
        }
        if !messages.is_empty() {
            self.waiting = (self.sleep)(KEEP_ALIVE);
            return Poll::Ready(Some(messages.iter().map(event).collect()));
        }
        if self.ended.as_mut().poll(cx).is_ready() {
            self.done = true;
            let text =
                "the access token of this request is no longer good, or the server restarts; ask again";
            let error = RpcError::new(RpcError::INTERNAL_ERROR, text);
            return Poll::Ready(Some(event(&self.exchange.response(Err(error)))));
        }
        match self.waiting.as_mut().poll(cx) {
            Poll::Ready(()) => {
                self.waiting = (self.sleep)(KEEP_ALIVE);
                Poll::Ready(Some(": keep-alive\n\n".to_owned()))
            }
            Poll::Pending => Poll::Pending,
        }
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

/// A server-sent event. JSON has no line breaks outside of strings, and none unescaped in them.
fn event(message: &Value) -> String {
    format!("event: message\ndata: {message}\n\n")
}

/// Proxies end connections that are quiet for a minute or so. And on Workers it is by writing that one learns that a
/// client has gone, so this is how long it is worked for.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
