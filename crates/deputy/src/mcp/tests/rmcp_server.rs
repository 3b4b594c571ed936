//! An rmcp server behind the front.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http_body_util::BodyExt as _;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    handler::server::{
        tool::{InputResponses, RequestState},
        wrapper::Parameters,
    },
    model::{
        CacheScope, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult, CompletionInfo,
        ContentBlock, Implementation, InputRequiredResult, ListPromptsResult, ListResourcesResult,
        PaginatedRequestParams, ProgressNotificationParam, Prompt, ServerCapabilities, ServerConfig,
    },
    schemars::{self, JsonSchema},
    service::RequestContext,
    tool, tool_handler, tool_router,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, STATELESS, Talk, answer, meta, post, request, response, send, send_in};
use crate::{
    host::BoxFuture,
    mcp::{Caller, Confirmation, Reply, RmcpHandler, RpcError, Rules, StreamableHttp, rmcp},
};

/// Tools that do one thing each.
#[derive(Clone, Default)]
struct Fixture {
    dropped: Arc<AtomicBool>,
}

struct Working(Arc<AtomicBool>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[derive(Deserialize, JsonSchema)]
struct Region {
    #[schemars(extend("x-mcp-header" = "Region"))]
    region: String,
}

#[tool_router]
impl Fixture {
    #[tool(description = "Asks the client for its roots.")]
    async fn asks(&self, context: RequestContext<RoleServer>) -> String {
        #[expect(deprecated, reason = "the shortest question there is")]
        let answer = context.peer.list_roots().await;
        answer.map_or_else(|_| "no answer".to_owned(), |_| "an answer".to_owned())
    }

    #[tool(description = "Asks for input twice, then repeats it.")]
    async fn confirms(
        &self,
        InputResponses(responses): InputResponses,
        RequestState(state): RequestState,
    ) -> Result<CallToolResponse, ErrorData> {
        let round = state.map_or(0, |state| state.len());
        if round == 2 {
            let said = json!(responses).to_string();
            return Ok(CallToolResult::success(vec![ContentBlock::text(said)]).into());
        }
        let params = json!({ "message": format!("Sure {round}?"), "requestedSchema": { "type": "object", "properties": {} } });
        let question = json!({ "sure": { "method": "elicitation/create", "params": params } });
        let questions = serde_json::from_value(question).expect("questions");
        Ok(InputRequiredResult::new(Some(questions), Some("x".repeat(round + 1))).into())
    }

    #[tool(description = "Asks for a yes of a client that can ask.")]
    async fn deletes(
        &self,
        InputResponses(responses): InputResponses,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let text = |text: String| Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into());
        let confirmation = context.extensions.get::<Caller>().expect("a caller").confirmation();
        if confirmation != Confirmation::Ask {
            let elicitation = context.client_capabilities().and_then(|able| able.elicitation);
            return text(format!("{confirmation:?} {elicitation:?}"));
        }
        if responses.is_some() {
            return text("deleted".to_owned());
        }
        let params = json!({ "message": "Sure?", "requestedSchema": { "type": "object", "properties": {} } });
        let question = json!({ "sure": { "method": "elicitation/create", "params": params } });
        let questions = serde_json::from_value(question).expect("questions");
        Ok(InputRequiredResult::new(Some(questions), None).into())
    }

    #[tool(description = "Reports progress and never ends.")]
    async fn forever(&self, context: RequestContext<RoleServer>) -> Result<String, ErrorData> {
        let _working = Working(Arc::clone(&self.dropped));
        report(&context, 1.0).await?;
        std::future::pending().await
    }

    #[tool(description = "Has no entry among the scopes.")]
    async fn misspelled(&self) -> String {
        unreachable!("it is not called")
    }

    #[tool(description = "Reports progress twice.")]
    async fn progress(&self, context: RequestContext<RoleServer>) -> Result<String, ErrorData> {
        report(&context, 1.0).await?;
        report(&context, 2.0).await?;
        Ok("done".to_owned())
    }

    #[tool(description = "Repeats its region.")]
    async fn region(&self, Parameters(Region { region }): Parameters<Region>) -> String {
        region
    }

    #[tool(description = "Needs a scope.")]
    async fn secret(&self) -> String {
        self.dropped.store(true, Ordering::SeqCst);
        "secret".to_owned()
    }

    #[tool(description = "Says who calls.")]
    async fn who(&self, context: RequestContext<RoleServer>) -> String {
        assert!(context.extensions.get::<http::request::Parts>().is_none(), "a tool sees no token");
        let caller = context.extensions.get::<Caller>().expect("a caller");
        format!("{} {}", caller.user().sub, context.protocol_version().expect("a version"))
    }
}

