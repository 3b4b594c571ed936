//! HTTP/1.1 for strangers: every connection is bounded in number, size and time.
//!
//! Deputy expects a TLS-terminating proxy in front of it, or a loopback address; such proxies speak HTTP/1.1 to what is
//! behind them.

mod body;
mod client_address;

mod responses;
mod slots;
mod socket;

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::IpAddr,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, Once},
    time::Duration,
};

use axum::{Router, body::Body};
use deputy::host::ClientAddress;
use futures_util::{FutureExt as _, future::join_all};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version, header};
use http_body_util::BodyExt as _;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_service::Service as _;

use body::TimedBody;
use responses::{bad_request, internal_error, too_busy};
use slots::{Place, Places};
use socket::{Answering, Incoming, Phase, Socket};

/// How long and how many. The defaults are for the open Internet; tests shorten them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time. More wait in the operating system's queue, but those of a source that has a quarter of
    /// them already: they are closed.
    pub connections: usize,
    /// From the first byte of a request's head to its last; for the first request, from the connection on.
    pub head: Duration,
    /// How long a connection without a request is kept, unless others wait for its place. Longer than proxies keep theirs:
    /// a proxy that finds a connection closed answers 502.
    pub keep_alive: Duration,
    /// From the head of a request to the last byte of its body.
    pub body: Duration,
    /// How long a client may refuse to take the answer's next bytes.
    pub write: Duration,
    /// How long a connection lives after the client has stopped sending. A client that hung up looks the same as one
    /// that only has no more to say and waits for its answer.
    pub half_closed: Duration,
    /// The header in which a proxy says for whom it speaks. Without it, who connects is who asks; with it, who connects
    /// may take every connection.
    pub client_address_header: Option<HeaderName>,
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
            client_address_header: None,
        }
    }
}

/// The two ways to end.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Accept no more connections, and finish the requests under way.
    pub gracefully: CancellationToken,
    /// Cut every connection.
    pub at_once: CancellationToken,
}

/// Serves `router` under `name`, which is for the log, until it is told to stop and the last connection has ended.
pub async fn serve(
    name: &'static str,
    listeners: Vec<TcpListener>,
    router: Router,
    limits: Limits,
    stop: Stop,
) {
    let server = Arc::new(Server {
        name,
        router,
        places: Places::new(&limits),
        limits,
        stop,
        connections: TaskTracker::new(),
        unnamed_proxy: Once::new(),
        unnamed_client: Once::new(),
        greedy_source: Once::new(),
    });
    join_all(listeners.into_iter().map(|listener| accept(&server, listener))).await;
    server.connections.close();
    server.connections.wait().await;
}

struct Server {
    name: &'static str,
    router: Router,
    limits: Limits,
    stop: Stop,
    places: Places,
    connections: TaskTracker,
    /// A proxy that names its clients was seen, and nobody told us to read it.
    unnamed_proxy: Once,
    /// The header that we were told to read named nobody.
    unnamed_client: Once,
    /// A source was refused more connections than its share.
    greedy_source: Once,
}

