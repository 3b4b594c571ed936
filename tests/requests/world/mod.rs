//! The environment of a test: Deputy, the simulated PingOne and the Todo API in one process, and browsers of users.

mod login;
mod mcp;
mod native;
mod response;
pub(crate) mod todo_api;
mod workers;

use std::{net::Ipv6Addr, sync::Arc, time::Duration};

use axum::{extract::Request, middleware::map_request};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use deputy::{
    Server, Wording,
    config::Config,
    host::{ClientAddress, Host},
};
use harness::{
    browser::{Browser, Page},
    memory::MemoryHost,
    network::Network,
};
use http::StatusCode;
use pingone_sim::{SimConfig, SimEnvironment, Simulator};
use serde_json::{Value, json};
use url::form_urlencoded;

pub(crate) use self::{
    login::{
        HOUR, authorization_error, cookie_header, error_at_client, finished_at_pingone, login_error,
        with_expiring_token,
    },
    mcp::{
        FORM, JSON, add_todo, create_call, delete_call, delete_stream, list_todos, send_reply, todo_texts,
    },
    response::{Response, Stream},
    todo_api::api_responds,
};
use self::{native::OnNative, workers::OnWorkers};

pub(crate) const DEPUTY: &str = "https://deputy.example";
pub(crate) const PINGONE: &str = "https://auth.pingone.eu";
pub(crate) const API: &str = "https://todo.example";
pub(crate) const CALLBACK: &str = "https://client.example/cb";
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
    on_native: Option<OnNative>,
    on_workers: Option<OnWorkers>,
}

/// The tokens of a client after a login.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) client: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) response: Value,
}

/// The clock and randomness of the simulator.
struct Environment(MemoryHost);

impl SimEnvironment for Environment {
    fn now(&self) -> u64 {
        self.0.now().0
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.0.fill_random(buffer);
    }

    fn sleep(&self, duration: Duration) -> deputy::host::BoxFuture<'static, ()> {
        self.0.sleep(duration)
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// A world with these variables.
    pub(crate) fn with(variables: &[(&str, &str)]) -> Self {
        let network = Network::default();
        let host = MemoryHost::new(1, network.clone());
        let config = SimConfig::demo(PINGONE, &format!("{DEPUTY}/callback"), API);
        // The simulator has its own stream of randomness, so that its keys do not depend on Deputy.
        let environment = Environment(host.with_seed(2));
        let pingone = Simulator::new(config.clone(), Arc::new(environment));
        network.serve(PINGONE, pingone.router());
        let api = todo_api::router(&config.issuer(), API, &host, &network);
        network.serve(API, api);
        let on_workers = OnWorkers::from_environment(&host, &network);
        let on_native = OnNative::from_environment(&host);
        let world = Self { host, network, pingone, config, address: address(), on_native, on_workers };
        world.start(variables);
        world
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
        let config = Config::parse(variable).expect("usable");
        let router = |host| server(config, host).router();
        let router = match &self.on_native {
            Some(on_native) => on_native.start(router),
            None => router(Arc::new(self.host.clone())).layer(map_request(from_test_address)),
        };
        self.network.serve(DEPUTY, router);
    }

    /// A second Deputy, on `host`.
    pub(crate) fn server(&self, host: Arc<dyn Host>) -> Server {
        server(self.deputy_config(), host)
    }

    /// The configuration of this world's Deputy.
    pub(crate) fn deputy_config(&self) -> Config {
        Config::parse(|name| self.variable(name)).expect("usable")
    }