async fn report(context: &RequestContext<RoleServer>, value: f64) -> Result<(), ErrorData> {
    let token = context.meta.get_progress_token().expect("a progress token");
    let sent = context.peer.notify_progress(ProgressNotificationParam::new(token, value)).await;
    sent.map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

#[tool_handler]
impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().build();
        ServerConfig::new(capabilities).with_server_info(Implementation::new("fixture", "1"))
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let values = vec![format!("{}ice", request.argument.value)];
        Ok(CompleteResult::new(CompletionInfo::new(values).expect("few")))
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let page = request.and_then(|request| request.cursor);
        let name = page.clone().unwrap_or_else(|| "first".to_owned());
        let mut result = ListPromptsResult::with_all_items(vec![Prompt::new(name, None::<String>, None)]);
        result.next_cursor = page.is_none().then(|| "second".to_owned());
        Ok(result)
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let mut result = ListResourcesResult::with_all_items(Vec::new());
        result.cache_scope = Some(CacheScope::Public);
        result.ttl_ms = Some(60_000);
        Ok(result)
    }
}

const SCOPES: &[(&str, &[&str])] = &[
    ("asks", &[]),
    ("confirms", &[]),
    ("deletes", &[]),
    ("forever", &[]),
    ("misspeled", &[]),
    ("progress", &[]),
    ("region", &[]),
    ("secret", &["admin"]),
    ("test://secret", &["admin"]),
    ("who", &["read"]),
];

fn handler(fixture: &Fixture) -> Arc<RmcpHandler<Fixture>> {
    Arc::new(rmcp(fixture.clone()).require_all(SCOPES))
}

/// Asks by the rules of 2025-11-25.
async fn handshake(fixture: &Fixture, method: &str, params: Value) -> Reply {
    post(&handler(fixture), &[("mcp-protocol-version", "2025-11-25")], request(method, params)).await
}

/// Asks by the rules of 2026-07-28.
async fn stateless(method: &str, mut params: Value) -> Answer {
    let name = params["name"].as_str().unwrap_or_default().to_owned();
    for (key, value) in meta().as_object().unwrap() {
        params["_meta"][key] = value.clone();
    }
    let headers = [STATELESS, ("mcp-method", method), ("mcp-name", name.as_str())];
    answer(&handler(&Fixture::default()), &headers, request(method, params)).await
}

fn call(tool: &str) -> Value {
    json!({ "name": tool, "arguments": {}, "_meta": { "progressToken": "p" } })
}

async fn called(tool: &str) -> Answer {
    Answer::of(handshake(&Fixture::default(), "tools/call", call(tool)).await).await
}

#[tokio::test]
async fn initialize_agrees_on_what_was_asked_or_on_the_newest_handshake_revision() {
    for (asked, agreed) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("tomorrow", "2025-11-25"),
    ] {
        let info = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": asked, "capabilities": {}, "clientInfo": info });
        let initialize = request("initialize", params);
        let answer = answer(&handler(&Fixture::default()), &[], initialize).await.json();
        assert_eq!(answer["result"]["protocolVersion"], agreed, "{asked}");
        assert_eq!(answer["result"]["serverInfo"]["name"], "fixture");
    }
}

