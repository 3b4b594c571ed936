//! The log: which failures and refusals it names, and with which details.

mod servers;

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use deputy::log_context;
use http::StatusCode;
use pingone_sim::Failure;
use serde_json::json;
use tracing::{Event, Subscriber, subscriber::DefaultGuard};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Writer},
    },
    registry::LookupSpan,
};

use crate::world::{JSON, World, create_call, known_name, list_todos};

/// The log of this thread, at every level.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Starts a log. It ends when the guard is dropped.
    pub(super) fn begin() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .event_format(WithRequest(tracing_subscriber::fmt::format().with_ansi(false)))
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// Lines with the fields of their request, as hosts write them.
struct WithRequest(Format);

impl<S, N> FormatEvent<S, N> for WithRequest
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        log_context::for_each_field(|name, value| line = format!("{} {name}={value:?}", line.trim_end()));
        writeln!(out, "{}", line.trim_end())
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn api_refusal_is_logged_with_method_url_and_status() {
    let (log, _logging) = Log::begin();
    let world = World::with(&[("API_URL", "https://todo.example/v2")]);
    let token = world.connected().await.access;
    world.call(&token, "toggle_todo_status", json!({ "id": "a", "completed": true })).await;
    let text = log.text();
    for (what, request) in [
        (
            "the API responded with an error",
            r#"method=PATCH url="https://todo.example/v2/api/todos/a" status=404"#,
        ),
        ("is API_URL right?", r#"method=GET path="/api/todos" status=404"#),
        ("a tool call ended with an error", "toggle_todo_status"),
    ] {
        assert!(text.lines().any(|line| line.contains(what) && line.contains(request)), "{what}\n{text}");
    }
}

#[tokio::test]
async fn unusable_scope_or_tool_is_named_at_the_start() {
    let (log, _logging) = Log::begin();
    let _world = World::with(&[("API_SCOPES", "todo:read"), ("UNCONFIRMED_TOOLS", "delete_todos")]);
    let text = log.text();
    for (what, name) in
        [("API_SCOPES does not have", "todo:write"), ("UNCONFIRMED_TOOLS names", "delete_todos")]
    {
        assert!(text.lines().any(|line| line.contains(what) && line.contains(name)), "{what}\n{text}");
    }
    assert!(!text.contains("scope=\"todo:read\""), "{text}");
}

#[tokio::test]
async fn every_refusal_is_logged_with_its_cause() {
    let (log, _logging) = Log::begin();
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    world.get(&format!("/callback?code=y&state={}", "x".repeat(43))).await;
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    world.browser().submit(&page, &[], "approve").await;
    let mut again = browser.clone();
    browser.submit(&page, &[], "approve").await;
    assert_eq!(again.submit(&page, &[], "approve").await.status, StatusCode::CONFLICT);
    world.pingone.force(Failure::IdTokenClaim("nonce".into(), json!("another")));
    world.log_in_to(&mut world.browser(), &client).await;
    world.pingone.force(Failure::CallbackError("access_denied".into()));
    world.log_in_to(&mut world.browser(), &client).await;
    let code = world.code(&client).await;
    for status in [StatusCode::OK, StatusCode::BAD_REQUEST] {
        assert_eq!(world.redeem(&client, &code).await.status, status);
    }
    let text = log.text();
    for (what, why) in [
        ("callback refused", "This login was not started by this server"),
        ("approval refused", "This page was not opened in this browser"),
        ("approval refused", "This page was already used"),
        ("login failed", "nonce is not the one of this login"),
        ("login refused", "the user declined at PingOne"),
        ("token request refused", "code"),
        ("grant ended", "replayed"),
    ] {
        assert!(text.lines().any(|line| line.contains(what) && line.contains(why)), "{what}: {why}\n{text}");
    }
}

#[tokio::test]
async fn refused_origin_is_logged_and_a_missing_token_at_debug() {
    let (log, _logging) = Log::begin();
    let world = World::new();
    let headers = [JSON, ("origin", "https://evil.example")];
    assert_eq!(world.request("POST", "/mcp", &headers, "{}").await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.request("POST", "/mcp", &[JSON], "{}").await.status, StatusCode::UNAUTHORIZED);
    let text = log.text();
    for (level, reason) in [("INFO", "Origin"), ("DEBUG", "log in there")] {
        let is_meant = |line: &str| line.contains("MCP request refused") && line.contains(reason);
        assert!(text.lines().any(|line| line.contains(level) && is_meant(line)), "{reason}\n{text}");
    }
}

#[tokio::test]
async fn token_sent_as_client_id_is_not_logged() {
    let (log, _logging) = Log::begin();
    let world = World::new();
    let tokens = world.connected().await;
    let unknown = "AAAAAAAAAAAAAAAAAAAAAA";
    for id in [&tokens.refresh, &tokens.access, unknown] {
        assert_eq!(world.get(&world.authorize_path(id, &[])).await.status, StatusCode::BAD_REQUEST);
    }
    let text = log.text();
    assert!(text.contains(unknown), "{text}");
    assert!(!text.contains(&tokens.refresh[..20]) && !text.contains(&tokens.access[..20]), "{text}");
}

#[tokio::test]
async fn line_of_the_log_names_its_request() {
    let (log, _logging) = Log::begin();
    let world = World::new();
    let tokens = world.connected().await;
    let response = world.call(&tokens.access, "get_my_todo_list", json!({})).await;
    let request = response.header("x-request-id");
    let text = log.text();
    let line = text.lines().find(|line| line.contains("the API responded")).expect("a line");
    let grant = world.audited().await.last().expect("an event")["grant"].clone();
    for field in [
        format!("request=\"{request}\""),
        format!("grant={grant}"),
        format!("client=\"{}\"", known_name(&tokens.client)),
        "name=\"Test client\"".to_owned(),
        "user=\"a11ce000-0000-4000-8000-000000000001\"".to_owned(),
        "mcp_method=\"tools/call\" tool=\"get_my_todo_list\"".to_owned(),
        "status=200 ms=0".to_owned(),
    ] {
        assert!(line.contains(&field), "{field} is not in {line}");
    }
    let login = |line: &&str| line.contains("login ") && !line.contains("reference=");
    assert_eq!(text.lines().find(login), None);
}

#[tokio::test]
async fn line_of_a_call_in_a_batch_names_its_own_tool() {
    let (log, _logging) = Log::begin();
    let world = World::new();
    let token = format!("Bearer {}", world.connected().await.access);
    let missing = json!({ "name": "toggle_todo_status", "arguments": { "id": "a", "completed": true } });
    let batch = json!([
        create_call(),
        { "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": missing },
    ]);
    let response =
        world.request("POST", "/mcp", &[JSON, ("authorization", &token)], &batch.to_string()).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.text);
    let text = log.text();
    let refused = text.lines().find(|line| line.contains("a tool call ended with an error")).expect("a line");
    assert!(
        refused.contains("tool=\"toggle_todo_status\"") && !refused.contains("create_new_todo"),
        "{refused}"
    );
}

