//! Shared parts of the fuzz targets: a configuration, and a server with a user who is logged in.
//!
//! A target asserts more than that nothing panics: accepted input means what it says, and other input is refused with a
//! client error.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use deputy::{
    Server, Wording,
    config::Config,
    host::{BoxFuture, Clock as _, SecureRandom as _, Timestamp},
    mcp::rmcp,
};
use harness::{browser::Browser, memory::MemoryHost, network::Network};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use pingone_sim::{SimConfig, SimEnvironment, Simulator};
use serde_json::{Value, json};
use todo::TodoServer;
use tokio::runtime::Runtime;
use url::form_urlencoded;

pub const DEPUTY: &str = "https://deputy.example";
pub const PINGONE: &str = "https://auth.pingone.eu";
pub const API: &str = "https://todo.example";
pub const CALLBACK: &str = "https://client.example/cb";

/// A configuration, parsed from variables.
pub fn config() -> Config {
    let simulated = SimConfig::demo(PINGONE, &format!("{DEPUTY}/callback"), API);
    Config::parse(|name| variable(&simulated, name)).expect("a valid configuration")
}

fn variable(simulated: &SimConfig, name: &str) -> Option<String> {
    Some(match name {
        "PUBLIC_URL" => DEPUTY.into(),
        "PINGONE_ISSUER" => simulated.issuer(),
        "PINGONE_DV_POLICY_ID" => simulated.policy_id.clone(),
        "PINGONE_CLIENT_ID" => simulated.application.client_id.clone(),
        "PINGONE_CLIENT_SECRET" => simulated.application.client_secret.clone(),
        "API_IDENTIFIER" | "API_URL" => API.into(),
        "SERVER_KEY" => "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into(),
        "PRIVATE_USE_REDIRECT_URIS" => "cursor://anysphere.cursor-mcp/oauth/callback".into(),
        _ => return None,
    })
}

/// Deputy and a simulated PingOne in memory. The API cannot be reached.
pub struct World {
    runtime: Runtime,
    network: Network,
    /// The id of Alice's client.
    pub client: String,
    /// An access token of this client.
    pub access_token: String,
    /// The time. It does not change.
    pub now: Timestamp,
}

struct Environment(MemoryHost);

impl SimEnvironment for Environment {
    fn now(&self) -> u64 {
        self.0.now().0
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.0.fill(buffer);
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.sleep(duration)
    }
}

impl World {
    /// A world in which Alice has connected a client.
    pub fn new() -> Self {
        let network = Network::default();
        let host = MemoryHost::new(1, network.clone());
        let simulated = SimConfig::demo(PINGONE, &format!("{DEPUTY}/callback"), API);
        let simulator = Simulator::new(simulated, Arc::new(Environment(host.with_seed(2))));
        network.serve(PINGONE, simulator.router());
        let tools = rmcp(TodoServer::new()).require_all(todo::SCOPES);
        let wording = Wording::new(todo::API_NAME, todo::SCOPE_DESCRIPTIONS);
        let now = host.now();
        network.serve(DEPUTY, Server::new(config(), host.host(), Arc::new(tools), wording).router());
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (client, access_token) = runtime.block_on(connect(&network));
        Self { runtime, network, client, access_token, now }
    }

    /// Sends a request to Deputy and reads the whole response.
    pub fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        let response = self.runtime.block_on(self.network.open(request)).expect("Deputy responds");
        let (head, body) = response.into_parts();
        let body = self.runtime.block_on(body.collect()).expect("a whole response").to_bytes();
        Response::from_parts(head, body)
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// Registers a client and logs in Alice. Returns the client's id and an access token.
async fn connect(network: &Network) -> (String, String) {
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let metadata = json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none" });
    let client = post(network, "/register", "application/json", metadata.to_string()).await;
    let client = client["client_id"].as_str().expect("a client").to_owned();
    let form =
        |pairs: &[(&str, &str)]| form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let query = form(&[
        ("response_type", "code"),
        ("client_id", &client),
        ("redirect_uri", CALLBACK),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ]);
    let mut browser = Browser::new(network.clone());
    let page = browser.open(&format!("{DEPUTY}/authorize?{query}")).await;
    let page = browser.submit(&page, &[], "approve").await;
    let fields = [("username", "alice"), ("password", "Alice-demo-1")];
    let page = browser.submit(&page, &fields, "SIGNON").await;
    let page = browser.submit(&page, &[], "APPROVE").await;
    let code = page.query("code").expect("a code");
    let form = form(&[
        ("grant_type", "authorization_code"),
        ("client_id", &client),
        ("redirect_uri", CALLBACK),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ]);
    let tokens = post(network, "/token", "application/x-www-form-urlencoded", form).await;
    (client, tokens["access_token"].as_str().expect("a token").to_owned())
}

async fn post(network: &Network, path: &str, media_type: &str, body: String) -> Value {
    let request =
        Request::post(format!("{DEPUTY}{path}")).header("content-type", media_type).body(body.into());
    let response = network.send(request.expect("a request")).await.expect("a response");
    serde_json::from_slice(response.body()).expect("JSON")
}
