//! Deputy on the SQLite store and HTTP server of the native host, with the clock and the network of a test.

use std::{
    env,
    net::{Ipv4Addr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use deputy::host::{BoxFuture, Clock, Host, Timestamp};
use deputy_native::{
    http_server::{Server, Shutdown, serve},
    store::{SqliteGrantIndex, SqliteStore},
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
    pub(crate) fn start(&self, router: impl FnOnce(Host) -> Router) -> Router {
        let store = SqliteStore::open(self.folder.path()).expect("a database");
        let router = router(Host {
            clock: Arc::new(SocketClock(self.host.clone())),
            store: Arc::new(Counted::new(store, self.host.counts())),
            grant_index: Arc::new(Counted::new(SqliteGrantIndex::of(self.folder.path()), self.host.counts())),
            ..self.host.host()
        });
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

/// The clock of the test, with deadlines in real time, which sockets need.
struct SocketClock(MemoryHost);

impl Clock for SocketClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        if duration < DEADLINES { self.0.sleep(duration) } else { Box::pin(tokio::time::sleep(duration)) }
    }
}

/// A sleep of this length or longer is a deadline.
const DEADLINES: Duration = Duration::from_secs(20);