#[tokio::test]
async fn username_is_logged_only_if_configured() {
    for (setting, is_logged) in [("on", true), ("off", false), ("", false)] {
        let (log, _logging) = Log::begin();
        let world = World::with(&[("LOG_USERNAMES", setting)]);
        let tokens = world.connected().await;
        world.sign_in_to_agents(&mut world.browser(), "alice").await;
        list_todos(&world, &tokens.access).await;
        let text = log.text();
        for message in ["login finished", "signed in to Your agents", "the API responded"] {
            let line = text.lines().find(|line| line.contains(message));
            let line = line.unwrap_or_else(|| panic!("{message} in {text}"));
            assert!(line.contains(" user="), "{line}");
            assert_eq!(line.contains(" username=\"alice\""), is_logged, "{setting}: {line}");
        }
        assert!(is_logged || !text.contains("alice\""), "{text}");
    }
}

#[tokio::test]
async fn response_has_the_id_that_a_proxy_gave_the_request() {
    let world = World::new();
    let id_of = async |given: &str| {
        world.request("GET", "/health", &[("x-request-id", given)], "").await.header("x-request-id")
    };
    assert_eq!(id_of("01HZX-9f.8_7=").await, "01HZX-9f.8_7=");
    let long = "x".repeat(65);
    for refused in ["", "two words", "a\u{e9}", "<script>", &long] {
        let id = id_of(refused).await;
        assert!(id.len() == 16 && id != refused, "{refused} {id}");
    }
    let [first, second] = [id_of("").await, id_of("").await];
    assert_ne!(first, second);
}

/// A server without a way out to the Internet, on which the largest clients cannot connect.
#[tokio::test]
async fn unreachable_client_document_is_a_warning_with_a_remedy() {
    let (log, _logging) = Log::begin();
    let world = World::new();
    let page = world.get(&world.authorize_path("https://app.example/client.json", &[])).await;
    assert!(page.text.contains("tell the operator of this server"), "{}", page.text);
    let text = log.text();
    let line = text.lines().find(|line| line.contains("no client metadata document could be fetched yet"));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("WARN") && line.contains("CLIENT_ID_METADATA_DOCUMENTS=off"), "{line}");
}

/// A stranger can name an address that does not respond.
#[tokio::test]
async fn unreachable_document_is_no_warning_after_another_came() {
    let (log, _logging) = Log::begin();
    let world = World::new();
    world.network.serve("https://app.example", axum::Router::new());
    world.get(&world.authorize_path("https://app.example/client.json", &[])).await;
    world.get(&world.authorize_path("https://other.example/client.json", &[])).await;
    let text = log.text();
    assert!(text.contains("a document of a client could not be fetched"), "{text}");
    assert!(!text.contains("CLIENT_ID_METADATA_DOCUMENTS"), "{text}");
}
