//! The world of one test: variables, clock, network, and records of its own.
//!
//! PingOne, the API and the clock are in the process of the test. The header `x-test-world` of each request describes
//! the world. Outgoing requests go to that process, with their URL in the header `x-test-url`.

use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
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
use deputy::host::{
    AuditEvent, AuditLog, BoxFuture, Capacity, ClientAddress, Clock, Digest, FetchError, FetchLimits, Host,
    HttpClient, Operation, Outcome, Reach, RecordKey, Store, StoreError, Timestamp,
};
use deputy_workers::{RateLimits, WorkersGrantIndex, WorkersRuntime, WorkersStore};
use harness::{
    counted::{Counted, Counts},
    deployment::Deployment,
};
use http::{HeaderValue, Request, StatusCode, header};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tower_service::Service as _;
use worker::{Env, send::SendFuture};

/// The value of `x-test-world`.
#[derive(Deserialize)]
struct Description {
    /// The values of the `Host` header.
    hosts: Vec<String>,
    /// Names the world. A restarted Deputy is another world with the same records.
    id: String,
    /// Names the set of records.
    records: String,
    /// The time of the request, in seconds since 1970.
    now: u64,
    /// Deputy's configuration.
    variables: HashMap<String, String>,
    /// The URL to which outgoing requests go.
    network: String,
    /// Whether every object is evicted after each use.
    evict: bool,
}

/// Responds to a request in the world that it describes.
pub(crate) async fn respond_in_world(State(env): State<Env>, mut request: Request<Body>) -> Response {
    let described = request.headers_mut().remove("x-test-world");
    let described = described.and_then(|value| URL_SAFE_NO_PAD.decode(value).ok());
    let described = described.and_then(|value| serde_json::from_slice::<Description>(&value).ok());
    let Some(description) = described else {
        return (StatusCode::BAD_REQUEST, "the header x-test-world is missing or invalid").into_response();
    };
    // The test sets the remote address.
    request.extensions_mut().remove::<ClientAddress>();
    let address = request.headers_mut().remove("x-test-address");
    if let Some(address) = address.and_then(|address| address.to_str().ok()?.parse().ok()) {
        request.extensions_mut().insert(ClientAddress(address));
    }
    // The proxy of `wrangler dev` has replaced the `Host` header of the test.
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
            let audited =
                std::mem::take(&mut *world.audited.0.lock().unwrap_or_else(PoisonError::into_inner));
            let audited = URL_SAFE_NO_PAD.encode(format!("[{}]", audited.join(",")));
            if let Ok(audited) = HeaderValue::try_from(audited) {
                response.headers_mut().insert("x-test-audited", audited);
            }
            response
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}

thread_local! {
    static WORLDS: RefCell<HashMap<String, World>> = RefCell::new(HashMap::new());
}

#[derive(Clone)]
struct World {
    router: Router,
    now: Arc<AtomicU64>,
    stored: Counts,
    fetched: Arc<AtomicU64>,
    audited: Arc<Audited>,
}

/// The audit events since the last response, as JSON.
#[derive(Default)]
struct Audited(Mutex<Vec<String>>);