#[tokio::test]
async fn initialize_without_its_params_is_invalid() {
    let answer = answer(&handler(&Fixture::default()), &[], request("initialize", json!({}))).await;
    assert_eq!(answer.outcome(), (200, RpcError::INVALID_PARAMS));
}

#[tokio::test]
async fn a_tool_sees_its_caller_and_the_revision_but_no_token() {
    assert_eq!(called("who").await.json()["result"]["content"][0]["text"], "alice 2025-11-25");
    let answer = stateless("tools/call", call("who")).await;
    assert_eq!(answer.json()["result"]["content"][0]["text"], "alice 2026-07-28");
}

#[tokio::test]
async fn a_tool_without_its_scope_is_not_run() {
    let fixture = Fixture::default();
    let reply = handshake(&fixture, "tools/call", call("secret")).await;
    assert!(matches!(reply, Reply::InsufficientScope { required } if required == ["admin"]));
    assert!(!fixture.dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_resource_without_its_scope_is_not_read() {
    let params = json!({ "uri": "test://secret" });
    let reply = handshake(&Fixture::default(), "resources/read", params).await;
    assert!(matches!(reply, Reply::InsufficientScope { required } if required == ["admin"]));
}

#[tokio::test]
async fn a_tool_that_no_scopes_are_declared_for_is_not_called() {
    assert_eq!(called("misspelled").await.outcome(), (200, RpcError::INTERNAL_ERROR));
    assert_eq!(called("misspeled").await.outcome(), (200, RpcError::INVALID_PARAMS), "there is no such tool");
}

#[tokio::test]
async fn progress_through_the_peer_comes_before_the_result() {
    for answer in [called("progress").await, stateless("tools/call", call("progress")).await] {
        let events = answer.events();
        assert_eq!(events.len(), 3, "{}", answer.text);
        for (event, value) in events.iter().zip([1.0, 2.0]) {
            assert_eq!(event["params"], json!({ "progressToken": "p", "progress": value }));
        }
        assert_eq!(events[2]["result"]["content"][0]["text"], "done");
    }
}

#[tokio::test]
async fn dropping_the_stream_drops_the_tool() {
    let fixture = Fixture::default();
    let body = response(handshake(&fixture, "tools/call", call("forever")).await).into_body();
    assert!(!fixture.dropped.load(Ordering::SeqCst));
    drop(body);
    assert!(fixture.dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_tool_that_asks_the_client_is_told_that_it_cannot() {
    for answer in [called("asks").await, stateless("tools/call", call("asks")).await] {
        assert_eq!(answer.json()["result"]["content"][0]["text"], "no answer");
    }
}

/// The questions and the result of an [`exchange`].
async fn conversation(tool: &str, capabilities: Value, replies: &[Value]) -> (Vec<Value>, Value) {
    let (questions, mut message) = exchange(tool, capabilities, replies).await;
    (questions, message["result"].take())
}

/// Calls `tool` as a client that can do this, and answers each question with what is left of `replies`. The questions, and
/// the response.
async fn exchange(tool: &str, capabilities: Value, replies: &[Value]) -> (Vec<Value>, Value) {
    let handler = handler(&Fixture::default());
    let sleep = |_| -> BoxFuture<'static, ()> { Box::pin(std::future::pending()) };
    let front = StreamableHttp::new(handler, Arc::new(sleep), Rules::default());
    let talk = Arc::new(Talk::default());
    let info = json!({ "name": "test", "version": "1" });
    let params = json!({ "protocolVersion": "2025-06-18", "capabilities": capabilities, "clientInfo": info });
    let initialized = Answer::of(send(&front, &[], request("initialize", params)).await).await;
    let session = [("mcp-session-id", initialized.headers["mcp-session-id"].to_str().unwrap())];
    let called = send_in(talk.clone(), &front, &session, request("tools/call", call(tool))).await;
    let mut body = response(called).into_body();
    let (mut replies, mut questions) = (replies.iter(), Vec::new());
    loop {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let text = String::from_utf8(frame.to_vec()).unwrap();
        let message: Value = serde_json::from_str(text.split("data: ").nth(1).unwrap()).unwrap();
        if message.get("method").is_none() {
            return (questions, message);
        }
        let mut reply = json!({ "jsonrpc": "2.0", "id": message["id"] });
        let said = replies.next().unwrap();
        reply[if said.get("code").is_some() { "error" } else { "result" }] = said.clone();
        assert_eq!(Answer::of(send_in(talk.clone(), &front, &[], reply).await).await.status, 202);
        questions.push(message);
    }
}

#[tokio::test]
async fn a_tool_asks_a_client_through_its_rmcp_peer() {
    let roots = json!({ "roots": [] });
    let (questions, result) = conversation("asks", json!({ "roots": {} }), &[roots]).await;
    assert_eq!(questions[0]["method"], "roots/list");
    assert_eq!(result["content"][0]["text"], "an answer");
}

#[tokio::test]
async fn a_reply_of_another_shape_is_no_answer() {
    let (_, result) = conversation("asks", json!({ "roots": {} }), &[json!(7)]).await;
    assert_eq!(result["content"][0]["text"], "no answer");
}

#[tokio::test]
async fn a_tool_that_needs_input_asks_an_older_client_on_the_stream() {
    let replies = [json!({ "action": "accept", "content": { "n": 1 } }), json!({ "action": "decline" })];
    let (questions, result) = conversation("confirms", json!({ "elicitation": {} }), &replies).await;
    let asked: Vec<_> = questions.iter().map(|question| &question["params"]["message"]).collect();
    assert_eq!(asked, ["Sure 0?", "Sure 1?"]);
    assert_eq!(result["content"][0]["text"], json!({ "sure": { "action": "decline" } }).to_string());
    assert_eq!((result.get("resultType"), result.get("requestState")), (None, None));
}

#[tokio::test]
async fn tool_is_called_anew_when_its_client_cannot_be_asked() {
    let unknown = json!({ "code": RpcError::METHOD_NOT_FOUND, "message": "Method not found" });
    let (questions, result) = conversation("deletes", json!({ "elicitation": {} }), &[unknown]).await;
    assert_eq!(questions.len(), 1);
    assert_eq!(result["content"][0]["text"], "Unavailable None");
    let yes = json!({ "action": "accept" });
    let (questions, result) = conversation("deletes", json!({ "elicitation": {} }), &[yes]).await;
    assert_eq!((questions.len(), &result["content"][0]["text"]), (1, &json!("deleted")));
}

#[tokio::test]
async fn error_of_the_client_is_no_error_code_of_the_call() {
    for code in [-32000, -32001, RpcError::UNSUPPORTED_PROTOCOL_VERSION, 7] {
        let failed = json!({ "code": code, "message": "no window" });
        let (_, message) = exchange("confirms", json!({ "elicitation": {} }), &[failed]).await;
        let text = "the question to the client was not answered: no window";
        assert_eq!(message["error"], json!({ "code": RpcError::INTERNAL_ERROR, "message": text }));
    }
}

#[tokio::test]
async fn a_tool_that_needs_input_tells_an_older_client_that_it_cannot_give_it() {
    let answer = called("confirms").await;
    assert_eq!(answer.outcome(), (200, RpcError::MISSING_CLIENT_CAPABILITY));
}

#[tokio::test]
async fn discovery_names_revisions_capabilities_and_the_server() {
    let answer = stateless("server/discover", json!({})).await;
    let result = &answer.json()["result"];
    let versions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];
    assert_eq!(result["supportedVersions"], json!(versions));
    assert_eq!(result["capabilities"], json!({ "resources": {}, "tools": {} }));
    assert_eq!(
        result["_meta"]["io.modelcontextprotocol/serverInfo"],
        json!({ "name": "fixture", "version": "1" })
    );
    assert_eq!((&result["resultType"], &result["cacheScope"]), (&json!("complete"), &json!("private")));
    assert!(result["ttlMs"].is_u64());
}

#[tokio::test]
async fn every_stateless_result_is_complete_and_names_the_server() {
    for (method, params) in
        [("tools/list", json!({})), ("tools/call", call("who")), ("resources/list", json!({}))]
    {
        let answer = stateless(method, params).await;
        let result = &answer.json()["result"];
        assert_eq!(result["resultType"], "complete", "{method}");
        assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "fixture", "{method}");
    }
}

#[tokio::test]
async fn a_list_goes_on_where_its_cursor_points() {
    for (cursor, name, next) in [(None, "first", json!("second")), (Some("second"), "second", Value::Null)] {
        let params = cursor.map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }));
        let reply = Answer::of(handshake(&Fixture::default(), "prompts/list", params.clone()).await).await;
        for answer in [reply, stateless("prompts/list", params).await] {
            let result = &answer.json()["result"];
            assert_eq!((&result["prompts"][0]["name"], &result["nextCursor"]), (&json!(name), &next));
        }
    }
}

