//! Reading the rest of a request body after the response is decided.
//!
//! A connection that is closed while bytes arrive is reset, and the client may lose the response. So a server continues
//! to read for a while (RFC 9112 §9.6). The bytes are dropped.

use std::{
    mem,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use futures_util::future::select;
use http::{StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;

use crate::{app::App, host::BodyReadByHost, http::TIME, sync::lock};

/// Makes the response, and reads the rest of the request body before it returns it, so that the client gets the response.
pub(super) async fn respond_and_read_rest<F>(
    app: &App,
    request: Request,
    respond: impl FnOnce(Request) -> F,
) -> Response
where
    F: Future<Output = Response>,
{
    if request.body().is_end_stream() || request.extensions().get::<BodyReadByHost>().is_some() {
        return respond(request).await;
    }
    let asks_first = request.headers().contains_key(header::EXPECT);
    let left = Arc::new(Mutex::new(Unread::default()));
    let watched = |body| Body::new(TrackedBody { body, begun: false, left: Arc::clone(&left) });
    let response = respond(request.map(watched)).await;
    let Unread { body, begun } = mem::take(&mut *lock(&left));
    // With `Expect: 100-continue`, a client sends no body once it has a final response (RFC 9110 §10.1.1).
    let is_complete = body.is_end_stream() || asks_first && !begun;
    if is_complete || response.status() == StatusCode::REQUEST_TIMEOUT {
        return response;
    }
    // Read less from rate-limited clients.
    let most = if response.status() == StatusCode::TOO_MANY_REQUESTS { LEAST } else { MOST };
    if body.size_hint().lower() <= most {
        select(pin!(read_rest(body, most)), app.host().clock.sleep(TIME)).await;
    }
    response
}

async fn read_rest(mut body: Body, most: u64) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, |data| data.len() as u64);
        if read > most {
            return;
        }
    }
}

/// The unread rest of a body, and whether reading has begun.
#[derive(Default)]
struct Unread {
    body: Body,
    begun: bool,
}

/// A request body whose unread rest is kept when it is dropped.
struct TrackedBody {
    body: Body,
    begun: bool,
    left: Arc<Mutex<Unread>>,
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        let left = Unread { body: mem::take(&mut self.body), begun: self.begun };
        *lock(&self.left) = left;
    }
}

impl http_body::Body for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.begun = true;
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

/// Bytes that are read at most. After more, the connection is closed.
const MOST: u64 = 8 * 1024 * 1024;

/// Bytes that are read at most after 429: a form of the right size.
const LEAST: u64 = 64 * 1024;
