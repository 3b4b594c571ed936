//! The cost of the libraries without Deputy, natively: bare axum, and rmcp's own Streamable HTTP transport behind a constant
//! bearer check. Both have the tools that Deputy lists.

use std::{fs, net::Ipv4Addr, path::Path, sync::Arc};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ListToolsResult, PaginatedRequestParams,
        ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
    transport::{
        StreamableHttpServerConfig, StreamableHttpService,
        streamable_http_server::session::local::LocalSessionManager,
    },
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{Failure, servers::Ports};

/// The token that the floors accept.
pub(crate) const TOKEN: &str = "constant-token";

/// Serves until the process ends. `tools` is a file with the result of `tools/list`. Says when it is ready.
pub(crate) async fn serve(ports: Ports, tools: &Path) -> Result<(), Failure> {
    let result = fs::read_to_string(tools)?;
    let tools: ListToolsResult = serde_json::from_str(&result)?;
    let result: Arc<Value> = Arc::new(serde_json::from_str(&result)?);
    let http = reqwest::Client::builder().tls_backend_preconfigured(tls()).build()?;
    let floor =
        Floor { tools: tools.tools.into(), http, api: format!("http://127.0.0.1:{}/api/todos", ports.api) };
    let router = Router::new()
        .route("/axum", post(axum_echo))
        .with_state(result)
        .nest_service("/rmcp", floor.clone().service(false))
        .nest_service("/rmcp-sessions", floor.service(true))
        .layer(from_fn(bearer))
        .route("/health", get(async || "ok"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.native_floors)).await?;
    println!("ready");
    crate::serve(listener, router).await?;
    Ok(())
}

/// The API has no TLS; reqwest asks for it all the same.
fn tls() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

async fn axum_echo(State(result): State<Arc<Value>>, Json(request): Json<Value>) -> Json<Value> {
    Json(json!({ "jsonrpc": "2.0", "id": request["id"], "result": *result }))
}

async fn bearer(request: Request, next: Next) -> Response {
    let value = request.headers().get(header::AUTHORIZATION);
    let token = value.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if token == Some(TOKEN.as_bytes()) {
        return next.run(request).await;
    }
    let challenge = HeaderValue::from_static("Bearer resource_metadata=\"http://127.0.0.1/metadata\"");
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response()
}

/// The tools, without anything of Deputy's.
#[derive(Clone)]
struct Floor {
    tools: Arc<[Tool]>,
    http: reqwest::Client,
    api: String,
}

impl Floor {
    fn service(self, sessions: bool) -> StreamableHttpService<Self, LocalSessionManager> {
        let mut config = StreamableHttpServerConfig::default();
        config.legacy_session_mode = sessions;
        config.json_response = !sessions;
        StreamableHttpService::new(move || Ok(self.clone()), Arc::default(), config)
    }
}

impl ServerHandler for Floor {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.to_vec()))
    }

    /// Every call is one of the tool that lists the todos.
    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let request = self.http.get(&self.api).bearer_auth(TOKEN);
        let failed = |error: reqwest::Error| ErrorData::internal_error(error.to_string(), None);
        let body = request.send().await.map_err(failed)?.bytes().await.map_err(failed)?;
        let todos: Value = serde_json::from_slice(&body)
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        Ok(CallToolResult::structured(todos).into())
    }
}