impl AuditLog for Audited {
    fn record(&self, event: &AuditEvent) {
        let event = serde_json::to_string(event).unwrap_or_default();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

fn world(description: Description, env: &Env) -> Result<World, String> {
    let existing = WORLDS.with_borrow(|worlds| worlds.get(&description.id).cloned());
    if let Some(world) = existing {
        world.now.store(description.now, Ordering::Relaxed);
        return Ok(world);
    }
    let variable = |name: &str| description.variables.get(name).cloned();
    let deployment = Deployment::of(variable);
    let config = deployment.config(variable).map_err(|error| error.to_string())?;
    let store = WorkersStore::new(env).map_err(|error| error.to_string())?;
    let now = Arc::new(AtomicU64::new(description.now));
    let (stored, fetched) = (Counts::default(), Arc::<AtomicU64>::default());
    let grant_index = WorkersGrantIndex::of(env, &description.records).map_err(|error| error.to_string())?;
    let store = TestStore { inner: store, owner: description.records, evict: description.evict };
    let test =
        TestHost { now: Arc::clone(&now), fetched: Arc::clone(&fetched), network: description.network };
    let test = Arc::new(test);
    let audited = Arc::new(Audited::default());
    let host = Host {
        clock: test.clone(),
        http: test,
        random: Arc::new(WorkersRuntime),
        rate_limiter: Arc::new(RateLimits::new(env).map_err(|error| error.to_string())?),
        store: Arc::new(Counted::new(store, &stored)),
        grant_index: Arc::new(Counted::new(grant_index, &stored)),
        tasks: Arc::new(WorkersRuntime),
        audit: audited.clone(),
        capacity: Capacity::default(),
    };
    let router = deployment.server(config, host).router_with_admin();
    let world = World { router, now, stored, fetched, audited };
    WORLDS.with_borrow_mut(|worlds| worlds.insert(description.id, world.clone()));
    Ok(world)
}

/// The clock and the network of the test.
struct TestHost {
    now: Arc<AtomicU64>,
    network: String,
    fetched: Arc<AtomicU64>,
}

impl Clock for TestHost {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // The test's clock stands still, so a short wait only lets other tasks run first. Deadlines take their real
        // time.
        let duration = if duration < DEADLINES { duration.min(Duration::from_millis(250)) } else { duration };
        Box::pin(SendFuture::new(async move { workers_runtime::Timer::start(duration).await }))
    }
}

impl HttpClient for TestHost {
    fn fetch(
        &self,
        request: http::Request<Bytes>,
        limits: FetchLimits,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, FetchError>> {
        self.fetched.fetch_add(1, Ordering::Relaxed);
        // The network of the test is on this computer, and stands in for the Internet.
        let permitted = workers_runtime::is_permitted(limits.reach, request.uri());
        let redirected = if permitted { self.redirected(request) } else { Err(FetchError::NotPublic) };
        Box::pin(SendFuture::new(async move {
            let limits = FetchLimits { reach: Reach::Anywhere, ..limits };
            let response = workers_runtime::fetch(redirected?, limits).await?;
            if response.headers().contains_key("x-test-unplugged") {
                return Err(FetchError::Connection("the test unplugged this server".to_owned()));
            }
            Ok(response)
        }))
    }
}

impl TestHost {
    fn redirected(&self, request: http::Request<Bytes>) -> Result<http::Request<Bytes>, FetchError> {
        let unusable = |_| FetchError::Connection("the URL is invalid".to_owned());
        let (mut head, body) = request.into_parts();
        let url = HeaderValue::try_from(head.uri.to_string()).map_err(unusable)?;
        head.headers.insert("x-test-url", url);
        head.uri = self
            .network
            .parse()
            .map_err(|_| FetchError::Connection("the network's URL is invalid".to_owned()))?;
        Ok(http::Request::from_parts(head, body))
    }
}

/// The Workers store, with separate records for each world where their names are not random.
struct TestStore {
    inner: WorkersStore,
    /// Names the set of records.
    owner: String,
    evict: bool,
}

impl TestStore {
    fn mixed(&self, digest: &Digest) -> Digest {
        Digest(Sha256::new().chain_update(&self.owner).chain_update(digest.0).finalize().into())
    }

    fn key(&self, key: &RecordKey) -> RecordKey {
        match key {
            RecordKey::Assertion(digest) => RecordKey::Assertion(self.mixed(digest)),
            RecordKey::Blocklist(digest) => RecordKey::Blocklist(self.mixed(digest)),
            RecordKey::Delivery(digest) => RecordKey::Delivery(self.mixed(digest)),
            RecordKey::User(digest) => RecordKey::User(self.mixed(digest)),
            // Metadata documents of one URL and the list of blocked clients differ between worlds.
            RecordKey::Client(id)
                if id.starts_with("document-") || id.starts_with("keys-") || id == "blocklist" =>
            {
                RecordKey::Client(format!("{id} {}", self.owner))
            }
            // Their names are random.
            RecordKey::Approval(_)
            | RecordKey::Client(_)
            | RecordKey::Grant(_)
            | RecordKey::Login(_)
            | RecordKey::Reply(_) => key.clone(),
        }
    }

    /// Runs `operation`, then evicts the object of `key` unless it is in use: the runtime evicts only idle objects.
    async fn then_evict<T>(&self, key: &RecordKey, operation: impl Future<Output = T>) -> T {
        let Some(name) = WorkersStore::object_of(key).filter(|_| self.evict) else {
            return operation.await;
        };
        let mut object = ObjectUse::begin(name).await;
        let output = operation.await;
        if object.is_last() {
            self.inner.evict(&object.0).await;
        }
        output
    }
}

/// A use of the object with this name, which is not evicted before the use ends.
struct ObjectUse(String);

impl ObjectUse {
    async fn begin(name: String) -> Self {
        let admitted = |uses: &mut HashMap<String, Uses>| {
            let uses = uses.entry(name.clone()).or_default();
            uses.count += u32::from(!uses.evicting);
            !uses.evicting
        };
        while !USES.with_borrow_mut(admitted) {
            workers_runtime::Timer::start(Duration::from_millis(1)).await;
        }
        Self(name)
    }

    /// Whether the object has no other use. If so, no use begins before this one is dropped.
    fn is_last(&mut self) -> bool {
        USES.with_borrow_mut(|uses| {
            let uses = uses.entry(self.0.clone()).or_default();
            uses.evicting = uses.count == 1;
            uses.evicting
        })
    }
}

impl Drop for ObjectUse {
    fn drop(&mut self) {
        USES.with_borrow_mut(|uses| {
            let Some(object) = uses.get_mut(&self.0) else { return };
            object.count -= 1;
            if object.count == 0 {
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
    static USES: RefCell<HashMap<String, Uses>> = RefCell::default();
}

impl Store for TestStore {
    fn execute<'a>(
        &'a self,
        key: &'a RecordKey,
        operation: Operation,
    ) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(SendFuture::new(async move {
            let key = self.key(key);
            self.then_evict(&key, self.inner.execute(&key, operation)).await
        }))
    }
}

/// A sleep of this length or longer is a deadline.
const DEADLINES: Duration = Duration::from_secs(20);
