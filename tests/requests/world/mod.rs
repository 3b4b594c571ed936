//! The environment of a test: Deputy, the simulated PingOne and the Todo API in one process, and browsers of users.

mod agents;
mod events;
mod login;
mod mcp;
mod native;
mod response;
pub(crate) mod todo_api;
mod workers;

use std::{net::Ipv6Addr, sync::Arc, time::Duration};

use axum::{extract::Request, middleware::map_request};
use bytes::Bytes;
use deputy::{
    Server,
    config::Config,
    host::{ClientAddress, Clock as _, Host, SecureRandom as _},
};
use harness::{
    browser::Browser,
    deployment::{Deployment, INVOICES},
    memory::MemoryHost,
    network::Network,
};
use pingone_sim::{SimConfig, SimEnvironment, Simulator};
use serde_json::Value;
use url::form_urlencoded;

pub(crate) use self::{
    agents::{agent_ids, agents_url, form_token},
    events::WEBHOOK_SECRET,
    login::{
        HOUR, Tokens, authorization_error, claims, code_at_client, cookie_header, error_at_client,
        finished_at_pingone, handle_in, known_name, login_error, with_expiring_token,
    },
    mcp::{
        FORM, JSON, add_todo, call_asking, call_delete, create_call, delete_call, delete_stream, list_todos,
        open_question, send_reply, todo_texts,
    },
    response::{Response, Stream},
    todo_api::api_responds,
};
use self::{native::OnNative, workers::OnWorkers};

pub(crate) const DEPUTY: &str = "https://deputy.example";
pub(crate) const PINGONE: &str = "https://auth.pingone.eu";
pub(crate) const API: &str = "https://todo.example";
pub(crate) const CALLBACK: &str = "https://client.example/cb";
/// The token of the operator, in worlds with an admin interface.
pub(crate) const ADMIN_TOKEN: &str = "operator-0123456789abcdef-operator";
/// RFC 7636 appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) struct World {
    pub(crate) host: MemoryHost,
    pub(crate) network: Network,
    pub(crate) pingone: Simulator,
    pub(crate) config: SimConfig,
    /// A remote address for the header `x-test-address`, unique to this world.
    pub(crate) address: String,
    serves_invoices: bool,
    on_native: Option<OnNative>,
    on_workers: Option<OnWorkers>,
}

/// The clock and randomness of the simulator.
struct Environment(MemoryHost);

impl SimEnvironment for Environment {
    fn now(&self) -> u64 {
        self.0.now().0
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.0.fill(buffer);
    }

    fn sleep(&self, duration: Duration) -> deputy::host::BoxFuture<'static, ()> {
        self.0.sleep(duration)
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// A world with the tools of `examples/invoices`, and their API.
    pub(crate) fn of_invoices() -> Self {
        Self::with(&[(INVOICES, "on")])
    }

    /// A world with these variables.
    pub(crate) fn with(variables: &[(&str, &str)]) -> Self {
        Self::on(variables, OnNative::from_environment)
    }

    /// A world on the native host, with its records in an SQLite file.
    pub(crate) fn in_a_folder() -> Self {
        Self::on(&[], |host| Some(OnNative::in_a_folder(host)))
    }

    fn on(variables: &[(&str, &str)], on_native: impl FnOnce(&MemoryHost) -> Option<OnNative>) -> Self {
        let network = Network::default();
        let host = MemoryHost::new(1, network.clone());
        let serves_invoices = variables.iter().any(|(name, _)| *name == INVOICES);
        let mut config = SimConfig::demo(PINGONE, &format!("{DEPUTY}/callback"), API);
        if serves_invoices {
            config = config.with_scopes("invoice.read invoice.write");
        }
        // The simulator has its own stream of randomness, so that its keys do not depend on Deputy.
        let environment = Environment(host.with_seed(2));
        let pingone = Simulator::new(config.clone(), Arc::new(environment));
        network.serve(PINGONE, pingone.router());
        let api = todo_api::router(&config.issuer(), API, &host, &network);
        network.serve(API, api);
        let on_workers = OnWorkers::from_environment(&host, &network);
        let on_native = on_native(&host);
        let address = address();
        let world = Self { host, network, pingone, config, address, serves_invoices, on_native, on_workers };
        world.start(variables);
        world
    }

    /// The place of the records on the native host.
    pub(crate) fn native(&mut self) -> &mut OnNative {
        self.on_native.as_mut().expect("a world on the native host")
    }

    /// Starts Deputy, or restarts it with the same records.
    pub(crate) fn start(&self, variables: &[(&str, &str)]) {
        let variable = |name: &str| {
            let set = variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
            set.or_else(|| self.variable(name))
        };
        if let Some(on_workers) = &self.on_workers {
            self.network.serve(DEPUTY, on_workers.start(variables, variable));
            return;
        }
        let deployment = Deployment::of(variable);
        let config = deployment.config(variable).expect("usable");
        let router = |host| deployment.server(config, host).router_with_admin();
        let router = match &self.on_native {
            Some(on_native) => on_native.start(router),
            None => router(self.host.host()).layer(map_request(from_test_address)),
        };
        self.network.serve(DEPUTY, router);
    }

    /// A second Deputy, on `host`.
    pub(crate) fn server(&self, host: Host) -> Server {
        todo::deputy(self.deputy_config(), host)
    }

