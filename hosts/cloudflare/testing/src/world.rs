//! The world of one test: its variables, its clock, its network, records of its own.
//!
//! The test's process holds PingOne, the API and the clock. It says where in the header `x-test-world` of each request;
//! outgoing requests go to that process with the address they are meant for in `x-test-url`.

use std::{
    cell::RefCell,
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use deputy::{
    config::Config,
    host::{
        BoxFuture, ClientAddress, Digest, Endpoint, FetchError, FetchLimits, Host, Key, Reach, Record,
        RetryAfter, Source, Store, StoreError, Timestamp, Version,
    },
};
use deputy_workers::{RateLimits, WorkersStore};
use harness::counted::{Counted, Counts};
use http::{HeaderValue, Request, StatusCode, header};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tower_service::Service as _;
use worker::{Env, send::SendFuture};

/// What a test says of its world.
#[derive(Deserialize)]
struct Description {
    /// The values of `Host`.
    hosts: Vec<String>,
    /// Tells worlds apart. A Deputy that was restarted is in another world with the same records.
    id: String,
    /// Whose records it sees.
    records: String,
    /// The time of the request, in seconds.
    now: u64,
    /// Deputy's configuration.
    variables: HashMap<String, String>,
    /// Who answers outgoing requests.
    network: String,
    /// Whether every object is evicted after each use.
    evict: bool,
}

/// Answers a request in the world that it describes.
pub(crate) async fn answer(State(env): State<Env>, mut request: Request<Body>) -> Response {
    let described = request.headers_mut().remove("x-test-world");
    let described = described.and_then(|value| URL_SAFE_NO_PAD.decode(value).ok());
    let described = described.and_then(|value| serde_json::from_slice::<Description>(&value).ok());
    let Some(description) = described else {
        return (StatusCode::BAD_REQUEST, "the request describes no world").into_response();
    };
    // Where the request comes from is for the test to say.
    request.extensions_mut().remove::<ClientAddress>();
    let address = request.headers_mut().remove("x-test-address");
    if let Some(address) = address.and_then(|address| address.to_str().ok()?.parse().ok()) {
        request.extensions_mut().insert(ClientAddress(address));
    }
    // The runtime's proxy has made its own of it.
    request.headers_mut().remove(header::HOST);
    for host in description.hosts.iter().filter_map(|host| HeaderValue::try_from(host).ok()) {
        request.headers_mut().append(header::HOST, host);
    }
    match world(description, &env) {
        Ok(mut world) => {
            let Ok(mut response) = world.router.call(request).await;
            let fetched = world.fetched.load(Ordering::Relaxed);
            let counted = format!("[{},{},{fetched}]", world.stored.clients(), world.stored.records());
            if let Ok(counted) = HeaderValue::try_from(counted) {
                response.headers_mut().insert("x-test-subrequests", counted);
            }
            response
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}

thread_local! {
    static WORLDS: RefCell<HashMap<String, World>> = RefCell::new(HashMap::new());
}

/// A world that was described before.
#[derive(Clone)]
struct World {
    router: Router,
    now: Arc<AtomicU64>,
    stored: Counts,
    fetched: Arc<AtomicU64>,
}

fn world(description: Description, env: &Env) -> Result<World, String> {
    let known = WORLDS.with_borrow(|worlds| worlds.get(&description.id).cloned());
    if let Some(world) = known {
        world.now.store(description.now, Ordering::Relaxed);
        return Ok(world);
    }
    let config =
        Config::parse(|name| description.variables.get(name).cloned()).map_err(|error| error.to_string())?;
    let store = WorkersStore::new(env).map_err(|error| error.to_string())?;
    let now = Arc::new(AtomicU64::new(description.now));
    let (stored, fetched) = (Counts::default(), Arc::<AtomicU64>::default());
    let store = TestStore { inner: store, owner: description.records, evict: description.evict };
    let host = TestHost {
        now: Arc::clone(&now),
        fetched: Arc::clone(&fetched),
        network: description.network,
        rate_limits: RateLimits::new(env).map_err(|error| error.to_string())?,
        store: Counted::new(store, &stored),
    };
    let router = todo::deputy(config, Arc::new(host)).router();
    let world = World { router, now, stored, fetched };
    WORLDS.with_borrow_mut(|worlds| worlds.insert(description.id, world.clone()));
    Ok(world)
}

/// The Workers host, but for the clock and the network, which are the test's.
struct TestHost {
    now: Arc<AtomicU64>,
    network: String,
    fetched: Arc<AtomicU64>,
    rate_limits: RateLimits,
    store: Counted<TestStore>,
}

impl Host for TestHost {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        workers_runtime::fill_random(buffer);
    }

    fn fetch(
        &self,
        request: http::Request<Bytes>,
        limits: FetchLimits,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, FetchError>> {
        self.fetched.fetch_add(1, Ordering::Relaxed);
        // The network of the test stands in for the Internet, and is on this computer.
        let within = workers_runtime::is_within(limits.reach, request.uri());
        let redirected = if within { self.redirected(request) } else { Err(FetchError::NotPublic) };
        Box::pin(SendFuture::new(async move {
            let limits = FetchLimits { reach: Reach::Anywhere, ..limits };
            let response = workers_runtime::fetch(redirected?, limits).await?;
            if response.headers().contains_key("x-test-unplugged") {
                return Err(FetchError::Connection("nobody answers there".to_owned()));
            }
            Ok(response)
        }))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // The clock stands still, so waiting means: let the others go first. Deadlines are for what really takes time.
        let duration = if duration < DEADLINES { duration.min(Duration::from_millis(250)) } else { duration };
        Box::pin(SendFuture::new(async move { workers_runtime::Timer::start(duration).await }))
    }

    fn detach(&self, work: BoxFuture<'static, ()>) {
        workers_runtime::detach(work);
    }

    fn admit(
        &self,
        endpoint: Endpoint,
        source: Source,
        _: NonZeroU32,
    ) -> BoxFuture<'_, Result<(), RetryAfter>> {
        Box::pin(self.rate_limits.admit(endpoint, source))
    }

    fn store(&self) -> &dyn Store {
        &self.store
    }
}

impl TestHost {
    fn redirected(&self, request: http::Request<Bytes>) -> Result<http::Request<Bytes>, FetchError> {
        let unusable = |_| FetchError::Connection("the address is not one".to_owned());
        let (mut head, body) = request.into_parts();
        let url = HeaderValue::try_from(head.uri.to_string()).map_err(unusable)?;
        head.headers.insert("x-test-url", url);
        head.uri = self
            .network
            .parse()
            .map_err(|_| FetchError::Connection("the network has no address".to_owned()))?;
        Ok(http::Request::from_parts(head, body))
    }
}

/// The Workers store, in which people of other worlds are other people.
struct TestStore {
    inner: WorkersStore,
    owner: String,
    evict: bool,
}

impl TestStore {
    fn key(&self, key: &Key) -> Key {
        match key {
            Key::User(digest) => {
                let mixed = Sha256::new().chain_update(&self.owner).chain_update(digest.0).finalize();
                Key::User(Digest(mixed.into()))
            }
            // The same document is another one elsewhere.
            Key::Client(id) if id.starts_with("document-") => Key::Client(format!("{id} {}", self.owner)),
            // These have random names.
            Key::Approval(_) | Key::Client(_) | Key::Grant(_) | Key::Login(_) | Key::Reply(_) => key.clone(),
        }
    }

    /// Does `verb`, and evicts the object that did it, unless others use it: the runtime evicts idle objects.
    async fn then_evict<T>(&self, key: &Key, verb: impl Future<Output = T>) -> T {
        if !self.evict {
            return verb.await;
        }
        let mut use_of_object = UseOfObject::begin(key).await;
        let done = verb.await;
        if use_of_object.is_the_last() {
            self.inner.evict(key).await;
        }
        done
    }
}

/// A use of an object that is not evicted meanwhile.
struct UseOfObject(Key);

impl UseOfObject {
    async fn begin(key: &Key) -> Self {
        let admitted = |uses: &mut HashMap<Key, Uses>| {
            let uses = uses.entry(key.clone()).or_default();
            uses.count += u32::from(!uses.evicting);
            !uses.evicting
        };
        while !USES.with_borrow_mut(admitted) {
            workers_runtime::Timer::start(Duration::from_millis(1)).await;
        }
        Self(key.clone())
    }

    /// Whether no other use is going on. From now on none begins before this is dropped.
    fn is_the_last(&mut self) -> bool {
        USES.with_borrow_mut(|uses| {
            let uses = uses.entry(self.0.clone()).or_default();
            uses.evicting = uses.count == 1;
            uses.evicting
        })
    }
}

impl Drop for UseOfObject {
    fn drop(&mut self) {
        USES.with_borrow_mut(|uses| {
            let Some(of_object) = uses.get_mut(&self.0) else { return };
            of_object.count -= 1;
            if of_object.count == 0 {
                uses.remove(&self.0);
            }
        });
    }
}

#[derive(Default)]
struct Uses {
    count: u32,
    evicting: bool,
}

thread_local! {
    static USES: RefCell<HashMap<Key, Uses>> = RefCell::default();
}

impl Store for TestStore {
    fn get<'a>(&'a self, key: &'a Key, now: Timestamp) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        Box::pin(SendFuture::new(async move {
            let key = self.key(key);
            self.then_evict(&key, self.inner.get(&key, now)).await
        }))
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        value: Vec<u8>,
        expires_at: Timestamp,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(SendFuture::new(async move {
            let key = self.key(key);
            self.then_evict(&key, self.inner.put(&key, value, expires_at)).await
        }))
    }

    fn replace<'a>(
        &'a self,
        key: &'a Key,
        expected: Option<Version>,
        value: Vec<u8>,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(SendFuture::new(async move {
            let key = self.key(key);
            self.then_evict(&key, self.inner.replace(&key, expected, value, expires_at, now)).await
        }))
    }

    fn take<'a>(&'a self, key: &'a Key, now: Timestamp) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        Box::pin(SendFuture::new(async move {
            let key = self.key(key);
            self.then_evict(&key, self.inner.take(&key, now)).await
        }))
    }
}

/// What is no shorter is a deadline.
const DEADLINES: Duration = Duration::from_secs(20);
