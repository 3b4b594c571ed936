//! What the official conformance suite expects of an MCP server, behind Deputy.
//!
//! The suite (`@modelcontextprotocol/conformance`) calls tools, prompts and resources by names of its own choosing and
//! judges what comes back over the wire. [`Fixture`] has them all, as an ordinary rmcp server: whatever HTTP, sessions,
//! sealing and asking back take is Deputy's, which is what is tested. `run.js` beside this crate runs the suite.

mod asking;
mod changes;
mod content;
mod input;
mod media;
mod prompts;
mod reports;
mod resources;
mod rounds;
mod schemas;

use std::sync::Arc;

use deputy::{Server, Wording, config::Config, host::Host, mcp::rmcp};
#[expect(
    deprecated,
    reason = "the suite sets the level of log entries where the protocol still has that"
)]
use rmcp::model::SetLevelRequestParams;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    handler::server::router::tool::ToolRouter,
    model::{
        CompleteRequestParams, CompleteResult, GetPromptRequestParams, GetPromptResponse, Implementation,
        ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, PaginatedRequestParams,
        ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig,
        SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams,
    },
    service::{RequestContext, SubscriptionContext},
    tool_handler,
};

use changes::Changes;

/// Deputy with the tools of the suite. None of them needs a scope, or calls the API.
pub fn server(config: Config, host: Arc<dyn Host>) -> Server {
    Server::new(config, host, Arc::new(rmcp(Fixture::new())), Wording::new("the conformance suite", &[]))
}

/// The server that the suite expects.
#[derive(Clone, Debug)]
pub struct Fixture {
    tools: ToolRouter<Self>,
    changes: Changes,
}

impl Fixture {
    /// A server that nobody listens to yet.
    pub fn new() -> Self {
        let tools = Self::asking()
            + Self::changing()
            + Self::content()
            + Self::reporting()
            + Self::rounds()
            + Self::schemas();
        Self { tools, changes: Changes::default() }
    }
}

impl Default for Fixture {
    fn default() -> Self {
        Self::new()
    }
}

type Context = RequestContext<RoleServer>;
type Page = Option<PaginatedRequestParams>;

#[tool_handler(router = self.tools)]
impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(capabilities())
            .with_server_info(Implementation::new("deputy-conformance", env!("CARGO_PKG_VERSION")))
    }

    async fn complete(&self, params: CompleteRequestParams, _: Context) -> Result<CompleteResult, ErrorData> {
        prompts::complete(params)
    }

    async fn get_prompt(
        &self,
        params: GetPromptRequestParams,
        _: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompts::get(params)
    }

    async fn list_prompts(&self, _: Page, _: Context) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(prompts::list()))
    }

    async fn list_resources(&self, _: Page, _: Context) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::list()))
    }

    async fn list_resource_templates(
        &self,
        _: Page,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(
        &self,
        params: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&params.uri).map(ReadResourceResponse::Complete)
    }

    async fn subscribe(&self, params: SubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        resources::exists(&params.uri)
    }

    async fn unsubscribe(&self, params: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        resources::exists(&params.uri)
    }

    #[expect(deprecated, reason = "revisions with a handshake have it")]
    async fn set_level(&self, _: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        self.changes.listen(&subscription).await;
        Ok(())
    }
}

#[expect(deprecated, reason = "the suite reads log entries")]
fn capabilities() -> ServerCapabilities {
    ServerCapabilities::builder()
        .enable_completions()
        .enable_logging()
        .enable_prompts()
        .enable_prompts_list_changed()
        .enable_resources()
        .enable_resources_subscribe()
        .enable_tools()
        .enable_tool_list_changed()
        .build()
}