#[tokio::test]
async fn arguments_are_completed() {
    let params = json!({
        "ref": { "type": "ref/prompt", "name": "p" }, "argument": { "name": "who", "value": "al" },
    });
    let reply = Answer::of(handshake(&Fixture::default(), "completion/complete", params.clone()).await).await;
    for answer in [reply, stateless("completion/complete", params).await] {
        assert_eq!(answer.json()["result"]["completion"]["values"], json!(["alice"]), "{}", answer.text);
    }
}

#[tokio::test]
async fn lists_are_private_whatever_the_server_says_and_keep_their_time_to_live() {
    for (method, ttl) in [("tools/list", 0), ("resources/list", 60_000)] {
        let answer = stateless(method, json!({})).await;
        let result = &answer.json()["result"];
        assert_eq!((&result["cacheScope"], &result["ttlMs"]), (&json!("private"), &json!(ttl)), "{method}");
    }
}

#[tokio::test]
async fn a_handshake_revision_gets_no_member_of_the_stateless_one() {
    for (method, params) in
        [("tools/list", json!({})), ("resources/list", json!({})), ("tools/call", call("who"))]
    {
        let answer = Answer::of(handshake(&Fixture::default(), method, params).await).await;
        let result = &answer.json()["result"];
        for member in ["resultType", "ttlMs", "cacheScope", "_meta"] {
            assert_eq!(result.get(member), None, "{method}: {member}");
        }
    }
}

