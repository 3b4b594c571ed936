#![doc = include_str!("../README.md")]

mod body;
mod client_address;
mod connection;
mod forwarded;
pub mod meters;
mod respond;
mod responses;
mod slots;
mod socket;

use std::{
    io,
    net::IpAddr,
    sync::{Arc, Once},
    time::Duration,
};

use axum::Router;
use futures_util::future::join_all;
use http::{Extensions, HeaderName};
use tokio::{net::TcpListener, sync::watch, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use connection::Connection;
use meters::Meters;
use slots::ConnectionSlots;

/// An HTTP/1 server, and its bounds.
#[derive(Clone, Debug)]
pub struct Server {
    /// Puts the [`ClientAddress`] into the extensions of a request, by default as it is. A router that knows another type
    /// needs no layer that converts it.
    pub attribute: fn(&mut Extensions, ClientAddress),
    /// Request header in which a proxy names the client, such as `x-forwarded-for`. Its last entry counts.
    ///
    /// With it, only the proxy may be able to connect: any other peer could forge the header. The proxy may hold every
    /// connection.
    pub client_address_header: Option<HeaderName>,
    /// Setting with which an operator names that header, for warnings in the log.
    pub client_address_setting: &'static str,
    /// Paths of health checks, which get a response even while every connection slot is taken.
    pub health_paths: &'static [&'static str],
    /// Bounds on connections.
    pub limits: Limits,
    /// Paths whose requests are logged at the level `debug` only, as those of health checks are.
    pub quiet_paths: &'static [&'static str],
    /// Name of the server in the log.
    pub name: &'static str,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            attribute: |extensions, client| {
                extensions.insert(client);
            },
            client_address_header: None,
            client_address_setting: "client_address_header",
            health_paths: &["/health", "/healthz", "/readyz"],
            limits: Limits::default(),
            quiet_paths: &["/favicon.ico"],
            name: "http",
        }
    }
}

/// Bounds on connections. The defaults suit the open Internet.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time. Further ones wait in the accept queue of the operating system.
    ///
    /// One source, an IPv4 address or an IPv6 network of 56 bits, may hold a quarter of them; its further connections are
    /// closed. Loopback addresses and proxies have no such quota.
    pub connections: usize,
    /// Time for the head of a request, from its first byte; for the first request, from the start of the connection.
    pub head: Duration,
    /// Time that a connection may be idle after a response, unless a request waits for its slot.
    ///
    /// Longer than proxies keep idle connections: a proxy that uses a connection while it is being closed responds with 502.
    pub keep_alive: Duration,
    /// Time for the body of a request, from the end of its head.
    pub body: Duration,
    /// Time that a client may read no byte of a response that is being sent.
    pub write: Duration,
    /// Time that a connection lives after the client has closed its side of it.
    ///
    /// A client that hung up looks the same as a client that has sent everything and waits for the response.
    pub half_closed: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            head: Duration::from_secs(20),
            keep_alive: Duration::from_secs(75),
            body: Duration::from_secs(15),
            write: Duration::from_secs(45),
            half_closed: Duration::from_secs(2),
        }
    }
}

/// The two ways to stop a server.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Stops accepting connections, and lets the requests in progress finish.
    pub graceful: CancellationToken,
    /// Closes every open connection.
    pub immediate: CancellationToken,
}

/// Client to which a request is attributed; an extension of every request.
///
/// The address of the connection or, with [`Server::client_address_header`], the one that the proxy names. If the proxy
/// names no usable address, it is `0.0.0.0`, so that such requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl Server {
    /// Serves `router` until `shutdown` and the end of the last connection.
    pub async fn serve(self, listeners: Vec<TcpListener>, router: Router, shutdown: Shutdown) {
        let (_, unchanging) = watch::channel(router);
        self.serve_latest(listeners, unchanging, shutdown).await;
    }

    /// Serves a router that can be replaced. A request gets its response from the router that was the latest when the
    /// request began.
    pub async fn serve_latest(
        self,
        listeners: Vec<TcpListener>,
        router: watch::Receiver<Router>,
        shutdown: Shutdown,
    ) {
        let running = Arc::new(Running {
            slots: ConnectionSlots::new(self.limits.connections, self.client_address_header.is_some()),
            meters: Meters::new(self.name, self.limits.connections),
            server: self,
            router,
            shutdown,
            connections: TaskTracker::new(),
            warned: Warned {
                missing_client_address: Once::new(),
                source_over_quota: Once::new(),
                unconfigured_proxy: Once::new(),
            },
        });
        join_all(listeners.into_iter().map(|listener| running.accept(listener))).await;
        running.connections.close();
        running.connections.wait().await;
    }
}

/// A server that serves.
struct Running {
    server: Server,
    router: watch::Receiver<Router>,
    slots: ConnectionSlots,
    meters: Meters,
    shutdown: Shutdown,
    connections: TaskTracker,
    warned: Warned,
}

/// Warnings that are logged once.
struct Warned {
    missing_client_address: Once,
    source_over_quota: Once,
    unconfigured_proxy: Once,
}

impl Running {
    /// Starts a task for each connection. On shutdown it drops the listener, so that the port is free.
    async fn accept(self: &Arc<Self>, listener: TcpListener) {
        let next = || async {
            let (stream, peer) = listener.accept().await?;
            // After accepting: a listener without connections takes no slot.
            let slot = self.slots.acquire(peer.ip()).await;
            io::Result::Ok((peer.ip(), slot.map(|slot| (stream, slot))))
        };
        while let Some(accepted) = self.shutdown.graceful.run_until_cancelled(next()).await {
            match accepted {
                Ok((peer, Some((stream, slot)))) => {
                    let connection = Connection::new(Arc::clone(self), peer, slot);
                    let open = self.meters.connection();
                    self.connections.spawn(async move {
                        connection.serve(stream).await;
                        drop(open);
                    });
                }
                Ok((peer, None)) => {
                    self.meters.refused();
                    self.warn_of_source_over_quota(peer);
                }
                // The client is gone again, or the process may open no more files.
                Err(error) => {
                    tracing::warn!(server = self.server.name, %error, "accepting a connection failed");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn warn_of_source_over_quota(&self, peer: IpAddr) {
        self.warned.source_over_quota.call_once(|| {
            tracing::warn!(
                server = self.server.name,
                %peer,
                "a remote address holds its quota of connections, and further ones from it are closed. If it is a proxy, \
                 let it name its clients in a header, and set that header with {}",
                self.server.client_address_setting
            );
        });
    }
}

/// Between a failure to accept a connection and the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
