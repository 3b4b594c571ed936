//! An MCP session of one user, and the API behind it.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use deputy::{
    host::{BoxFuture, Timestamp},
    mcp::{Api, ApiError, ApiToken, Caller, Client, User},
};
use deputy_openapi::{Catalog, OpenApiServer};
use http::{Request, Response};
use rmcp::{
    ErrorData, RoleClient, RoleServer, Service, ServiceExt as _,
    model::{
        CallToolRequestParams, CallToolResult, ClientNotification, ClientRequest, ServerConfig, ServerResult,
        Tool,
    },
    service::{NotificationContext, RequestContext, RunningService, ServiceError},
};
use serde_json::{Map, Value, json};

pub(crate) struct Session {
    client: RunningService<RoleClient, ()>,
    pub(crate) api: Arc<TestApi>,
}

impl Session {
    /// A session with the tools of examples/invoices. Destructive tools act without a confirmation.
    pub(crate) async fn invoices() -> Self {
        Self::of(INVOICES).await
    }

    /// A session with the tools of `document`.
    pub(crate) async fn of(document: &str) -> Self {
        Self::with(document, SCOPES, (false, true)).await
    }

    /// A session with the tools of `document`, with a bearer token that has `scopes`, and a client that can or cannot ask its
    /// user on a server that allows or does not allow tools to act without that.
    pub(crate) async fn with(document: &str, scopes: &[&str], (can_ask, waived): (bool, bool)) -> Self {
        let api = Arc::new(TestApi::default());
        let user = User { sub: "alice".to_owned(), ..User::default() };
        let client = Client { id: "client-1".to_owned(), name: None };
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let caller = Caller::new(user, client, scopes, Timestamp(0), Arc::clone(&api) as Arc<dyn Api>);
        let caller = caller.confirming(can_ask, waived);
        let tools = OpenApiServer::new(Arc::new(Catalog::read(document).unwrap()));
        Self { client: connect(WithCaller { tools, caller }).await, api }
    }

    pub(crate) async fn tools(&self) -> Vec<Tool> {
        self.client.list_all_tools().await.unwrap()
    }

    pub(crate) fn instructions(&self) -> String {
        self.client.peer_info().unwrap().instructions.clone().unwrap()
    }

    /// The result of a tool.
    pub(crate) async fn call(&self, tool: &'static str, arguments: Value) -> CallToolResult {
        self.try_call(tool, arguments).await.unwrap()
    }

    pub(crate) async fn try_call(
        &self,
        tool: &'static str,
        arguments: Value,
    ) -> Result<CallToolResult, ServiceError> {
        let arguments: Map<String, Value> = serde_json::from_value(arguments).unwrap();
        self.client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await
    }

    /// Calls a tool, which must fail, and returns its error text.
    pub(crate) async fn error(&self, tool: &'static str, arguments: Value) -> String {
        let result = self.call(tool, arguments).await;
        assert_eq!((result.is_error, &result.structured_content), (Some(true), &None));
        text(&result)
    }

    /// The requests that a call sends to the API.
    pub(crate) async fn requests(&self, tool: &'static str, arguments: Value) -> Vec<String> {
        self.call(tool, arguments).await;
        self.api.requests()
    }
}

/// The text of a result, which must have exactly one block.
pub(crate) fn text(result: &CallToolResult) -> String {
    assert_eq!(result.content.len(), 1);
    result.content[0].as_text().unwrap().text.clone()
}

/// The API. It records its requests, and responds with `{}` if a test sets no response.
#[derive(Default)]
pub(crate) struct TestApi {
    responses: Mutex<VecDeque<Result<Response<Bytes>, ApiError>>>,
    requests: Mutex<Vec<String>>,
}

impl TestApi {
    /// Each request since the last call: method, target, headers without `accept`, and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        mem::take(&mut *self.requests.lock().unwrap())
    }

    /// Makes the API respond to the next request with this.
    pub(crate) fn respond(&self, status: u16, media: &str, body: impl Into<Bytes>) {
        let mut response = Response::builder().status(status);
        if !media.is_empty() {
            response = response.header("content-type", media);
        }
        self.fail(Ok(response.body(body.into()).unwrap()));
    }

    pub(crate) fn fail(&self, response: Result<Response<Bytes>, ApiError>) {
        self.responses.lock().unwrap().push_back(response);
    }
}

impl Api for TestApi {
    fn fetch(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, ApiError>> {
        let (parts, body) = request.into_parts();
        let mut line = format!("{} {}", parts.method, parts.uri);
        for (name, value) in parts.headers.iter().filter(|(name, _)| *name != "accept") {
            line = format!("{line} {name}: {}", value.to_str().unwrap());
        }
        line = format!("{line} {}", String::from_utf8_lossy(&body));
        self.requests.lock().unwrap().push(line.trim_end().to_owned());
        let empty = || {
            let response = Response::builder().header("content-type", "application/json");
            Ok(response.body(Bytes::from_static(b"{}")).unwrap())
        };
        let response = self.responses.lock().unwrap().pop_front().unwrap_or_else(empty);
        Box::pin(std::future::ready(response))
    }

    fn token(&self) -> BoxFuture<'_, Result<ApiToken, ApiError>> {
        Box::pin(std::future::ready(Err(ApiError::Unavailable)))
    }
}

async fn connect(server: WithCaller) -> RunningService<RoleClient, ()> {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let server = server.serve(ours).await.unwrap();
        server.waiting().await.unwrap();
    });
    ().serve(theirs).await.unwrap()
}

/// Takes the place of Deputy around the tools: it puts the caller into each request.
struct WithCaller {
    tools: OpenApiServer,
    caller: Caller,
}

impl Service<RoleServer> for WithCaller {
    async fn handle_request(
        &self,
        request: ClientRequest,
        mut context: RequestContext<RoleServer>,
    ) -> Result<ServerResult, ErrorData> {
        context.extensions.insert(self.caller.clone());
        self.tools.handle_request(request, context).await
    }

    async fn handle_notification(
        &self,
        notification: ClientNotification,
        context: NotificationContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tools.handle_notification(notification, context).await
    }

    fn get_info(&self) -> ServerConfig {
        Service::get_info(&self.tools)
    }
}

/// A document with one operation, which needs no scopes: these parameters and this body.
pub(crate) fn one_operation(method: &str, path: &str, parameters: Value, body: Value) -> String {
    let mut operation = json!({ "operationId": "act", "parameters": parameters, "x-deputy-scopes": [] });
    if !body.is_null() {
        operation["requestBody"] = json!({ "required": true, "content": body });
    }
    json!({ "openapi": "3.0.3", "paths": { path: { method: operation } } }).to_string()
}

pub(crate) const INVOICES: &str = include_str!("../../../../examples/invoices/openapi.yaml");
pub(crate) const OVERLAY: &str = include_str!("../../../../examples/invoices/overlay.yaml");
pub(crate) const SCOPES: &[&str] = &["invoice.read", "invoice.write"];