#[tokio::test]
async fn arguments_are_compared_with_their_headers_by_the_schema_of_the_tool() {
    let params = json!({ "name": "region", "arguments": { "region": "west" }, "_meta": meta() });
    for (header, outcome) in [("west", (200, 0)), ("", (400, RpcError::HEADER_MISMATCH))] {
        let headers =
            [STATELESS, ("mcp-method", "tools/call"), ("mcp-name", "region"), ("mcp-param-region", header)];
        let body = request("tools/call", params.clone());
        assert_eq!(
            answer(&handler(&Fixture::default()), &headers, body).await.outcome(),
            outcome,
            "{header}"
        );
    }
}

#[tokio::test]
async fn what_does_not_exist_is_named_by_code_in_both_eras() {
    let unknown = handshake(&Fixture::default(), "no/such", json!({ "a": 1 })).await;
    assert_eq!(Answer::of(unknown).await.outcome(), (200, RpcError::METHOD_NOT_FOUND));
    assert_eq!(stateless("no/such", json!({})).await.outcome(), (404, RpcError::METHOD_NOT_FOUND));
    assert_eq!(called("no_such_tool").await.outcome(), (200, RpcError::INVALID_PARAMS));
    let shapeless = handshake(&Fixture::default(), "tools/call", json!({ "name": 7 })).await;
    assert_eq!(Answer::of(shapeless).await.outcome(), (200, RpcError::INVALID_PARAMS));
}

#[tokio::test]
async fn ping_works_where_there_is_a_handshake() {
    let answer = Answer::of(handshake(&Fixture::default(), "ping", json!({})).await).await;
    assert_eq!(answer.json()["result"], json!({}));
}
