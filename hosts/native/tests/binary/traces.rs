//! Spans of `deputy serve` at a collector, with a simulated PingOne and an API that tells what it received.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use axum::{Router, body::to_bytes, extract::Request};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use harness::{browser::Browser, network::Network, remote::Remote};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value as AnyValue,
    trace::v1::{Span, span::SpanKind},
};
use pingone_sim::{SimConfig, Simulator, SystemEnvironment};
use prost::Message as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::net::TcpListener;
use url::Url;

use crate::support::{READY, Running, deputy, free_ports};

#[tokio::test(flavor = "multi_thread")]
async fn tool_call_has_a_span_with_the_api_request_below() {
    let mut world = World::start(&[]).await;
    let token = world.log_in().await;
    world.call(&token, Some(REMOTE), &json!({})).await;
    let spans = world.spans();
    let trace = |span: &&Span| hex(&span.trace_id) == REMOTE[3..35];
    let [http, mcp, api] = [SpanKind::Server, SpanKind::Server, SpanKind::Client];
    let in_trace: Vec<_> = spans.iter().filter(trace).collect();
    assert_eq!(in_trace.len(), 3, "{in_trace:?}");
    let http = named(&spans, "POST /mcp", http, trace);
    let mcp = named(&spans, "tools/call get_my_todo_list", mcp, trace);
    let api = named(&spans, "GET", api, trace);
    assert_eq!(hex(&http.parent_span_id), REMOTE[36..52]);
    assert_eq!((&mcp.parent_span_id, &api.parent_span_id), (&http.span_id, &mcp.span_id));
    assert_eq!(attribute(mcp, "mcp.method.name"), "tools/call");
    assert_eq!(attribute(mcp, "gen_ai.tool.name"), "get_my_todo_list");
    assert_eq!(attribute(mcp, "mcp.protocol.version"), "2025-11-25");
    assert_eq!(
        (attribute(http, "http.response.status_code"), attribute(api, "peer.service")),
        ("200".into(), "api".into())
    );
    assert_eq!(attribute(http, "deputy.grant").len(), 32);
    let continued = format!("00-{}-{}-01", hex(&api.trace_id), hex(&api.span_id));
    assert_eq!(world.at_api(), [continued]);
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_that_an_mcp_request_names_is_continued() {
    let mut world = World::start(&[]).await;
    let token = world.log_in().await;
    world.call(&token, None, &json!({ "traceparent": REMOTE })).await;
    let spans = world.spans();
    let any = |_: &&Span| true;
    let mcp = named(&spans, "tools/call get_my_todo_list", SpanKind::Server, any);
    assert_eq!((hex(&mcp.trace_id), hex(&mcp.parent_span_id)), (REMOTE[3..35].into(), REMOTE[36..52].into()));
    let linked = |span: &&Span| span.span_id == mcp.links[0].span_id;
    assert_ne!(named(&spans, "POST /mcp", SpanKind::Server, linked).trace_id, mcp.trace_id);
    assert!(world.at_api()[0].starts_with(&REMOTE[..35]), "{:?}", world.at_api());
}

#[tokio::test(flavor = "multi_thread")]
async fn callback_has_spans_of_requests_to_pingone() {
    let mut world = World::start(&[]).await;
    world.log_in().await;
    let spans = world.spans();
    let callback = named(&spans, "GET /callback", SpanKind::Server, |_| true);
    let below = |span: &&Span| span.parent_span_id == callback.span_id;
    for purpose in ["POST code", "GET user_info"] {
        let span = named(&spans, purpose, SpanKind::Client, below);
        assert_eq!(attribute(span, "peer.service"), "pingone");
        let continued = format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id));
        assert!(world.at_pingone().contains(&continued), "{purpose}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_contain_no_token_code_argument_or_user() {
    let mut world = World::start(&[]).await;
    let token = world.log_in().await;
    world.call(&token, None, &json!({})).await;
    world
        .send(&token, None, json!({ "method": "a-private-method", "params": { "name": "a-private-name" } }))
        .await;
    world.get(&format!("/a-private-path/{token}?code=x")).await;
    world.spans();
    let exported = world.exported.lock().unwrap().concat();
    let exported = String::from_utf8_lossy(&exported);
    assert!(exported.contains("get_my_todo_list"));
    let secret = &world.pingone.application.client_secret;
    for private in [
        &*token,
        secret,
        "a-private",
        "alice",
        "Alice",
        "eyJ",
        "code=",
        "/api/todos",
        "mcp.session",
        "dpa_",
        "dpr_",
    ] {
        assert!(!exported.contains(private), "{private}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sampled_flag_of_a_request_does_not_decide() {
    let mut world = World::start(&[("OTEL_TRACES_SAMPLER_ARG", "0")]).await;
    let token = world.log_in().await;
    world.call(&token, Some(REMOTE), &json!({})).await;
    assert_eq!(world.spans(), []);
    assert!(world.at_api()[0].ends_with("-00"), "{:?}", world.at_api());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_a_traced_request_have_its_trace() {
    for format in ["text", "json"] {
        let mut world = World::start(&[("LOG_FORMAT", format)]).await;
        let token = world.log_in().await;
        world.call(&token, Some(REMOTE), &json!({})).await;
        let log = world.stopped();
        let field = if format == "text" { " trace_id=\"" } else { ",\"trace_id\":\"" };
        let traced = format!("{field}{}\"", &REMOTE[3..35]);
        for message in ["the API responded", "code redeemed"] {
            let line = log.lines().find(|line| line.contains(message));
            let line = line.unwrap_or_else(|| panic!("{message} in {log}"));
            assert!(line.contains(field), "{line}");
            assert_eq!(line.contains(&traced), message == "the API responded", "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_no_trace_is_continued() {
    let mut world = World::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).await;
    let token = world.log_in().await;
    world.call(&token, Some(REMOTE), &json!({})).await;
    assert_eq!(world.at_api(), [String::new()]);
    assert!(!world.stopped().contains("trace_id"));
    assert!(world.exported.lock().unwrap().is_empty());
}

#[test]
fn invalid_variable_of_traces_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in [("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"), ("OTEL_TRACES_SAMPLER", "all")] {
        let mut command = crate::support::serve(folder.path(), 0);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:9").env(name, value);
        let output = crate::support::run(command);
        let text = crate::support::stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(name), "{text}");
    }
}

/// Values of the header `traceparent`, or the empty text, of each request.
type Received = Arc<Mutex<Vec<String>>>;

struct World {
    port: u16,
    pingone: SimConfig,
    exported: Arc<Mutex<Vec<Bytes>>>,
    at_api: Received,
    at_pingone: Received,
    client: Remote,
    running: Running,
    _folder: TempDir,
}

impl World {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [port, pingone_port] = free_ports();
        let (at_api, at_pingone) = (Received::default(), Received::default());
        let exported = Arc::<Mutex<Vec<Bytes>>>::default();
        let public_url = format!("http://localhost:{port}");
        let origin = format!("http://localhost:{pingone_port}");
        let pingone = SimConfig::demo(&origin, &format!("{public_url}/callback"), "https://api.example");
        let simulator = Simulator::new(pingone.clone(), Arc::new(SystemEnvironment)).router();
        listen(pingone_port, noting(simulator, &at_pingone)).await;
        let todos = Router::new().fallback(async || r#"{"todos":[]}"#);
        let api = listen(0, noting(todos, &at_api)).await;
        let collect = Arc::clone(&exported);
        let collector = Router::new().fallback(async move |request: Request| {
            assert_eq!(request.uri().path(), "/v1/traces");
            let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
            collect.lock().unwrap().push(body);
        });
        let collector = listen(0, collector).await;
        let mut command = deputy(folder.path(), &["serve", "--listen", &format!("127.0.0.1:{port}")]);
        command.envs([
            ("API_IDENTIFIER", "https://api.example"),
            ("API_URL", &format!("http://localhost:{api}")),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://localhost:{collector}")),
            ("PINGONE_CLIENT_ID", &pingone.application.client_id),
            ("PINGONE_CLIENT_SECRET", &pingone.application.client_secret),
            ("PINGONE_DV_POLICY_ID", &pingone.policy_id),
            ("PINGONE_ISSUER", &pingone.issuer()),
            ("SERVER_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        ]);
        command.envs(variables.iter().copied());
        let client = Remote::at(&Url::parse(&public_url).unwrap());
        let running = Running::start(command, READY);
        Self { port, pingone, exported, at_api, at_pingone, client, running, _folder: folder }
    }

    /// Logs in, and returns an access token.
    async fn log_in(&self) -> String {
        let registration = json!({ "redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none" });
        let registered = self.post("/register", "application/json", registration.to_string()).await;
        let client = registered["client_id"].as_str().unwrap();
        let network = Network::default();
        let deputy = format!("http://localhost:{}", self.port);
        for origin in [&deputy, &self.pingone.base_url] {
            network.serve(origin, Remote::at(&Url::parse(origin).unwrap()).router());
        }
        let mut browser = Browser::new(network);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let query = format!(
            "response_type=code&client_id={client}&redirect_uri=http%3A%2F%2F127.0.0.1%3A33418%2Fcallback\
             &code_challenge={challenge}&code_challenge_method=S256"
        );
        let approval = browser.open(&format!("{deputy}/authorize?{query}")).await;
        let sign_on = browser.submit(&approval, &[], "approve").await;
        let credentials = [("username", "alice"), ("password", "Alice-demo-1")];
        let consent = browser.submit(&sign_on, &credentials, "SIGNON").await;
        let arrival = browser.submit(&consent, &[], "APPROVE").await;
        let code = arrival.query("code").unwrap_or_else(|| panic!("{} {}", arrival.url, arrival.text));
        let form = format!(
            "grant_type=authorization_code&client_id={client}&code={code}&code_verifier={VERIFIER}\
             &redirect_uri=http%3A%2F%2F127.0.0.1%3A33418%2Fcallback"
        );
        let tokens = self.post("/token", "application/x-www-form-urlencoded", form).await;
        tokens["access_token"].as_str().unwrap_or_else(|| panic!("{tokens}")).to_owned()
    }

    /// Calls a tool that sends one request to the API.
    async fn call(&self, token: &str, traceparent: Option<&str>, meta: &Value) {
        let params = json!({ "name": "get_my_todo_list", "arguments": {}, "_meta": meta });
        let response =
            self.send(token, traceparent, json!({ "method": "tools/call", "params": params })).await;
        assert!(response["result"]["structuredContent"]["todos"].is_array(), "{response}");
    }

    async fn send(&self, token: &str, traceparent: Option<&str>, mut message: Value) -> Value {
        (message["jsonrpc"], message["id"]) = (json!("2.0"), json!("a-private-id"));
        let mut request = Request::post("/mcp")
            .header("accept", "application/json, text/event-stream")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2025-11-25");
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        self.json(request.body(message.to_string().into()).unwrap()).await
    }

    async fn post(&self, path: &str, content_type: &str, body: String) -> Value {
        self.json(Request::post(path).header("content-type", content_type).body(body.into()).unwrap()).await
    }

    async fn get(&self, path: &str) {
        self.client.send(Request::get(path).body(axum::body::Body::empty()).unwrap()).await;
    }

    async fn json(&self, request: Request) -> Value {
        let response = self.client.send(request).await;
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&body)))
    }

    /// Stops Deputy, which sends the last spans. Returns its log.
    fn stopped(&mut self) -> String {
        self.running.signal("TERM");
        let (status, _, log) = self.running.ended();
        assert!(status.success() && !log.contains("collector"), "{log}");
        log
    }

    /// Stops Deputy, and returns all spans.
    fn spans(&mut self) -> Vec<Span> {
        self.stopped();
        let exported = self.exported.lock().unwrap();
        let requests = exported.iter().map(|bytes| ExportTraceServiceRequest::decode(bytes.clone()).unwrap());
        let resources = requests.flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    fn at_api(&self) -> Vec<String> {
        self.at_api.lock().unwrap().clone()
    }

    fn at_pingone(&self) -> Vec<String> {
        self.at_pingone.lock().unwrap().clone()
    }
}

/// `router`, whose requests are noted.
fn noting(router: Router, received: &Received) -> Router {
    let received = Arc::clone(received);
    router.layer(axum::middleware::map_request(move |request: Request| {
        let value = request.headers().get("traceparent").map(|value| value.to_str().unwrap().to_owned());
        received.lock().unwrap().push(value.unwrap_or_default());
        std::future::ready(request)
    }))
}

async fn listen(port: u16, router: Router) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

/// The one span with this name and kind that `is_meant`.
fn named<'a>(spans: &'a [Span], name: &str, kind: SpanKind, is_meant: impl Fn(&&Span) -> bool) -> &'a Span {
    let found: Vec<_> =
        spans.iter().filter(|span| span.name == name && span.kind() == kind).filter(is_meant).collect();
    let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
    assert_eq!(found.len(), 1, "{name} in {names:?}");
    found[0]
}

fn attribute(span: &Span, name: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == name);
    match found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(AnyValue::StringValue(text)) => text.clone(),
        Some(AnyValue::IntValue(number)) => number.to_string(),
        other => panic!("{name}: {other:?} in {span:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}

const REMOTE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// Nothing listens there.
const REDIRECT_URI: &str = "http://127.0.0.1:33418/callback";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
