//! Any rmcp `ServerHandler`, served by Deputy.
//!
//! rmcp's own transports want a runtime with a clock and sessions in memory. Its handlers want neither: one request goes
//! in through `Service::handle_request`, one result comes out. What a handler sends meanwhile goes through its `Peer`,
//! which a small serve loop beside the request carries to the [`Notifier`].

use std::{borrow::Cow, future::Future, sync::Arc};

use rmcp::{
    RoleServer, ServerHandler, Service,
    model::{
        ClientCapabilities, ClientRequest, GetExtensions as _, Implementation, InitializeRequestParams,
        JsonRpcMessage, ProtocolVersion, RequestId, ServerConfig,
    },
    service::{RequestContext, RunningService, RxJsonRpcMessage, TxJsonRpcMessage, serve_directly},
    transport::Transport,
};
use serde_json::{Map, Value, json};

use super::{Call, Caller, Era, Handler, Notifier, RpcError};
use crate::host::BoxFuture;

/// Makes a handler of an rmcp server.
pub fn rmcp<S: ServerHandler + Clone>(server: S) -> RmcpHandler<S> {
    RmcpHandler { server, scopes: &[] }
}

/// An rmcp server, and which of its tools need which scopes. Its tools find a [`Caller`] in the extensions of their
/// `RequestContext`.
#[derive(Clone)]
pub struct RmcpHandler<S> {
    server: S,
    scopes: &'static [(&'static str, &'static [&'static str])],
}

impl<S: ServerHandler + Clone> RmcpHandler<S> {
    /// Declares the scopes that tools need.
    #[must_use]
    pub fn require_all(mut self, scopes: &'static [(&'static str, &'static [&'static str])]) -> Self {
        self.scopes = scopes;
        self
    }
}

impl<S: ServerHandler + Clone> Handler for RmcpHandler<S> {
    fn required_scopes(&self, method: &str, name: Option<&str>) -> Vec<String> {
        let tool = name.filter(|_| method == "tools/call");
        let scopes =
            self.scopes.iter().find(|(named, _)| Some(*named) == tool).map_or(&[][..], |(_, scopes)| scopes);
        scopes.iter().map(|scope| (*scope).to_owned()).collect()
    }

    fn input_schema(&self, tool: &str) -> Option<Arc<Map<String, Value>>> {
        self.server.get_tool(tool).map(|tool| tool.input_schema)
    }

    fn handle(
        &self,
        call: Call,
        caller: Caller,
        notifier: Notifier,
    ) -> BoxFuture<'static, Result<Value, RpcError>> {
        let server = self.server.clone();
        Box::pin(handle(server, call, caller, notifier))
    }
}

async fn handle<S: ServerHandler>(
    server: S,
    call: Call,
    caller: Caller,
    notifier: Notifier,
) -> Result<Value, RpcError> {
    let Call { id, method, params, era } = call;
    let (mut request, id) = read(&id, &method, params)?;
    let peer = Beside::start(&notifier, &method, &era);
    let mut context = RequestContext::new(id, peer.running.peer().clone());
    std::mem::swap(&mut context.extensions, request.extensions_mut());
    context.meta = context.extensions.remove().unwrap_or_default();
    context.extensions.insert(caller);
    let result = peer.during(server.handle_request(request, context)).await;
    let mut result = match result {
        Ok(result) => serde_json::to_value(result),
        Err(error) => {
            return Err(RpcError {
                code: error.code.0.into(),
                message: error.message.into_owned(),
                data: error.data,
            });
        }
    }
    .map_err(|_| RpcError::new(RpcError::INTERNAL_ERROR, "the result cannot be written"))?;
    if era.is_stateless() {
        complete(&mut result, server.get_info());
    } else if CACHEABLE.contains(&method.as_str()) {
        for member in ["ttlMs", "cacheScope"] {
            result.as_object_mut().map(|members| members.remove(member));
        }
    }
    Ok(result)
}

/// What every result of 2026-07-28 says. Lists are never public: what a person may call can depend on who they are.
fn complete(result: &mut Value, info: ServerConfig) {
    let Some(members) = result.as_object_mut() else { return };
    members.entry("resultType").or_insert_with(|| json!("complete"));
    if members.contains_key("cacheScope") {
        members.insert("cacheScope".to_owned(), json!("private"));
    }
    let meta = members.entry("_meta").or_insert_with(|| json!({}));
    if let (Some(meta), Ok(server)) = (meta.as_object_mut(), serde_json::to_value(info.server_info)) {
        meta.entry("io.modelcontextprotocol/serverInfo").or_insert(server);
    }
}

