//! One connection, from its acceptance to its end.

use std::{
    future::poll_fn,
    net::IpAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    sync::futures::Notified,
    time::{Instant, Sleep, sleep},
};

use super::{Limits, Running};
use crate::{
    slots::Slot,
    socket::{Phase, ReadSide, Responding, Socket},
};

pub(crate) struct Connection {
    pub(crate) running: Arc<Running>,
    pub(crate) peer: IpAddr,
    pub(crate) slot: Slot,
    pub(crate) read_side: Arc<ReadSide>,
}

impl Connection {
    pub(crate) fn new(running: Arc<Running>, peer: IpAddr, slot: Slot) -> Arc<Self> {
        Arc::new(Self { running, peer, slot, read_side: Arc::new(ReadSide::new()) })
    }

    /// Serves requests until the client, a limit or the shutdown ends the connection.
    pub(crate) async fn serve(self: Arc<Self>, stream: TcpStream) {
        let Running { server, shutdown, .. } = &*self.running;
        let read_side = &self.read_side;
        // A response in two parts would otherwise wait for an acknowledgement. Fails only on a socket that is closing.
        let _ = stream.set_nodelay(true);
        let socket = Socket::new(stream, Arc::clone(read_side), server.limits.write);
        let service = service_fn(|request| {
            let responding = Responding::begin(read_side);
            Arc::clone(&self).respond_to(request, responding)
        });
        let mut http = pin!(
            http1::Builder::new()
                // hyper's timeout would end idle connections too.
                .header_read_timeout(None)
                .max_header_size(HEAD_BYTES)
                .serve_connection(TokioIo::new(socket), service)
        );
        let mut half_closed_too_long = pin!(async {
            read_side.half_closed.cancelled().await;
            sleep(server.limits.half_closed).await;
        });
        let mut last_request = false;
        loop {
            tokio::select! {
                // First, since it changes the phase that `overdue` reads.
                biased;
                ended = http.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(server = server.name, %error, "a connection ended with an error");
                    }
                    break;
                }
                () = async {
                    tokio::select! {
                        () = shutdown.graceful.cancelled() => {}
                        () = read_side.half_closed.cancelled() => {}
                    }
                }, if !last_request => {
                    last_request = true;
                    http.as_mut().graceful_shutdown();
                }
                overdue = self.overdue(), if !last_request => match overdue {
                    Overdue::Head => break,
                    Overdue::Idle => {
                        last_request = true;
                        // The client still gets the rest of the last response.
                        http.as_mut().graceful_shutdown();
                    }
                },
                () = shutdown.immediate.cancelled() => break,
                () = half_closed_too_long.as_mut() => break,
            }
        }
    }

    /// Completes when the head of a request is late or the connection was idle for too long.
    ///
    /// To be polled after the connection and in its task: a change of the phase wakes nothing.
    async fn overdue(&self) -> Overdue {
        let mut timer = pin!(sleep(self.running.server.limits.keep_alive));
        let mut wanted = pin!(None);
        poll_fn(|context| self.poll_overdue(timer.as_mut(), wanted.as_mut(), context)).await
    }

    fn poll_overdue<'a>(
        &'a self,
        mut timer: Pin<&mut Sleep>,
        mut wanted: Pin<&mut Option<Notified<'a>>>,
        context: &mut Context<'_>,
    ) -> Poll<Overdue> {
        let Some(Allowance { until, yields_from, overdue }) = self.allowance() else {
            wanted.set(None);
            return Poll::Pending;
        };
        loop {
            let now = Instant::now();
            if now >= until {
                return Poll::Ready(overdue);
            }
            let yields = yields_from.is_some_and(|from| now >= from);
            if !yields {
                wanted.set(None);
            } else if wanted.is_none() {
                wanted.set(Some(self.running.slots.wanted()));
            }
            if wanted.as_mut().as_pin_mut().is_some_and(|wanted| wanted.poll(context).is_ready()) {
                return Poll::Ready(overdue);
            }
            let next = yields_from.filter(|_| !yields).map_or(until, |from| from.min(until));
            // The timer of an earlier phase may wake too early. That costs less than setting it for every request.
            if timer.deadline() > next || timer.is_elapsed() {
                timer.as_mut().reset(next);
            }
            ready!(timer.as_mut().poll(context));
        }
    }

    /// The time that the connection has in its phase. `None`: a request gets its response.
    fn allowance(&self) -> Option<Allowance> {
        let Limits { head, keep_alive, .. } = self.running.server.limits;
        let contended_head = head.min(CONTENDED_HEAD);
        let head_of_slot = || if self.slot.is_overflow() { contended_head } else { head };
        Some(match self.read_side.phase() {
            Phase::Responding => return None,
            Phase::Head(since) => {
                Allowance { until: since + head_of_slot(), yields_from: None, overdue: Overdue::Head }
            }
            Phase::Idle(since) => {
                Allowance { until: since + keep_alive, yields_from: Some(since), overdue: Overdue::Idle }
            }
            Phase::Silent(since) => Allowance {
                until: since + head_of_slot(),
                yields_from: Some(since + contended_head),
                overdue: Overdue::Head,
            },
        })
    }
}

/// The time of a connection in a phase.
struct Allowance {
    until: Instant,
    /// When it begins to yield to a request that waits for its slot.
    yields_from: Option<Instant>,
    overdue: Overdue,
}

/// The part of a connection that exceeded its time.
enum Overdue {
    Head,
    Idle,
}

/// Largest request line and headers. A browser that logs in sends less than 8 KiB.
const HEAD_BYTES: usize = 64 * 1024;

/// Time for a head on an overflow connection, and for the first byte on a connection whose slot a request waits for.
const CONTENDED_HEAD: Duration = Duration::from_secs(1);
