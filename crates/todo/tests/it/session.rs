//! An MCP session of one user. The API behind it is the real one, unless a test sets its responses.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use deputy::{
    host::{BoxFuture, Timestamp},
    mcp::{Api, ApiError, ApiToken, Caller, Client, User},
    secret::Secret,
};
use http::{Request, Response};
use rmcp::{
    ErrorData, RoleClient, RoleServer, Service, ServiceExt as _,
    model::{
        CallToolRequestParams, CallToolResult, ClientNotification, ClientRequest, GetPromptRequestParams,
        ReadResourceRequestParams, ServerConfig, ServerPeerInfo, ServerResult, Tool,
    },
    service::{NotificationContext, RequestContext, RunningService, ServiceError},
};
use serde_json::{Map, Value};
use todo::TodoServer;

use crate::{
    identity::{AUDIENCE, ISSUER, NOW, token_for},
    world::World,
};

pub struct Session {
    client: RunningService<RoleClient, ()>,
    pub api: Arc<TestApi>,
}

impl Session {
    /// A session of alice; both tokens have both scopes.
    pub async fn new() -> Self {
        Self::with(&Arc::new(World::new()), "alice", BOTH, BOTH).await
    }

    /// A session of alice with a client that cannot ask her, on a server without `UNCONFIRMED_TOOLS`.
    pub async fn unconfirmed() -> Self {
        Self::confirming(&Arc::new(World::new()), "alice", BOTH, BOTH, false).await
    }

    /// A session of `subject`. The bearer token of its calls has the scopes `mcp`; PingOne's token has the scopes
    /// `api`.
    pub async fn with(world: &Arc<World>, subject: &str, mcp: &str, api: &str) -> Self {
        Self::confirming(world, subject, mcp, api, true).await
    }

    async fn confirming(world: &Arc<World>, subject: &str, mcp: &str, api: &str, waived: bool) -> Self {
        let api = Arc::new(TestApi {
            world: Arc::clone(world),
            token: token_for(subject, api),
            scopes: api.to_owned(),
            shows_token: Mutex::default(),
            responses: Mutex::default(),
            requests: Mutex::default(),
        });
        let user =
            User { sub: subject.to_owned(), name: Some("Alice \"A\" Doe".to_owned()), ..User::default() };
        let client = Client { id: "client-1".to_owned(), name: Some("Some Client".to_owned()) };
        let scopes = mcp.split_whitespace().map(str::to_owned).collect();
        let caller = Caller::new(user, client, scopes, Timestamp(NOW), Arc::clone(&api) as Arc<dyn Api>);
        let caller = caller.confirming(false, waived);
        Self { client: connect(Some(caller)).await, api }
    }

    /// A session without a caller, as if Deputy were not around the tools.
    pub async fn without_caller() -> RunningService<RoleClient, ()> {
        connect(None).await
    }

    pub async fn tools(&self) -> Vec<Tool> {
        self.client.list_all_tools().await.unwrap()
    }

    pub fn server(&self) -> Arc<ServerPeerInfo> {
        self.client.peer_info().unwrap()
    }

    pub async fn call(&self, tool: &'static str, arguments: Value) -> CallToolResult {
        call(&self.client, tool, arguments).await.unwrap()
    }

    pub async fn read(&self, uri: &str) -> Result<Value, ServiceError> {
        let result = self.client.read_resource(ReadResourceRequestParams::new(uri)).await?;
        Ok(serde_json::to_value(result).unwrap())
    }

    pub async fn prompt(&self, name: &str, arguments: Value) -> Result<Value, ServiceError> {
        let arguments: Map<String, Value> = serde_json::from_value(arguments).unwrap();
        let params = GetPromptRequestParams::new(name).with_arguments(arguments);
        Ok(serde_json::to_value(self.client.get_prompt(params).await?).unwrap())
    }

    /// Calls a tool, which must fail, and returns its error text.
    pub async fn error(&self, tool: &'static str, arguments: Value) -> String {
        let result = self.call(tool, arguments).await;
        assert_eq!((result.is_error, &result.structured_content), (Some(true), &None));
        text(&result)
    }