/// Starts a task for each connection. Drops the listener when told to stop, so that others find the port closed.
async fn accept(server: &Arc<Server>, listener: TcpListener) {
    let next = || async {
        let (stream, peer) = listener.accept().await?;
        // A listener without a connection holds no place, and a connection that gets none is closed here.
        let place = server.places.take(peer.ip()).await;
        io::Result::Ok((peer.ip(), place.map(|place| (stream, place))))
    };
    while let Some(accepted) = server.stop.gracefully.run_until_cancelled(next()).await {
        match accepted {
            Ok((peer, Some((stream, place)))) => {
                let incoming = Arc::new(Incoming::new());
                let connection = Arc::new(Connection { server: Arc::clone(server), peer, place, incoming });
                server.connections.spawn(serve_connection(connection, stream));
            }
            Ok((peer, None)) => server.greedy_source.call_once(|| {
                tracing::warn!(
                    server = server.name,
                    %peer,
                    "an address has its share of the connections, and more from it are closed; if it is a proxy, have it \
                     name its clients in a header, and name that header with --client-address-header \
                     (CLIENT_ADDRESS_HEADER)"
                );
            }),
            // Either the client has gone again, or this process may open no more files: then waiting is all there is.
            Err(error) => {
                tracing::warn!(server = server.name, %error, "a connection was not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection, as its requests meet it.
struct Connection {
    server: Arc<Server>,
    peer: IpAddr,
    place: Place,
    incoming: Arc<Incoming>,
}

async fn serve_connection(connection: Arc<Connection>, stream: TcpStream) {
    let (server, incoming) = (&connection.server, &connection.incoming);
    // Without it, an answer in two parts may wait for an acknowledgement. A socket that refuses is closing.
    let _ = stream.set_nodelay(true);
    let socket = Socket::new(stream, Arc::clone(incoming), server.limits.write);
    let service = service_fn(|request| {
        let answering = Answering::begin(incoming);
        answer(Arc::clone(&connection), request, answering)
    });
    let mut http = pin!(
        http1::Builder::new()
            // It would end idle connections too.
            .header_read_timeout(None)
            .max_header_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(socket), service)
    );
    let mut overstayed = pin!(async {
        incoming.ended.cancelled().await;
        sleep(server.limits.half_closed).await;
    });
    let mut last_request = false;
    loop {
        tokio::select! {
            ended = http.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(server = server.name, %error, "a connection broke");
                }
                break;
            }
            () = either(&server.stop.gracefully, &incoming.ended), if !last_request => {
                last_request = true;
                http.as_mut().graceful_shutdown();
            }
            end = connection.overdue(), if !last_request => match end {
                Overdue::Head => break,
                Overdue::Idle => {
                    last_request = true;
                    // What it still has to take of its last answer, it gets.
                    http.as_mut().graceful_shutdown();
                }
            },
            () = server.stop.at_once.cancelled() => break,
            () = overstayed.as_mut() => break,
        }
    }
}

/// What a connection has had enough time for.
enum Overdue {
    Head,
    Idle,
}

impl Connection {
    /// Completes when the head of a request is late, or when the connection has idled for too long, which is at once where
    /// a request waits for its place.
    async fn overdue(&self) -> Overdue {
        let Limits { head, keep_alive, .. } = self.server.limits;
        let mut phase = self.incoming.phase.subscribe();
        loop {
            let now = *phase.borrow_and_update();
            // Fails only when the connection is gone.
            let changed = async { drop(phase.changed().await) };
            match now {
                Phase::Answering => changed.await,
                Phase::Head(since) => {
                    let head = if self.place.is_own() { head } else { head.min(ANTEROOM_HEAD) };
                    tokio::select! {
                        biased;
                        () = changed => {}
                        () = sleep_until(since + head) => return Overdue::Head,
                    }
                }
                Phase::Idle(since) => tokio::select! {
                    biased;
                    () = changed => {}
                    () = self.server.places.wanted() => return Overdue::Idle,
                    () = sleep_until(since + keep_alive) => return Overdue::Idle,
                },
                Phase::Silent(since) if !self.place.is_own() => tokio::select! {
                    biased;
                    () = changed => {}
                    () = sleep_until(since + head.min(ANTEROOM_HEAD)) => return Overdue::Head,
                },
                Phase::Silent(since) => tokio::select! {
                    biased;
                    () = changed => {}
                    () = self.scarce_after(since + head.min(ANTEROOM_HEAD)) => return Overdue::Head,
                    () = sleep_until(since + head) => return Overdue::Head,
                },
            }
        }
    }
}

impl Connection {
    /// Completes after `time`, once a request waits for the place of this connection.
    async fn scarce_after(&self, time: Instant) {
        sleep_until(time).await;
        self.server.places.wanted().await;
    }
}

async fn either(one: &CancellationToken, other: &CancellationToken) {
    tokio::select! {
        () = one.cancelled() => {}
        () = other.cancelled() => {}
    }
}

/// Answers one request. A panic is a bug, and the client gets an answer all the same.
async fn answer(
    connection: Arc<Connection>,
    mut request: Request<hyper::body::Incoming>,
    answering: Answering,
) -> Result<Response<Body>, Infallible> {
    let started = Instant::now();
    let Connection { server, place, .. } = &*connection;
    let method = request.method().clone();
    // Without its query, which may hold a code.
    let path: String = request.uri().path().chars().take(LOGGED_PATH).collect();
    let address = ClientAddress(connection.client_address(request.headers()));
    request.extensions_mut().insert(address);
    let named_once = is_named_once(&request);
    let is_admitted = path == HEALTH || server.places.enter(place).await;
    let request =
        request.map(|body| TimedBody::new(body, Arc::clone(&connection.incoming), server.limits.body));
    let mut router = server.router.clone();
    let work = AssertUnwindSafe(async move {
        if !is_admitted {
            return Ok(too_busy());
        }
        if !named_once {
            return Ok(bad_request());
        }
        // A router is always ready, and never fails.
        let Ok(()) = poll_fn(|context| router_ready(&mut router, context)).await;
        router.call(request).await
    });
    let mut response = match work.catch_unwind().await {
        Ok(Ok(response)) => response,
        Err(_) => internal_error(),
    };
    if server.places.are_taken() || !place.is_own() {
        // Others may be waiting for the place, in which this connection would only idle.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    tracing::info!(
        server = server.name,
        %method,
        path,
        status = response.status().as_u16(),
        ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "request"
    );
    // Until the body has been taken.
    Ok(response.map(|body| {
        Body::new(body.map_err(move |error| {
            let _ = &answering;
            error
        }))
    }))
}

impl Connection {
    /// The address that a request is counted by. Says once, in the log, that it cannot be the client's.
    fn client_address(&self, headers: &HeaderMap) -> IpAddr {
        let Self { server, peer, .. } = self;
        let named = server.limits.client_address_header.as_ref();
        if named.is_none() && client_address::speaks_for_others(*peer, headers) {
            server.unnamed_proxy.call_once(|| {
                tracing::warn!(
                    server = server.name,
                    proxy = %peer,
                    "a proxy names its clients in a header, but their requests are counted as its own; name that header \
                     with --client-address-header (CLIENT_ADDRESS_HEADER)"
                );
            });
        }
        let address = client_address::client_address(*peer, headers, named);
        if named.is_some() && address.is_unspecified() {
            server.unnamed_client.call_once(|| {
                tracing::warn!(
                    server = server.name,
                    "a request came without an address in the header that --client-address-header \
                     (CLIENT_ADDRESS_HEADER) names; all such requests are counted together"
                );
            });
        }
        address
    }
}

/// RFC 9112 §3.2: a request names its host, once.
fn is_named_once<B>(request: &Request<B>) -> bool {
    request.version() < Version::HTTP_11 || request.headers().get_all(header::HOST).iter().count() == 1
}

fn router_ready(
    router: &mut Router,
    context: &mut std::task::Context<'_>,
) -> std::task::Poll<Result<(), Infallible>> {
    tower_service::Service::<Request<TimedBody>>::poll_ready(router, context)
}

/// A request line and headers. A browser that logs in sends less than 8 KiB.
const HEAD_BYTES: usize = 64 * 1024;

/// The path that is answered also when every place is taken.
const HEALTH: &str = "/health";

/// The time for the head of a request that comes when every place is taken, and for the first byte of a connection whose
/// place a request waits for.
const ANTEROOM_HEAD: Duration = Duration::from_secs(1);

const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

const LOGGED_PATH: usize = 200;
