//! A connection that notices when the other side stops sending, or stops taking.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::watch,
    time::{Instant, Sleep, sleep},
};
use tokio_util::sync::CancellationToken;

/// What is known about the client's half of a connection.
#[derive(Debug)]
pub(super) struct Incoming {
    /// What the server waits for.
    pub(super) phase: watch::Sender<Phase>,
    /// Cancelled when the client stopped sending while a request was being answered.
    pub(super) ended: CancellationToken,
}

/// What a connection is doing, and since when.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    /// A request is being answered, or its body read.
    Answering,
    /// The head of a request is arriving.
    Head(Instant),
    /// Every request has been answered.
    Idle(Instant),
    /// The client has not sent anything yet.
    Silent(Instant),
}

impl Incoming {
    /// A connection that has just been made.
    pub(super) fn new() -> Self {
        let phase = watch::Sender::new(Phase::Silent(Instant::now()));
        Self { phase, ended: CancellationToken::new() }
    }

    /// The first bytes after a response are those of the next head.
    fn bytes_came(&self) {
        self.phase.send_if_modified(|phase| match *phase {
            Phase::Answering | Phase::Head(_) => false,
            Phase::Idle(_) => {
                *phase = Phase::Head(Instant::now());
                true
            }
            // The time for the first head runs from the connection on.
            Phase::Silent(since) => {
                *phase = Phase::Head(since);
                true
            }
        });
    }
}

/// A response under way. The connection is idle when this is dropped.
pub(super) struct Answering(Arc<Incoming>);

impl Answering {
    /// Must be called before the connection is read again: its next byte is not of a head, and its end not that of the
    /// connection.
    pub(super) fn begin(incoming: &Arc<Incoming>) -> Self {
        incoming.phase.send_replace(Phase::Answering);
        Self(Arc::clone(incoming))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.phase.send_replace(Phase::Idle(Instant::now()));
    }
}

/// A TCP stream whose writes fail when no byte can be written for a while.
///
/// While a request is being answered, the end of the client's half is told by [`Incoming::ended`] and hidden from hyper,
/// which would drop the request: the client may be waiting for its response.
pub(super) struct Socket {
    stream: TcpStream,
    incoming: Arc<Incoming>,
    patience: Duration,
    stalled: Pin<Box<Sleep>>,
    // Whether the timer runs: since a write could not go on.
    waiting: bool,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, incoming: Arc<Incoming>, patience: Duration) -> Self {
        Self { stream, incoming, patience, stalled: Box::pin(sleep(patience)), waiting: false }
    }

    /// Passes on what a write said, unless it has been saying "not yet" for too long.
    fn watched<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = false;
            return written;
        }
        if !self.waiting {
            self.waiting = true;
            self.stalled.as_mut().reset(Instant::now() + self.patience);
        }
        match self.stalled.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no more bytes")))
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.incoming.ended.is_cancelled() {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let ended = buffer.remaining() > 0 && buffer.filled().len() == before;
        if !ended {
            self.incoming.bytes_came();
        } else if matches!(*self.incoming.phase.borrow(), Phase::Answering) {
            self.incoming.ended.cancel();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.watched(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