    /// The configuration of this world's Deputy, with an admin interface and a webhook.
    pub(crate) fn deputy_config(&self) -> Config {
        let more = |name: &str| match name {
            "ADMIN_TOKEN" => Some(ADMIN_TOKEN.to_owned()),
            "PINGONE_WEBHOOK_SECRET" => Some(WEBHOOK_SECRET.to_owned()),
            _ => None,
        };
        Config::parse(|name| more(name).or_else(|| self.variable(name))).expect("usable")
    }

    fn variable(&self, name: &str) -> Option<String> {
        Some(match name {
            "PUBLIC_URL" => DEPUTY.into(),
            "PINGONE_ISSUER" => self.config.issuer(),
            "PINGONE_DV_POLICY_ID" => self.config.policy_id.clone(),
            "MCP_SERVER_CLIENT_ID" => self.config.application.client_id.clone(),
            "MCP_SERVER_CLIENT_SECRET" => self.config.application.client_secret.clone(),
            // The document has this path before all others.
            "API_URL" if self.serves_invoices => format!("{API}/v1"),
            "API_IDENTIFIER" | "API_URL" => API.into(),
            INVOICES if self.serves_invoices => "on".into(),
            // That of PingOne's tokens, so that both expire in one test.
            "ACCESS_TOKEN_LIFETIME" => "3600".into(),
            "COOKIE_ENCRYPTION_KEY" => "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into(),
            _ => return None,
        })
    }

    pub(crate) fn now(&self) -> u64 {
        self.host.now().0
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.network.clone())
    }

    /// The number of requests to PingOne so far.
    pub(crate) fn requests_to_pingone(&self) -> usize {
        self.requests_to(PINGONE, "")
    }

    /// Waits until Deputy's detached tasks have revoked exactly `count` refresh tokens at PingOne.
    pub(crate) async fn wait_for_revocations_at_pingone(&self, count: u64) {
        self.wait_for_pingone_requests("revoke", count).await;
    }

    /// Waits until Deputy's detached tasks have sent exactly `count` requests to this endpoint of PingOne.
    pub(crate) async fn wait_for_pingone_requests(&self, endpoint: &str, count: u64) {
        for _ in 0..1000 {
            if self.pingone.requests(endpoint) >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(self.pingone.requests(endpoint), count, "{endpoint}");
    }

    /// The number of requests to `origin` so far whose path ends with `path`.
    pub(crate) fn requests_to(&self, origin: &str, path: &str) -> usize {
        let exchanges = self.network.exchanges();
        let urls = exchanges.iter().map(|exchange| exchange.request.uri().to_string());
        urls.filter(|url| {
            url.starts_with(origin) && url.split('?').next().is_some_and(|url| url.ends_with(path))
        })
        .count()
    }

    /// The query of the browser's last request to PingOne whose path ends with `path`.
    pub(crate) fn last_query_at_pingone(&self, path: &str) -> Vec<(String, String)> {
        let exchanges = self.network.exchanges();
        let mut urls = exchanges.iter().map(|exchange| exchange.request.uri().to_string());
        let url = urls.rfind(|url| url.starts_with(PINGONE) && url.contains(&format!("{path}?")));
        let url = url::Url::parse(&url.expect("a request")).expect("a URL");
        url.query_pairs().into_owned().collect()
    }

    /// Deputy's subrequests so far: clients, other records, other servers.
    pub(crate) async fn subrequests(&self) -> [u64; 3] {
        // Work after a response is counted in the next response.
        self.get("/.well-known/oauth-protected-resource").await;
        if let Some(on_workers) = &self.on_workers {
            return on_workers.subrequests();
        }
        let counts = self.host.counts();
        [counts.clients(), counts.records(), self.host.fetches().len() as u64]
    }

    /// The audit events so far.
    pub(crate) async fn audited(&self) -> Vec<Value> {
        // Work after a response is known with the next response.
        self.get("/.well-known/oauth-protected-resource").await;
        if let Some(on_workers) = &self.on_workers {
            return on_workers.audited();
        }
        let events = self.host.audited();
        events.iter().map(|event| serde_json::to_value(event).expect("JSON")).collect()
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        self.request_bytes(method, path, headers, Bytes::from(body.to_owned())).await
    }

    pub(crate) async fn request_bytes(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Response {
        let url = if path.starts_with("https:") { path.to_owned() } else { format!("{DEPUTY}{path}") };
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).expect("a request");
        Response::of(self.network.send(request).await.expect("a response"))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[], "").await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Response {
        self.request("POST", path, &[("content-type", "application/json")], &body.to_string()).await
    }

    pub(crate) async fn post_form(&self, path: &str, form: &[(&str, &str)]) -> Response {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.request("POST", path, &[("content-type", "application/x-www-form-urlencoded")], &body).await
    }
}

/// Takes the remote address from the test header, and makes the request target what it is on a connection.
async fn from_test_address(mut request: Request) -> Request {
    if let Some(target) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = target.into();
    }
    let address = request.headers_mut().remove("x-test-address");
    if let Some(address) = address.and_then(|address| address.to_str().ok()?.parse().ok()) {
        request.extensions_mut().insert(ClientAddress(address));
    }
    request
}

/// A random address: hosts may count requests across worlds and earlier runs.
fn address() -> String {
    let mut random = [0; 8];
    #[expect(clippy::disallowed_methods, reason = "the address tells worlds apart and nothing else")]
    getrandom::fill(&mut random).expect("randomness");
    let network = (0x2001_0db8_u128 << 96) | (u128::from(u64::from_be_bytes(random)) << 32);
    Ipv6Addr::from_bits(network).to_string()
}
