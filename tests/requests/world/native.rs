//! Deputy on the SQLite store and HTTP server of the native host, with the clock and the network of a test.

use std::{
    env,
    net::{Ipv4Addr, TcpListener},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use bytes::Bytes;
use deputy::host::{
    BoxFuture, Capacity, Endpoint, FetchError, FetchLimits, Host, RetryAfter, Source, Store, Timestamp,
};
use deputy_native::{
    http_server::{Server, Shutdown, serve},
    store::SqliteStore,
};
use harness::{counted::Counted, memory::MemoryHost, remote::Remote};
use http::HeaderName;
use tempfile::TempDir;
use url::Url;

pub(crate) struct OnNative {
    host: MemoryHost,
    folder: TempDir,
}

impl OnNative {
    /// With a data folder of its own, if `DEPUTY_NATIVE` is set.
    pub(crate) fn from_environment(host: &MemoryHost) -> Option<Self> {
        env::var_os("DEPUTY_NATIVE")?;
        let folder = tempfile::tempdir().expect("a folder");
        Some(Self { host: host.clone(), folder })
    }

    /// Serves the router that `router` builds on the host. A second start uses the same records, as a new process would.
    pub(crate) fn start(&self, router: impl FnOnce(Arc<dyn Host>) -> Router) -> Router {
        let store = SqliteStore::open(self.folder.path()).expect("a database");
        let router = router(Arc::new(NativeHost {
            store: Counted::new(store, self.host.counts()),
            host: self.host.clone(),
        }));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let address = listener.local_addr().expect("an address");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let named = HeaderName::from_static("x-test-address");
        let server = Server { client_address_header: Some(named), ..Server::default() };
        tokio::spawn(serve(server, vec![listener], router, Shutdown::default()));
        Remote::at(&Url::parse(&format!("http://{address}")).expect("a URL")).router()
    }
}

struct NativeHost {
    host: MemoryHost,
    store: Counted<SqliteStore>,
}

impl Host for NativeHost {
    fn now(&self) -> Timestamp {
        self.host.now()
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.host.fill_random(buffer);
    }

    fn fetch(
        &self,
        request: http::Request<Bytes>,
        limits: FetchLimits,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, FetchError>> {
        self.host.fetch(request, limits)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // Sockets need deadlines in real time.
        if duration < DEADLINES { self.host.sleep(duration) } else { Box::pin(tokio::time::sleep(duration)) }
    }

    fn detach(&self, work: BoxFuture<'static, ()>) {
        self.host.detach(work);
    }

    fn admit(
        &self,
        endpoint: Endpoint,
        source: Source,
        per_minute: NonZeroU32,
    ) -> BoxFuture<'_, Result<(), RetryAfter>> {
        self.host.admit(endpoint, source, per_minute)
    }

    fn capacity(&self) -> Capacity {
        self.host.capacity()
    }

    fn stopping(&self) -> BoxFuture<'static, ()> {
        self.host.stopping()
    }

    fn store(&self) -> &dyn Store {
        &self.store
    }
}

/// A sleep of this length or longer is a deadline.
const DEADLINES: Duration = Duration::from_secs(20);
