//! Deputy on the Workers runtime, in `hosts/cloudflare/testing`, with the clock and the network of a test.

use std::{
    env, process,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{Router, extract::Request};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use harness::{
    deployment::INVOICES,
    memory::MemoryHost,
    network::Network,
    remote::{Remote, listen},
};
use http::{HeaderValue, header};
use serde_json::{Value, json};
use url::Url;

pub(crate) struct OnWorkers {
    worker: Remote,
    host: MemoryHost,
    /// The URL at which the Worker reaches the network of the test.
    network: String,
    /// The name of the record space that it uses.
    records: String,
    /// The subrequests so far, as of the last response: clients, records, fetches.
    subrequests: Arc<Mutex<[u64; 3]>>,
    /// The audit events so far, as of the last response.
    audited: Arc<Mutex<Vec<Value>>>,
}

impl OnWorkers {
    /// The Worker at the URL in `DEPUTY_WORKER`, if that is set.
    pub(crate) fn from_environment(host: &MemoryHost, network: &Network) -> Option<Self> {
        let worker = env::var("DEPUTY_WORKER").ok()?;
        let worker = Remote::at(&Url::parse(&worker).expect("DEPUTY_WORKER is a URL"));
        // Alarms and the expiry of KV records use the clock of the runtime.
        #[expect(clippy::disallowed_methods, reason = "the clock begins where the runtime's is")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        host.advance(now.as_secs() - host.now().0);
        let network = format!("http://{}/", listen(network));
        let (subrequests, audited) = (Arc::default(), Arc::default());
        Some(Self { worker, host: host.clone(), network, records: unique(), subrequests, audited })
    }

    /// A Deputy with these variables, which uses the same records as the previous one.
    pub(crate) fn start(&self, set: &[(&str, &str)], variable: impl Fn(&str) -> Option<String>) -> Router {
        let variables: serde_json::Map<_, _> = VARIABLES
            .iter()
            .copied()
            .chain(set.iter().map(|(name, _)| *name))
            .filter_map(|name| Some((name.to_owned(), variable(name)?.into())))
            .collect();
        let (id, records, network) = (unique(), self.records.clone(), self.network.clone());
        let evict = env::var_os("DEPUTY_EVICTS").is_some();
        let (worker, host) = (self.worker.clone(), self.host.clone());
        let (subrequests, audited) = (Arc::clone(&self.subrequests), Arc::clone(&self.audited));
        Router::new().fallback(async move |mut request: Request| {
            let hosts: Vec<_> = request
                .headers()
                .get_all(header::HOST)
                .iter()
                .filter_map(|host| host.to_str().ok())
                .collect();
            let world = json!({
                "hosts": hosts,
                "id": id, "records": records, "now": host.now().0, "variables": variables,
                "network": network, "evict": evict,
            });
            // The header is base64url because `wrangler dev` rewrites text that resembles its own address.
            let world = URL_SAFE_NO_PAD.encode(world.to_string());
            let world = HeaderValue::try_from(world).expect("visible ASCII");
            request.headers_mut().insert("x-test-world", world);
            request.headers_mut().remove(header::HOST);
            let response = worker.send(request).await;
            if let Some(counted) = response.headers().get("x-test-subrequests") {
                let counted = serde_json::from_slice(counted.as_bytes()).expect("three numbers");
                *subrequests.lock().unwrap_or_else(PoisonError::into_inner) = counted;
            }
            if let Some(events) = response.headers().get("x-test-audited") {
                let events = URL_SAFE_NO_PAD.decode(events).expect("base64url");
                let events: Vec<Value> = serde_json::from_slice(&events).expect("events");
                audited.lock().unwrap_or_else(PoisonError::into_inner).extend(events);
            }
            response
        })
    }

    /// The audit events, as of the last response.
    pub(crate) fn audited(&self) -> Vec<Value> {
        self.audited.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The subrequests for clients, for other records, and to other servers, as of the last response.
    pub(crate) fn subrequests(&self) -> [u64; 3] {
        *self.subrequests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name that is unique among all worlds of all tests.
fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The variables that every world sets.
const VARIABLES: [&str; 10] = [
    "ACCESS_TOKEN_LIFETIME",
    "API_IDENTIFIER",
    "API_URL",
    "COOKIE_ENCRYPTION_KEY",
    "MCP_SERVER_CLIENT_ID",
    "MCP_SERVER_CLIENT_SECRET",
    "PINGONE_DV_POLICY_ID",
    "PINGONE_ISSUER",
    "PUBLIC_URL",
    INVOICES,
];
