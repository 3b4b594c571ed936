//! Deputy on a store and the HTTP server of the native host, with the clock and the network of a test.

use std::{
    env,
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use axum::Router;
use deputy::host::{BoxFuture, Clock, GrantIndex, Host, Store, Timestamp};
use deputy_native::{
    http_server::{Server, Shutdown, serve},
    store::{Copied, CopyError, Place, PostgresStore, SqliteGrantIndex, SqliteStore, StoreUrl, copy_records},
};
use harness::{counted::Counted, memory::MemoryHost, postgres::cluster, remote::Remote};
use http::HeaderName;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use url::Url;

pub(crate) struct OnNative {
    host: MemoryHost,
    place: Records,
    server: Mutex<Option<JoinHandle<()>>>,
}

/// The place for the records.
enum Records {
    Folder(TempDir),
    Postgres(StoreUrl),
}

impl OnNative {
    /// With records of its own, if `DEPUTY_NATIVE` is set: in PostgreSQL if it is `postgres`, and otherwise in SQLite.
    pub(crate) fn from_environment(host: &MemoryHost) -> Option<Self> {
        let place = if env::var_os("DEPUTY_NATIVE")? == "postgres" {
            let Ok(url) = cluster().schema().parse();
            Records::Postgres(url)
        } else {
            Records::Folder(tempfile::tempdir().expect("a folder"))
        };
        Some(Self { host: host.clone(), place, server: Mutex::default() })
    }

    /// With records in an SQLite file of its own.
    pub(crate) fn in_a_folder(host: &MemoryHost) -> Self {
        let place = Records::Folder(tempfile::tempdir().expect("a folder"));
        Self { host: host.clone(), place, server: Mutex::default() }
    }

    /// The records of the SQLite file.
    pub(crate) fn file(&self) -> SqliteStore {
        match &self.place {
            Records::Folder(folder) => SqliteStore::open(folder.path()).expect("a database"),
            Records::Postgres(_) => panic!("the records are in PostgreSQL"),
        }
    }

    /// Stops the server, and copies its records to a new PostgreSQL database, or from there to a new SQLite file.
    pub(crate) async fn move_records(&mut self) -> Copied {
        let server = self.server.lock().unwrap().take();
        if let Some(server) = server {
            server.abort();
            // Its store closes the database, which would wait for the copy.
            let _ = server.await;
        }
        let to = match &self.place {
            Records::Folder(_) => {
                let Ok(url) = cluster().database("").parse();
                Records::Postgres(url)
            }
            Records::Postgres(_) => Records::Folder(tempfile::tempdir().expect("a folder")),
        };
        let copied = loop {
            // Connections of the stopped server may be open for a moment.
            match copy_records(self.place.place(), to.place(), self.host.now()).await {
                Err(CopyError::InUse(..)) => tokio::time::sleep(Duration::from_millis(100)).await,
                copied => break copied.expect("a copy"),
            }
        };
        self.place = to;
        copied
    }

    /// Serves the router that `router` builds on the host. A second start uses the same records, as a new process would.
    pub(crate) fn start(&self, router: impl FnOnce(Host) -> Router) -> Router {
        let (store, grant_index) = self.place.open(&self.host);
        let router = router(Host {
            clock: Arc::new(SocketClock(self.host.clone())),
            store,
            grant_index,
            ..self.host.host()
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let address = listener.local_addr().expect("an address");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let named = HeaderName::from_static("x-test-address");
        let server = Server { client_address_header: Some(named), ..Server::default() };
        let serving = tokio::spawn(serve(server, vec![listener], router, Shutdown::default()));
        *self.server.lock().unwrap() = Some(serving);
        Remote::at(&Url::parse(&format!("http://{address}")).expect("a URL")).router()
    }
}

impl Records {
    fn place(&self) -> Place<'_> {
        match self {
            Self::Folder(folder) => Place::Folder(folder.path()),
            Self::Postgres(url) => Place::Postgres(url, 1),
        }
    }

    fn open(&self, host: &MemoryHost) -> (Arc<dyn Store>, Arc<dyn GrantIndex>) {
        match self {
            Self::Folder(folder) => {
                let store = SqliteStore::open(folder.path()).expect("a database");
                let index = SqliteGrantIndex::of(folder.path());
                (Arc::new(Counted::new(store, host.counts())), Arc::new(Counted::new(index, host.counts())))
            }
            Self::Postgres(url) => {
                migrate(url.clone());
                let store = PostgresStore::new(url, CONNECTIONS).expect("a URL");
                let index = store.grant_index();
                (Arc::new(Counted::new(store, host.counts())), Arc::new(Counted::new(index, host.counts())))
            }
        }
    }
}

/// Migrates the database on a thread of its own, since the caller is in a runtime and does not wait.
fn migrate(url: StoreUrl) {
    let migrated = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let store = PostgresStore::new(&url, 1).expect("a URL");
        runtime.block_on(store.migrate()).expect("a database");
    });
    migrated.join().expect("tables");
}

/// Connections of one world.
const CONNECTIONS: usize = 4;

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