/// The request as rmcp's types have it.
fn read(
    id: &Value,
    method: &str,
    params: Map<String, Value>,
) -> Result<(ClientRequest, RequestId), RpcError> {
    let id = serde_json::from_value(id.clone())
        .map_err(|_| RpcError::new(RpcError::INVALID_REQUEST, "id must be a string or an integer"))?;
    let known = KNOWN.contains(&method);
    let message = if params.is_empty() {
        json!({ "method": method })
    } else {
        json!({ "method": method, "params": params })
    };
    let request: Result<ClientRequest, _> = serde_json::from_value(message);
    match request {
        // What is known by name and came out as a custom request has params of another shape.
        Ok(ClientRequest::CustomRequest(_)) | Err(_) if known => {
            Err(RpcError::new(RpcError::INVALID_PARAMS, format!("the params of {method} are not valid")))
        }
        Ok(request) => Ok((request, id)),
        Err(_) => Err(RpcError::new(RpcError::METHOD_NOT_FOUND, "there is no such method")),
    }
}

/// The serve loop beside one request: it carries what the handler sends through its peer.
struct Beside {
    running: RunningService<RoleServer, Idle>,
    #[cfg(target_family = "wasm")]
    runtime: tokio::runtime::Runtime,
}

impl Beside {
    fn start(notifier: &Notifier, method: &str, era: &Era) -> Self {
        // What stands in for the handshake that another process may have had with this client.
        let client = match era {
            Era::Handshake(version) if method != "initialize" => Some(client_of(version)),
            Era::Handshake(_) | Era::Stateless(_) => None,
        };
        let outbox = Outbox(notifier.clone());
        #[cfg(target_family = "wasm")]
        {
            // A runtime of this request's own: one request's work must not run in another's context.
            let runtime =
                tokio::runtime::Builder::new_current_thread().build().expect("needs nothing of the system");
            let entered = runtime.enter();
            let running = serve_directly(Idle, outbox, client);
            drop(entered);
            Self { running, runtime }
        }
        #[cfg(not(target_family = "wasm"))]
        Self { running: serve_directly(Idle, outbox, client) }
    }

    #[cfg(not(target_family = "wasm"))]
    async fn during<T>(self, work: impl Future<Output = T>) -> T {
        work.await
    }

    /// The loop waits for nothing but the handler, so it is given its turn after each of the handler's.
    #[cfg(target_family = "wasm")]
    async fn during<T>(self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|cx| {
            let entered = self.runtime.enter();
            let result = work.as_mut().poll(cx);
            drop(entered);
            self.runtime.block_on(async {
                for _ in 0..4 {
                    tokio::task::yield_now().await;
                }
            });
            result
        })
        .await
    }
}

fn client_of(version: &str) -> InitializeRequestParams {
    let mut client =
        InitializeRequestParams::new(ClientCapabilities::default(), Implementation::new("unknown", "0"));
    // A string is a version.
    if let Ok(version) = serde_json::from_value::<ProtocolVersion>(json!(version)) {
        client.protocol_version = version;
    }
    client
}

/// A service that is never asked: the loop is there for its peer.
struct Idle;

impl ServerHandler for Idle {}

/// The loop's transport: everything it sends is a message to the client, and nothing comes in.
struct Outbox(Notifier);

/// A tool asked the client something (sampling, elicitation, roots). The client's reply would come with a request of its
/// own, which nothing connects with this one; without this error the tool would wait for ever.
#[derive(Debug, thiserror::Error)]
#[error("the client cannot be asked while it waits for an answer")]
struct NoReply;

impl Transport<RoleServer> for Outbox {
    type Error = NoReply;

    fn name() -> Cow<'static, str> {
        "deputy".into()
    }

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        std::future::ready(match item {
            JsonRpcMessage::Notification(_) => {
                if let Ok(message) = serde_json::to_value(item) {
                    self.0.notify(message);
                }
                Ok(())
            }
            JsonRpcMessage::Request(_) | JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {
                Err(NoReply)
            }
        })
    }

    fn receive(&mut self) -> impl Future<Output = Option<RxJsonRpcMessage<RoleServer>>> + Send {
        std::future::pending()
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        std::future::ready(Ok(()))
    }
}

/// Methods whose results may be cached (MCP 2026-07-28, Caching).
const CACHEABLE: [&str; 5] =
    ["prompts/list", "resources/list", "resources/read", "resources/templates/list", "tools/list"];

/// Methods whose params rmcp reads.
const KNOWN: [&str; 14] = [
    "completion/complete",
    "initialize",
    "logging/setLevel",
    "ping",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "server/discover",
    "tools/call",
    "tools/list",
];
