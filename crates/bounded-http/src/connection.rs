//! One connection, from its acceptance to its end.

use std::{net::IpAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, sleep_until},
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
    async fn overdue(&self) -> Overdue {
        let Limits { head, keep_alive, .. } = self.running.server.limits;
        let contended_head = head.min(CONTENDED_HEAD);
        let slots = &self.running.slots;
        let mut phase = self.read_side.phase.subscribe();
        loop {
            let now = *phase.borrow_and_update();
            // Fails only when the connection is gone.
            let changed = async { drop(phase.changed().await) };
            match now {
                Phase::Responding => changed.await,
                Phase::Head(since) => {
                    let head = if self.slot.is_overflow() { contended_head } else { head };
                    tokio::select! {
                        biased;
                        () = changed => {}
                        () = sleep_until(since + head) => return Overdue::Head,
                    }
                }
                Phase::Idle(since) => tokio::select! {
                    biased;
                    () = changed => {}
                    () = slots.wanted() => return Overdue::Idle,
                    () = sleep_until(since + keep_alive) => return Overdue::Idle,
                },
                Phase::Silent(since) if self.slot.is_overflow() => tokio::select! {
                    biased;
                    () = changed => {}
                    () = sleep_until(since + contended_head) => return Overdue::Head,
                },
                Phase::Silent(since) => tokio::select! {
                    biased;
                    () = changed => {}
                    () = self.wanted_after(since + contended_head) => return Overdue::Head,
                    () = sleep_until(since + head) => return Overdue::Head,
                },
            }
        }
    }

    /// Completes when a request waits for the slot of this connection, not before `time`.
    async fn wanted_after(&self, time: Instant) {
        sleep_until(time).await;
        self.running.slots.wanted().await;
    }
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
