//! The server that the official conformance suite for MCP expects, behind Deputy.
//!
//! The suite (`@modelcontextprotocol/conformance`) calls tools, prompts and resources by fixed names and checks the
//! responses. [`Fixture`] has all of them, as an ordinary rmcp server. Deputy adds HTTP, sessions, sealed state and
//! requests to the client, which are what the suite tests here. `run.js` in this folder runs the suite.

mod changes;
mod client_requests;
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
#[expect(deprecated, reason = "the suite sets the log level in MCP 2025-11-25")]
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

/// Deputy with the tools for the suite. They need no scopes and do not call the API.
pub fn server(config: Config, host: Host) -> Server {
    Server::new(config, host, Arc::new(rmcp(Fixture::new())), Wording::new("the conformance suite", &[]))
}

/// The server that the suite expects.
#[derive(Clone, Debug)]
pub struct Fixture {
    tools: ToolRouter<Self>,
    changes: Changes,
}

impl Fixture {
    /// A server without subscriptions.
    pub fn new() -> Self {
        let tools = Self::changing()
            + Self::client_requests()
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
        resources::subscribe(&params.uri)
    }

    async fn unsubscribe(&self, params: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        resources::subscribe(&params.uri)
    }

    #[expect(deprecated, reason = "MCP 2025-11-25 has it")]
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
