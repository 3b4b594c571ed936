//! Instructions of the hot paths, on a host in memory, with a limit on each: what they cost without sockets and disks. Unlike
//! time, they are nearly the same on every machine. `./dev instructions` counts them.
//!
//! Raise a limit where a change is worth it, and lower it after an improvement: it is a tenth above what was counted.

#![expect(missing_docs, reason = "the macros make items without documentation")]

use std::{hint::black_box, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use deputy::{
    config::Config,
    host::{BoxFuture, Clock as _, SecureRandom as _},
};
use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use harness::{browser::Browser, memory::MemoryHost, network::Network};
use http::{Request, StatusCode, header};
use pingone_sim::{SimConfig, SimEnvironment, Simulator};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::runtime::{self, Runtime};
use tower_service::Service as _;
use url::form_urlencoded;

#[library_benchmark(setup = prepare)]
#[bench::unauthenticated(args = (Path::Unauthenticated), config = at_most(41_400))]
#[bench::list(args = (Path::List), config = at_most(237_000))]
#[bench::call(args = (Path::Call), config = at_most(377_600))]
#[bench::refresh(args = (Path::Refresh), config = at_most(598_000))]
fn respond(mut prepared: Prepared) -> Prepared {
    let (status, body) = prepared.send();
    prepared.response = (status, black_box(body));
    prepared
}

library_benchmark_group!(name = hot_paths, benchmarks = respond);
main!(library_benchmark_groups = hot_paths);

#[derive(Clone, Copy, Debug)]
enum Path {
    /// A request to the MCP endpoint without a token.
    Unauthenticated,
    List,
    /// A call of a tool that sends one request to the API.
    Call,
    Refresh,
}

fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(Callgrind::default().hard_limits([(EventKind::Ir, instructions)]));
    config
}

/// A request that is about to be sent, not for the first time, to a Deputy with a grant.
struct Prepared {
    runtime: Runtime,
    deputy: Router,
    request: Option<Request<Body>>,
    response: (StatusCode, Bytes),
}

impl Prepared {
    fn send(&mut self) -> (StatusCode, Bytes) {
        let request = self.request.take().expect("a request was prepared");
        let deputy = &mut self.deputy;
        self.runtime.block_on(async {
            let Ok(response) = deputy.call(request).await;
            let status = response.status();
            (status, to_bytes(response.into_body(), usize::MAX).await.expect("a body in memory"))
        })
    }

    fn send_now(&mut self, request: Request<Body>, status: StatusCode) -> Value {
        self.request = Some(request);
        let (sent, body) = self.send();
        assert_eq!(sent, status, "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap_or_default()
    }
}

/// The clock and the randomness of the host, for the simulator.
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

fn prepare(path: Path) -> Prepared {
    let network = Network::default();
    let host = MemoryHost::new(1, network.clone());
    let pingone = SimConfig::demo(PINGONE, &format!("{DEPUTY}/callback"), API);
    network.serve(
        PINGONE,
        Simulator::new(pingone.clone(), Arc::new(Environment(host.with_seed(PINGONE_SEED)))).router(),
    );
    let todos = json!({ "todos": [{ "id": "1", "text": "buy milk", "completed": false }] });
    network.serve(API, Router::new().route("/api/todos", get(async || Json(todos))));
    let config = Config::parse(|name| variable(name, &pingone)).expect("a configuration without mistakes");
    let deputy = todo::deputy(config, host.host()).router();
    network.serve(DEPUTY, deputy.clone());

    let runtime = runtime::Builder::new_current_thread().build().expect("a runtime without sockets");
    let mut prepared = Prepared { runtime, deputy, request: None, response: Default::default() };
    let registration = json!({ "redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none" });
    let registered =
        prepared.send_now(post("/register", JSON, registration.to_string()), StatusCode::CREATED);
    let client = registered["client_id"].as_str().expect("a client id");
    let code = prepared.runtime.block_on(log_in(network, client));
    let redemption = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER)];
    let mut tokens = prepared.send_now(token_request(client, &redemption), StatusCode::OK);

    // The first request of its kind pays for what is kept.
    for _ in 0..2 {
        let (request, status) = request(path, client, &tokens);
        let response = prepared.send_now(request, status);
        if matches!(path, Path::Refresh) {
            tokens = response;
        }
    }
    prepared.request = Some(request(path, client, &tokens).0);
    prepared
}