    /// Makes the API respond to the next request with `response`.
    pub fn respond_once(&self, response: Result<Response<Bytes>, ApiError>) {
        self.api.responses.lock().unwrap().push_back(response);
    }

    /// Makes the API respond to the next requests with these statuses and bodies.
    pub fn respond_with<const N: usize>(&self, responses: [(u16, String); N]) {
        for (status, body) in responses {
            self.respond_once(Ok(Response::builder().status(status).body(Bytes::from(body)).unwrap()));
        }
    }

    /// Makes the API respond to every request with this status.
    pub fn respond_always_with(&self, status: u16) {
        for _ in 0..8 {
            self.respond_with([(status, "<html>".to_owned())]);
        }
    }
}

pub async fn call(
    client: &RunningService<RoleClient, ()>,
    tool: &'static str,
    arguments: Value,
) -> Result<CallToolResult, ServiceError> {
    let arguments: Map<String, Value> = serde_json::from_value(arguments).unwrap();
    client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await
}

/// The text of a result, which must have exactly one block.
pub fn text(result: &CallToolResult) -> String {
    assert_eq!(result.content.len(), 1);
    result.content[0].as_text().unwrap().text.clone()
}

/// The API behind a caller. It records its requests.
pub struct TestApi {
    world: Arc<World>,
    token: String,
    scopes: String,
    pub shows_token: Mutex<bool>,
    responses: Mutex<VecDeque<Result<Response<Bytes>, ApiError>>>,
    requests: Mutex<Vec<String>>,
}

impl TestApi {
    /// Method, path and body of each request since the last call.
    pub fn requests(&self) -> Vec<String> {
        mem::take(&mut *self.requests.lock().unwrap())
    }

    pub fn token(&self) -> &str {
        &self.token
    }
}

impl Api for TestApi {
    fn fetch(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, ApiError>> {
        let (mut parts, body) = request.into_parts();
        let line = format!("{} {} {}", parts.method, parts.uri, String::from_utf8_lossy(&body));
        self.requests.lock().unwrap().push(line.trim_end().to_owned());
        if let Some(response) = self.responses.lock().unwrap().pop_front() {
            return Box::pin(std::future::ready(response));
        }
        parts.headers.insert("authorization", format!("Bearer {}", self.token).parse().unwrap());
        Box::pin(async move {
            let response = self.world.send(Request::from_parts(parts, body.into())).await;
            Ok(Response::builder().status(response.status).body(response.body.to_string().into()).unwrap())
        })
    }

    fn token(&self) -> BoxFuture<'_, Result<ApiToken, ApiError>> {
        if let Some(Err(error)) = self.responses.lock().unwrap().pop_front() {
            return Box::pin(std::future::ready(Err(error)));
        }
        let shown = *self.shows_token.lock().unwrap();
        let token = ApiToken {
            issuer: ISSUER.to_owned(),
            subject: "alice".to_owned(),
            audience: vec![AUDIENCE.to_owned()],
            scopes: self.scopes.split_whitespace().map(str::to_owned).collect(),
            expires_at: Timestamp(NOW + 3600),
            raw: shown.then(|| Secret::new(self.token.clone())),
        };
        Box::pin(std::future::ready(Ok(token)))
    }
}

async fn connect(caller: Option<Caller>) -> RunningService<RoleClient, ()> {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let server = WithCaller { tools: TodoServer::new(), caller }.serve(ours).await.unwrap();
        server.waiting().await.unwrap();
    });
    ().serve(theirs).await.unwrap()
}

/// Takes the place of Deputy around the tools: it puts the caller into each request.
struct WithCaller {
    tools: TodoServer,
    caller: Option<Caller>,
}

impl Service<RoleServer> for WithCaller {
    async fn handle_request(
        &self,
        request: ClientRequest,
        mut context: RequestContext<RoleServer>,
    ) -> Result<ServerResult, ErrorData> {
        if let Some(caller) = &self.caller {
            context.extensions.insert(caller.clone());
        }
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

pub const BOTH: &str = "todo:read todo:write";
