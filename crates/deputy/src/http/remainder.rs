//! What a client still sends when its answer is decided.
//!
//! A connection that is closed while bytes arrive is reset, and the client may never see the answer: RFC 9112 §9.6 tells
//! servers to go on reading for a while. Nothing of it is kept.

use std::{
    mem,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use futures_util::future::select;
use http::header;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;

use crate::server::Server;

/// Answers, and takes what remains of the request's body before the answer leaves, so that the client gets it.
pub(crate) async fn taken(State(server): State<Server>, request: Request, next: Next) -> Response {
    // Who asks before sending a body sends none when the answer is final (RFC 9110 §10.1.1).
    if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return next.run(request).await;
    }
    let left = Arc::new(Mutex::new(Body::empty()));
    let response = next.run(request.map(|body| Body::new(Watched { body, left: Arc::clone(&left) }))).await;
    let rest = mem::take(&mut *left.lock().unwrap_or_else(PoisonError::into_inner));
    if !rest.is_end_stream() && rest.size_hint().lower() <= REST {
        select(pin!(drain(rest)), server.host().sleep(TIME)).await;
    }
    response
}

async fn drain(mut body: Body) {
    let mut taken = 0;
    while let Some(Ok(frame)) = body.frame().await {
        taken += frame.data_ref().map_or(0, |data| data.len() as u64);
        if taken > REST {
            return;
        }
    }
}

/// A request's body that is put back when its reader has had enough.
struct Watched {
    body: Body,
    left: Arc<Mutex<Body>>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = mem::take(&mut self.body);
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.body = Body::empty();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes that are taken. Who sends more finds the connection closed.
const REST: u64 = 8 * 1024 * 1024;

/// How long the answer waits for them.
const TIME: Duration = Duration::from_secs(5);
