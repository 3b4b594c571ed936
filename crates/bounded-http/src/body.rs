//! A request's body that has to arrive in time.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

use super::socket::Incoming;

/// The body that hyper reads, with a deadline for all of it.
pub(super) struct TimedBody {
    body: hyper::body::Incoming,
    incoming: Arc<Incoming>,
    deadline: Instant,
    // Made when a reader first has to wait: most bodies arrive with their head.
    broken_off: Option<Pin<Box<dyn Future<Output = io::Error> + Send>>>,
}

impl TimedBody {
    pub(super) fn new(body: hyper::body::Incoming, incoming: Arc<Incoming>, time: Duration) -> Self {
        Self { body, incoming, deadline: Instant::now() + time, broken_off: None }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        // First, since the client's half may end behind a whole body.
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
        }
        let Self { incoming, deadline, broken_off, .. } = &mut *self;
        let broken_off =
            broken_off.get_or_insert_with(|| Box::pin(broken_off_at(Arc::clone(incoming), *deadline)));
        broken_off.as_mut().poll(context).map(|error| Some(Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for TimedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedBody").finish_non_exhaustive()
    }
}

/// Completes with the reason why no more of a body will come.
async fn broken_off_at(incoming: Arc<Incoming>, deadline: Instant) -> io::Error {
    tokio::select! {
        () = incoming.ended.cancelled() => {
            io::Error::new(io::ErrorKind::UnexpectedEof, "the client stopped sending within the request's body")
        }
        () = sleep_until(deadline) => {
            io::Error::new(io::ErrorKind::TimedOut, "the request's body did not arrive in time")
        }
    }
}