fn request(path: Path, client: &str, tokens: &Value) -> (Request<Body>, StatusCode) {
    let token = |name: &str| tokens[name].as_str().expect("a token").to_owned();
    let rpc = |method: &str, params: Value| {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut request = post("/mcp", JSON, message.to_string());
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, "application/json, text/event-stream".parse().expect("a header"));
        headers.insert("mcp-protocol-version", "2025-11-25".parse().expect("a header"));
        request
    };
    let authorized = |mut request: Request<Body>| {
        let bearer = format!("Bearer {}", token("access_token"));
        request.headers_mut().insert(header::AUTHORIZATION, bearer.parse().expect("a header"));
        (request, StatusCode::OK)
    };
    match path {
        Path::Unauthenticated => (rpc("tools/list", json!({})), StatusCode::UNAUTHORIZED),
        Path::List => authorized(rpc("tools/list", json!({}))),
        Path::Call => authorized(rpc("tools/call", json!({ "name": "get_my_todo_list", "arguments": {} }))),
        Path::Refresh => {
            let parameters = [("grant_type", "refresh_token"), ("refresh_token", &token("refresh_token"))];
            (token_request(client, &parameters), StatusCode::OK)
        }
    }
}

/// Approves the client, and logs in at PingOne. Returns the code.
async fn log_in(network: Network, client: &str) -> String {
    let mut browser = Browser::new(network);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let query = form(&[
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", REDIRECT_URI),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    let approval = browser.open(&format!("{DEPUTY}/authorize?{query}")).await;
    let sign_on = browser.submit(&approval, &[], "approve").await;
    let consent =
        browser.submit(&sign_on, &[("username", "alice"), ("password", "Alice-demo-1")], "SIGNON").await;
    let arrival = browser.submit(&consent, &[], "APPROVE").await;
    arrival.query("code").unwrap_or_else(|| panic!("no code at {}", arrival.url))
}

fn token_request(client: &str, parameters: &[(&str, &str)]) -> Request<Body> {
    let own = [("client_id", client), ("redirect_uri", REDIRECT_URI)];
    post("/token", "application/x-www-form-urlencoded", form(&[&own, parameters].concat()))
}

fn post(path: &str, content_type: &str, body: String) -> Request<Body> {
    let request = Request::post(path).header(header::HOST, "deputy.example");
    let request = request.header(header::CONTENT_TYPE, content_type);
    request.header(header::CONTENT_LENGTH, body.len()).body(Body::from(body)).expect("a request")
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn variable(name: &str, pingone: &SimConfig) -> Option<String> {
    Some(match name {
        "API_IDENTIFIER" | "API_URL" => API.to_owned(),
        "COOKIE_ENCRYPTION_KEY" => "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned(),
        "PINGONE_CLIENT_ID" => pingone.application.client_id.clone(),
        "PINGONE_CLIENT_SECRET" => pingone.application.client_secret.clone(),
        "PINGONE_DV_POLICY_ID" => pingone.policy_id.clone(),
        "PINGONE_ISSUER" => pingone.issuer(),
        "PUBLIC_URL" => DEPUTY.to_owned(),
        _ => return None,
    })
}

/// PingOne's keys are found in a third of the usual time with it.
const PINGONE_SEED: u64 = 87;

const DEPUTY: &str = "https://deputy.example";
const PINGONE: &str = "https://auth.pingone.eu";
const API: &str = "https://todo.example";
/// Nothing listens there.
const REDIRECT_URI: &str = "http://127.0.0.1:33418/callback";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

const JSON: &str = "application/json";
