//! A TCP stream that notices when the client stops sending or reading.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::slots::lock;

/// The client's side of a connection.
#[derive(Debug)]
pub(crate) struct ReadSide {
    phase: Mutex<Phase>,
    /// Cancelled when the client closes its side while a request gets its response.
    pub(crate) half_closed: CancellationToken,
}

/// State of a connection, and since when.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Phase {
    /// The head of a request is arriving.
    Head(Instant),
    /// Every request has its response.
    Idle(Instant),
    /// A request has not got its whole response yet; its body may be arriving.
    Responding,
    /// No byte has arrived yet.
    Silent(Instant),
}

impl ReadSide {
    pub(crate) fn new() -> Self {
        let phase = Mutex::new(Phase::Silent(Instant::now()));
        Self { phase, half_closed: CancellationToken::new() }
    }

    pub(crate) fn phase(&self) -> Phase {
        *lock(&self.phase)
    }

    /// The first bytes after a response are those of the next head.
    fn bytes_arrived(&self) {
        let mut phase = lock(&self.phase);
        match *phase {
            Phase::Responding | Phase::Head(_) => {}
            Phase::Idle(_) => *phase = Phase::Head(Instant::now()),
            // The time for the first head runs from the start of the connection.
            Phase::Silent(since) => *phase = Phase::Head(since),
        }
    }
}

/// A request in progress. The connection is idle when this is dropped.
pub(crate) struct Responding(Arc<ReadSide>);

impl Responding {
    /// Must be called before the connection is read again, because it tells what the next byte or the end means.
    pub(crate) fn begin(read_side: &Arc<ReadSide>) -> Self {
        *lock(&read_side.phase) = Phase::Responding;
        Self(Arc::clone(read_side))
    }
}

impl Drop for Responding {
    fn drop(&mut self) {
        *lock(&self.0.phase) = Phase::Idle(Instant::now());
    }
}

/// A TCP stream whose writes fail when the client reads nothing for a while.
///
/// While a request is in progress, [`ReadSide::half_closed`] shows that the client closed its side. hyper does not see it:
/// it would drop the request, though the client may be waiting for the response.
pub(crate) struct Socket {
    stream: TcpStream,
    read_side: Arc<ReadSide>,
    write_timeout: Duration,
    stalled: Pin<Box<Sleep>>,
    /// Whether `stalled` runs: since a write could not go on.
    is_stalled: bool,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, read_side: Arc<ReadSide>, write_timeout: Duration) -> Self {
        let stalled = Box::pin(sleep(write_timeout));
        Self { stream, read_side, write_timeout, stalled, is_stalled: false }
    }

    /// Returns `written`, or an error once writes have been pending for too long.
    fn timed<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.is_stalled = false;
            return written;
        }
        if !self.is_stalled {
            self.is_stalled = true;
            self.stalled.as_mut().reset(Instant::now() + self.write_timeout);
        }
        ready!(self.stalled.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads no more bytes")))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read_side.half_closed.is_cancelled() {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let ended = buffer.remaining() > 0 && buffer.filled().len() == before;
        if !ended {
            self.read_side.bytes_arrived();
        } else if matches!(self.read_side.phase(), Phase::Responding) {
            self.read_side.half_closed.cancel();
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
        self.timed(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.timed(context, written)
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
