//! An rmcp server whose tools do one thing each.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

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
use serde_json::json;

use crate::mcp::{Caller, Confirmation};

/// Tools that do one thing each.
#[derive(Clone, Default)]
pub(super) struct Fixture {
    pub(super) dropped: Arc<AtomicBool>,
}

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
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
        #[expect(deprecated, reason = "the shortest question")]
        let response = context.peer.list_roots().await;
        response.map_or_else(|_| "no reply".to_owned(), |_| "a reply".to_owned())
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
        let _working = SetOnDrop(Arc::clone(&self.dropped));
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

pub(super) const SCOPES: &[(&str, &[&str])] = &[
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
