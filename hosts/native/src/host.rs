//! The parts of [`deputy::host::Host`] on tokio.

use std::{
    error::Error as _,
    fmt::Write as _,
    num::NonZeroU32,
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::{Bytes, BytesMut};
use deputy::host::{
    BoxFuture, Capacity, Clock, EndpointKind, FetchError, FetchLimits, GrantIndex, Host, HttpClient, Meter,
    NoAuditLog, RateLimiter, Reach, RetryAfter, SecureRandom, Source, Store, Tasks, Timestamp, is_public,
};
use deputy::trace::TRACEPARENT;
use http::{HeaderValue, Method, header};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{rate_limits::RateLimits, rs256, traces};

/// Clock, randomness, outgoing HTTP, rate limits and background tasks of this computer.
pub struct NativeHost {
    client: reqwest::Client,
    /// For requests to hosts that an unauthenticated client names.
    public_client: reqwest::Client,
    detached: TaskTracker,
    rate_limits: RateLimits,
    capacity: Capacity,
    stop: CancellationToken,
    draining: CancellationToken,
}

impl NativeHost {
    /// A host for a server with `connections` at a time that stops when `stop` is cancelled. Before that it drains, once
    /// `draining` is cancelled.
    pub fn new(connections: usize, stop: CancellationToken, draining: CancellationToken) -> Self {
        rs256::install_verifier();
        let public_client = client(|builder| builder.dns_resolver(Arc::new(PublicResolver)));
        Self {
            client: client(|builder| builder),
            public_client,
            detached: TaskTracker::new(),
            rate_limits: RateLimits::default(),
            capacity: Capacity {
                // The rest is left to logins, token requests and health checks.
                requests: (connections * 3 / 4).max(1),
                // The rest is left to calls that do not wait for a user.
                streams: (connections / 2).max(1),
                bytes: BYTES,
                operations: usize::MAX,
            },
            stop,
            draining,
        }
    }

    /// The parts of this host, with its records in `store` and their index, and without an audit log.
    pub fn parts(self: &Arc<Self>, store: Arc<dyn Store>, grant_index: Arc<dyn GrantIndex>) -> Host {
        Host {
            clock: self.clone(),
            http: self.clone(),
            random: self.clone(),
            rate_limiter: self.clone(),
            store,
            grant_index,
            tasks: self.clone(),
            audit: Arc::new(NoAuditLog),
            capacity: self.capacity,
        }
    }

    /// Completes when all detached work has ended. To be called when no request can start more.
    pub async fn detached_work_done(&self) {
        self.detached.close();
        self.detached.wait().await;
    }
}

/// The time of this computer.
pub(crate) fn wall_clock() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the clock of this host")]
    let now = SystemTime::now();
    // A clock before 1970 is not set. Nothing is expired then.
    Timestamp(now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// Time since the first call.
pub(crate) fn since_start() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

impl Clock for NativeHost {
    fn now(&self) -> Timestamp {
        wall_clock()
    }

    fn monotonic(&self) -> Duration {
        since_start()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

impl SecureRandom for NativeHost {
    fn fill(&self, buffer: &mut [u8]) {
        fill_random(buffer);
    }
}

impl HttpClient for NativeHost {
    fn fetch(
        &self,
        mut request: http::Request<Bytes>,
        limits: FetchLimits,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, FetchError>> {
        Box::pin(async move {
            let meter = request.extensions().get::<Meter>().cloned();
            // A host that a client named does not learn of the trace.
            if limits.reach == Reach::Anywhere
                && let Some(parent) = traces::current().and_then(|parent| parent.to_string().parse().ok())
            {
                request.headers_mut().insert(TRACEPARENT, parent);
            }
            // RFC 9110 §8.6. Some servers and proxies refuse such a request without it (411).
            if request.body().is_empty()
                && [Method::PATCH, Method::POST, Method::PUT].contains(request.method())
            {
                request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            let request = reqwest::Request::try_from(request).map_err(connection)?;
            let client = match limits.reach {
                Reach::Anywhere => &self.client,
                // The client does not resolve literal addresses, `127.1` and `2130706433` among them.
                Reach::PublicInternet if request.url().domain().is_none() => {
                    return Err(FetchError::NotPublic);
                }
                Reach::PublicInternet => &self.public_client,
            };
            tokio::time::timeout(limits.deadline, exchange(client, request, limits.max_bytes, meter))
                .await
                .unwrap_or(Err(FetchError::Deadline))
        })
    }
}

impl RateLimiter for NativeHost {
    fn admit(
        &self,
        endpoint: EndpointKind,
        source: Source,
        per_minute: NonZeroU32,
    ) -> BoxFuture<'_, Result<(), RetryAfter>> {
        Box::pin(std::future::ready(self.rate_limits.admit(endpoint, source, per_minute)))
    }
}

impl Tasks for NativeHost {
    fn detach(&self, work: BoxFuture<'static, ()>) {
        self.detached.spawn(work);
    }

    fn stopping(&self) -> BoxFuture<'static, ()> {
        Box::pin(self.stop.clone().cancelled_owned())
    }

    fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }
}

/// Fills `buffer` from the operating system. Aborts the process without randomness, because nothing is safe without it.
pub(crate) fn fill_random(buffer: &mut [u8]) {
    #[expect(clippy::disallowed_methods, reason = "the randomness of this host")]
    let filled = getrandom::fill(buffer);
    if let Err(error) = filled {
        tracing::error!(%error, "the operating system has no randomness; Deputy cannot run without it");
        std::process::abort();
    }
}

async fn exchange(
    client: &reqwest::Client,
    request: reqwest::Request,
    max_bytes: usize,
    meter: Option<Meter>,
) -> Result<http::Response<Bytes>, FetchError> {
    let mut received = client.execute(request).await.map_err(connection)?;
    if received.content_length().is_some_and(|length| length > max_bytes as u64) {
        return Err(FetchError::TooLarge);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = received.chunk().await.map_err(connection)? {
        if chunk.len() > max_bytes - body.len() {
            return Err(FetchError::TooLarge);
        }
        if meter.as_ref().is_some_and(|meter| !meter.takes(chunk.len())) {
            return Err(FetchError::TooMany);
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = http::Response::new(body.freeze());
    *response.status_mut() = received.status();
    *response.headers_mut() = std::mem::take(received.headers_mut());
    Ok(response)
}

/// Resolves a name once, for the connection that follows, and refuses it if any of its addresses is not public.
struct PublicResolver;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if addresses.iter().all(|address| is_public(address.ip())) {
                Ok(Box::new(addresses.into_iter()) as Addrs)
            } else {
                Err(NotPublic.into())
            }
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the name has an address that is not public")]
struct NotPublic;

/// The error with all its causes, because the first says little; without the URL, because its query may hold a secret.
fn connection(error: reqwest::Error) -> FetchError {
    let may_be_sent = !(error.is_connect() || error.is_builder());
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<NotPublic>() {
            return FetchError::NotPublic;
        }
        // Writing to a `String` cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    if may_be_sent { FetchError::Interrupted(text) } else { FetchError::Connection(text) }
}

pub(crate) fn client(with: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> reqwest::Client {
    // Fails when it is installed already, as in a test.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        let builder = reqwest::Client::builder()
            .http1_only()
            .no_proxy()
            .pool_idle_timeout(IDLE)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .user_agent(concat!("deputy/", env!("CARGO_PKG_VERSION")));
        with(builder)
    };
    builder().build().unwrap_or_else(|error| {
        tracing::warn!(%error, "this computer trusts no certificate authority, so requests over https will fail. Install its CA certificates");
        // Only the certificates of the computer can make `build` fail.
        builder().tls_certs_only([]).build().expect("a client without certificates")
    })
}

/// Shorter than servers keep idle connections, so that no request is sent into a closing one.
const IDLE: Duration = Duration::from_secs(15);

/// Bytes of MCP messages and of API responses in memory at a time.
const BYTES: usize = 256 * 1024 * 1024;
