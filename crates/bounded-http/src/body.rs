//! A request body with a deadline.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until};

use crate::socket::ReadSide;

/// A body that fails when it has not arrived whole in time, or when the client closes its side within it.
pub(crate) struct TimedBody {
    body: Incoming,
    read_side: Arc<ReadSide>,
    deadline: Instant,
    /// Made when the reader has to wait for the first time: most bodies arrive with their head.
    failure: Option<Pin<Box<dyn Future<Output = io::Error> + Send>>>,
}

impl TimedBody {
    pub(crate) fn new(body: Incoming, read_side: Arc<ReadSide>, time: Duration) -> Self {
        Self { body, read_side, deadline: Instant::now() + time, failure: None }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        // Before the failure: the client may close its side behind a whole body.
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
        }
        let Self { read_side, deadline, failure, .. } = &mut *self;
        let failure = failure.get_or_insert_with(|| Box::pin(failure_at(Arc::clone(read_side), *deadline)));
        Poll::Ready(Some(Err(ready!(failure.as_mut().poll(context)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Completes with the reason why the rest of a body will not come.
async fn failure_at(read_side: Arc<ReadSide>, deadline: Instant) -> io::Error {
    tokio::select! {
        () = read_side.half_closed.cancelled() => {
            io::Error::new(io::ErrorKind::UnexpectedEof, "the client closed the connection within the request body")
        }
        () = sleep_until(deadline) => {
            io::Error::new(io::ErrorKind::TimedOut, "the request body did not arrive in time")
        }
    }
}