    fn variable(&self, name: &str) -> Option<String> {
        Some(match name {
            "PUBLIC_URL" => DEPUTY.into(),
            "PINGONE_ISSUER" => self.config.issuer(),
            "PINGONE_DV_POLICY_ID" => self.config.policy_id.clone(),
            "MCP_SERVER_CLIENT_ID" => self.config.application.client_id.clone(),
            "MCP_SERVER_CLIENT_SECRET" => self.config.application.client_secret.clone(),
            "API_IDENTIFIER" | "API_URL" => API.into(),
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

    pub(crate) async fn register(&self, metadata: &Value) -> Value {
        let response = self.post_json("/register", metadata).await;
        assert_eq!(response.status, StatusCode::CREATED, "{}", response.text);
        response.json()
    }

    /// A public client whose redirect URI is [`CALLBACK`].
    pub(crate) async fn client(&self) -> String {
        let metadata = json!({
            "client_name": "Test client", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none",
        });
        self.register(&metadata).await["client_id"].as_str().expect("an id").to_owned()
    }

    /// The path of a valid authorization request, with some parameters replaced.
    #[expect(clippy::unused_self, reason = "reads as what the world's client asks")]
    pub(crate) fn authorize_path(&self, client: &str, overrides: &[(&str, &str)]) -> String {
        let mut params = vec![
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", CALLBACK),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("state", "client-state"),
        ];
        params.retain(|(name, _)| !overrides.iter().any(|(other, _)| other == name));
        params.extend(overrides);
        format!(
            "/authorize?{}",
            form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
        )
    }

    pub(crate) fn authorize_url(&self, client: &str, overrides: &[(&str, &str)]) -> String {
        format!("{DEPUTY}{}", self.authorize_path(client, overrides))
    }

    /// Alice approves `client` and logs in where the pages ask for it. Ends at the client's redirect URI.
    pub(crate) async fn log_in_to(&self, browser: &mut Browser, client: &str) -> Page {
        self.log_in(browser, "alice", &self.authorize_url(client, &[])).await
    }

    /// Opens `url`, approves, logs in and consents where the pages ask for it.
    pub(crate) async fn log_in(&self, browser: &mut Browser, user: &str, url: &str) -> Page {
        let mut page = browser.open(url).await;
        if page.url.path() == "/authorize" {
            page = browser.submit(&page, &[], "approve").await;
        }
        if page.text.contains("value=\"SIGNON\"") {
            let password = format!("{}{}-demo-1", user[..1].to_uppercase(), &user[1..]);
            page = browser.submit(&page, &[("username", user), ("password", &password)], "SIGNON").await;
        }
        if page.text.contains("value=\"APPROVE\"") {
            page = browser.submit(&page, &[], "APPROVE").await;
        }
        page
    }

    /// The code of a successful login of Alice.
    pub(crate) async fn code(&self, client: &str) -> String {
        let page = self.log_in_to(&mut self.browser(), client).await;
        code_at_client(&page).unwrap_or_else(|| panic!("no code at {}:\n{}", page.url, page.text))
    }

    pub(crate) async fn redeem(&self, client: &str, code: &str) -> Response {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", CALLBACK),
        ];
        self.post_form("/token", &form).await
    }

    pub(crate) async fn refresh(&self, client: &str, token: &str) -> Response {
        let form = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
        self.post_form("/token", &form).await
    }

    /// A new client after a login of Alice.
    pub(crate) async fn connected(&self) -> Tokens {
        self.connected_as("alice", &[]).await
    }

    pub(crate) async fn connected_as(&self, user: &str, overrides: &[(&str, &str)]) -> Tokens {
        let client = self.client().await;
        let page = self.log_in(&mut self.browser(), user, &self.authorize_url(&client, overrides)).await;
        let code = code_at_client(&page).unwrap_or_else(|| panic!("no code at {}:\n{}", page.url, page.text));
        let response = self.redeem(&client, &code).await;
        assert_eq!(response.status, StatusCode::OK, "{}", response.text);
        Tokens::of(&client, &response)
    }

    /// A request of MCP 2025-11-25 without a session.
    pub(crate) async fn mcp(&self, token: Option<&str>, message: &Value) -> Response {
        let authorization = token.map(|token| format!("Bearer {token}"));
        let mut headers = HEADERS_OF_2025.to_vec();
        headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
        self.request("POST", "/mcp", &headers, &message.to_string()).await
    }

    /// A request of MCP 2025-11-25 in a session, or without one if `session` is empty.
    pub(crate) async fn mcp_in(&self, session: &str, token: &str, message: &Value) -> Response {
        let authorization = format!("Bearer {token}");
        let mut headers = HEADERS_OF_2025.to_vec();
        headers.push(("authorization", &authorization));
        headers.extend(Some(("mcp-session-id", session)).filter(|_| !session.is_empty()));
        self.request("POST", "/mcp", &headers, &message.to_string()).await
    }

    /// The session id for a client of MCP 2025-11-25 with these capabilities.
    pub(crate) async fn session(&self, token: &str, capabilities: Value) -> String {
        let info = json!({ "name": "test", "version": "1" });
        let params =
            json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": info });
        let message = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        let response = self.mcp(Some(token), &message).await;
        assert_eq!(response.status, StatusCode::OK, "{}", response.text);
        response.header("mcp-session-id")
    }

    /// The events of the response to a request in a session.
    pub(crate) async fn stream(&self, token: &str, session: &str, message: &Value) -> Stream {
        let request = http::Request::post(format!("{DEPUTY}/mcp"))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25")
            .header("mcp-session-id", session)
            .header("authorization", format!("Bearer {token}"))
            .body(Bytes::from(message.to_string()));
        let response = self.network.open(request.expect("a request")).await.expect("a response");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream::of(response)
    }

    pub(crate) async fn call(&self, token: &str, tool: &str, arguments: Value) -> Response {
        let params = json!({ "name": tool, "arguments": arguments });
        self.mcp(Some(token), &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }))
            .await
    }
}

/// The headers of a client of MCP 2025-11-25.
const HEADERS_OF_2025: [(&str, &str); 3] = [
    ("content-type", "application/json"),
    ("accept", "application/json, text/event-stream"),
    ("mcp-protocol-version", "2025-11-25"),
];

/// The code that Deputy redirected to the client. A refused callback stays at Deputy, with PingOne's code in its URL.
pub(crate) fn code_at_client(page: &Page) -> Option<String> {
    page.query("code").filter(|_| page.url.origin().ascii_serialization() != DEPUTY)
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

/// Deputy with the Todo tools.
fn server(config: Config, host: Arc<dyn Host>) -> Server {
    let handler = deputy::mcp::rmcp(todo::TodoServer::new()).require_all(todo::SCOPES);
    let wording = Wording::new(todo::API_NAME, todo::SCOPE_DESCRIPTIONS);
    Server::new(config, host, Arc::new(handler), wording)
}

impl Tokens {
    pub(crate) fn of(client: &str, response: &Response) -> Self {
        Self::from_json(client, response.json())
    }

    pub(crate) fn from_json(client: &str, response: Value) -> Self {
        let text = |name| response[name].as_str().unwrap_or_default().to_owned();
        Self {
            client: client.to_owned(),
            access: text("access_token"),
            refresh: text("refresh_token"),
            response,
        }
    }
}

/// The claims of a JWT, unverified.
pub(crate) fn claims(jwt: &str) -> Value {
    let payload = jwt.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("JSON")
}
