//! Any rmcp `ServerHandler`, served by Deputy.
//!
//! rmcp's own transports need a runtime with a clock, and sessions in memory. Its handlers need neither: a request goes
//! in through `Service::handle_request`, and a result comes out. Messages that a handler sends meanwhile go through
//! rmcp's `Peer`. A serve loop beside the request forwards them to the [`Peer`] of this crate.

mod constant_lists;
mod rounds;
mod serve_loop;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use rmcp::{
    ErrorData, RoleServer, ServerHandler, Service,
    model::{ClientRequest, ErrorCode, GetExtensions as _, RequestId, ServerConfig},
    service::{Peer as RmcpPeer, RequestContext},
};
use serde_json::{Map, Value, json};

use self::{
    constant_lists::{ConstantLists, anonymous},
    serve_loop::ServeLoop,
};
use super::{Call, Caller, Era, Handler, Peer, RpcError, ToolSummary, methods::METHODS};
use crate::host::BoxFuture;

/// Turns an rmcp server into a handler.
pub fn rmcp<S: ServerHandler>(server: S) -> RmcpHandler<S> {
    RmcpHandler {
        server: Arc::new(server),
        names: Vec::new(),
        scopes: BTreeMap::new(),
        constant_lists: None,
        silent_peer: None,
    }
}

/// An rmcp server, and the scopes that its tools, prompts and resources need. Its methods find a [`Caller`] in the
/// extensions of their `RequestContext`.
pub struct RmcpHandler<S> {
    server: Arc<S>,
    /// The tools, prompts and resources with declared scopes, in the order of their declaration.
    names: Vec<String>,
    scopes: BTreeMap<String, Vec<String>>,
    constant_lists: Option<Arc<ConstantLists>>,
    /// The peer of every tool call, if no tool sends through its peer.
    silent_peer: Option<Arc<SilentPeer>>,
}

/// A peer through which nothing can be sent. It is made with the first call.
type SilentPeer = OnceLock<RmcpPeer<RoleServer>>;

impl<S: ServerHandler> RmcpHandler<S> {
    /// Declares that the lists of tools, prompts, resources and resource templates are the same for every caller, and
    /// never change. Each is written once for each revision.
    ///
    /// The methods of the server for lists find no [`Caller`] then, so that no list of one user gets to another.
    #[must_use]
    pub fn with_constant_lists(mut self) -> Self {
        self.constant_lists = Some(Arc::default());
        self
    }

    /// Declares that no tool sends through its rmcp `Peer`: a client gets the result of its call, and nothing before it. This saves
    /// rmcp's serve loop beside each call, which would send the messages. One that is sent nevertheless fails, as on a closed
    /// connection.
    #[must_use]
    pub fn with_silent_tools(mut self) -> Self {
        self.silent_peer = Some(Arc::default());
        self
    }

    /// Declares the scopes that tools, prompts (by name) and resources (by URI) need.
    ///
    /// With any entry, every tool needs one, if only `&[]`: a tool without an entry is not called, so that a misspelled
    /// name grants no access. A prompt or resource without an entry needs a valid token and no scope.
    #[must_use]
    pub fn require_all(self, scopes: &[(&str, &[&str])]) -> Self {
        scopes.iter().fold(self, |handler, (name, scopes)| handler.require(*name, *scopes))
    }

    /// Declares the scopes that one tool, prompt or resource needs, as [`RmcpHandler::require_all`] does.
    #[must_use]
    pub fn require(
        mut self,
        name: impl Into<String>,
        scopes: impl IntoIterator<Item = impl ToString>,
    ) -> Self {
        let (name, scopes) = (name.into(), scopes.into_iter().map(|scope| scope.to_string()).collect());
        if self.scopes.insert(name.clone(), scopes).is_none() {
            self.names.push(name);
        }
        self
    }
}

impl<S> RmcpHandler<S> {
    /// Each declaration, in order.
    fn declarations(&self) -> impl Iterator<Item = (&String, &Vec<String>)> {
        self.names.iter().filter_map(|name| Some((name, self.scopes.get(name)?)))
    }
}

impl<S: ServerHandler> Handler for RmcpHandler<S> {
    fn required_scopes(&self, method: &str, name: Option<&str>) -> Vec<String> {
        let name = name.filter(|_| SCOPED.contains(&method));
        name.and_then(|name| self.scopes.get(name)).cloned().unwrap_or_default()
    }

    fn declared_scopes(&self) -> Vec<(String, String)> {
        let declared = self.declarations();
        declared.flat_map(|(name, scopes)| scopes.iter().map(|scope| (scope.clone(), name.clone()))).collect()
    }

    fn tools(&self) -> Vec<ToolSummary> {
        let tools =
            self.declarations().filter_map(|(name, scopes)| Some((self.server.get_tool(name)?, scopes)));
        tools
            .map(|(tool, scopes)| {
                let annotations = tool.annotations.unwrap_or_default();
                ToolSummary {
                    title: tool.title.or(annotations.title).unwrap_or_else(|| tool.name.to_string()),
                    name: tool.name.into_owned(),
                    is_read_only: annotations.read_only_hint == Some(true),
                    scopes: scopes.clone(),
                }
            })
            .collect()
    }

    fn input_schema(&self, tool: &str) -> Option<Arc<Map<String, Value>>> {
        self.server.get_tool(tool).map(|tool| tool.input_schema)
    }

    fn handle(&self, call: Call, caller: Caller, peer: Peer) -> BoxFuture<'static, Result<Value, RpcError>> {
        if call.method == "tools/call"
            && let Some(tool) = call.params.get("name").and_then(Value::as_str)
            && !self.scopes.is_empty()
            && !self.scopes.contains_key(tool)
            && self.server.get_tool(tool).is_some()
        {
            tracing::error!(tool, "the tool is not called, because the declared scopes have no entry for it");
            let error =
                RpcError::new(RpcError::INTERNAL_ERROR, "the server declares no scopes for this tool");
            return Box::pin(std::future::ready(Err(error)));
        }
        let server = Arc::clone(&self.server);
        if let Some(lists) = self.constant_lists.clone().filter(|lists| lists.place(&call).is_some()) {
            return Box::pin(async move {
                let (request, discarding_peer) = anonymous(call.clone());
                let result = call_server(&*server, request, None, discarding_peer, None).await?;
                if let Some(place) = lists.place(&call) {
                    place.get_or_init(|| result.to_string().into());
                }
                Ok(result)
            });
        }
        let silent = self.silent_peer.clone().filter(|_| call.method == "tools/call");
        Box::pin(async move { call_server(&*server, call, Some(caller), peer, silent).await })
    }

    fn constant_result(&self, call: &Call) -> Option<Arc<str>> {
        self.constant_lists.as_ref()?.place(call)?.get().cloned()
    }
}

/// The result of a call to the server, with the peer of this request, or with the silent one of every tool call.
async fn call_server<S: ServerHandler>(
    server: &S,
    call: Call,
    caller: Option<Caller>,
    peer: Peer,
    silent: Option<Arc<SilentPeer>>,
) -> Result<Value, RpcError> {
    let (rmcp_peer, serve_loop) = if let Some(silent) = silent {
        (silent.get_or_init(serve_loop::silent_peer).clone(), None)
    } else {
        let serve_loop = ServeLoop::start(&peer, &call);
        (serve_loop.peer(), Some(serve_loop))
    };
    let Call { id, method, params, era, capabilities } = call;
    let (mut request, id) = read(&id, &method, params)?;
    let mut context = RequestContext::new(id, rmcp_peer);
    std::mem::swap(&mut context.extensions, request.extensions_mut());
    context.meta = context.extensions.remove().unwrap_or_default();
    // A silent peer, which calls share, knows no client. The context names it.
    if serve_loop.is_none()
        && let Era::Handshake(version) = &era
    {
        let client = serve_loop::client_of(version, capabilities);
        context.meta.set_protocol_version(client.protocol_version);
        context.meta.set_client_capabilities(client.capabilities);
    }
    if let Some(caller) = caller {
        context.extensions.insert(caller);
    }
    let work = async {
        if era.is_stateless() {
            server.handle_request(request, context).await
        } else {
            rounds::call_until_complete(server, request, context, &peer).await
        }
    };
    let result = match serve_loop {
        Some(serve_loop) => serve_loop.run_alongside(work).await,
        None => work.await,
    };
    let result = result.map_err(|error| rpc_error(error, &method))?;
    let mut result = serde_json::to_value(result)
        .map_err(|_| RpcError::new(RpcError::INTERNAL_ERROR, "the result cannot be written"))?;
    if era.is_stateless() {
        complete(&mut result, &method, server.get_info());
    } else if CACHEABLE.contains(&method.as_str()) {
        for member in ["ttlMs", "cacheScope"] {
            result.as_object_mut().map(|members| members.remove(member));
        }
    }
    Ok(result)
}

fn rpc_error(error: ErrorData, method: &str) -> RpcError {
    let mut message = error.message.into_owned();
    // The message of rmcp for an unknown method is only its name.
    if error.code == ErrorCode::METHOD_NOT_FOUND && message == method {
        message = format!("this server does not have the method {method}");
    }
    RpcError { code: error.code.0.into(), message, data: error.data }
}

/// Adds the members that every result of 2026-07-28 has. Lists are never public, since they may depend on the user.
///
/// rmcp adds the members for caches only to a request that names its revision, and a constant list is made without them.
fn complete(result: &mut Value, method: &str, info: ServerConfig) {
    let Some(members) = result.as_object_mut() else { return };
    let is_complete = members.entry("resultType").or_insert_with(|| json!("complete")) == "complete";
    if is_complete && CACHEABLE.contains(&method) {
        members.entry("ttlMs").or_insert_with(|| json!(0));
        members.insert("cacheScope".to_owned(), json!("private"));
    } else if members.contains_key("cacheScope") {
        members.insert("cacheScope".to_owned(), json!("private"));
    }
    let meta = members.entry("_meta").or_insert_with(|| json!({}));
    if let (Some(meta), Ok(server)) = (meta.as_object_mut(), serde_json::to_value(info.server_info)) {
        meta.entry("io.modelcontextprotocol/serverInfo").or_insert(server);
    }
}

/// The request in the types of rmcp.
fn read(
    id: &Value,
    method: &str,
    params: Map<String, Value>,
) -> Result<(ClientRequest, RequestId), RpcError> {
    // This id is internal: the response repeats the id that was sent. rmcp has no numbers above those of `i64`.
    let id = match id {
        Value::Number(number) => {
            number.as_i64().map_or_else(|| RequestId::String(number.to_string().into()), RequestId::Number)
        }
        id => RequestId::String(id.as_str().unwrap_or_default().into()),
    };
    let known = METHODS.contains(&method);
    // Without `json!`, which would copy the params.
    let mut message = Map::from_iter([("method".to_owned(), Value::from(method))]);
    if !params.is_empty() {
        message.insert("params".to_owned(), Value::Object(params));
    }
    let message = Value::Object(message);
    // Any other kind is found by trying one after the other.
    let request = match method {
        "tools/call" => serde_json::from_value(message).map(ClientRequest::CallToolRequest),
        _ => serde_json::from_value(message),
    };
    match request {
        // A known method that was read as a custom request has params of another shape.
        Ok(ClientRequest::CustomRequest(_)) | Err(_) if known => {
            Err(RpcError::new(RpcError::INVALID_PARAMS, format!("the params of {method} are not valid")))
        }
        Ok(request) => Ok((request, id)),
        Err(_) => Err(RpcError::new(RpcError::METHOD_NOT_FOUND, "there is no such method")),
    }
}

/// Methods for which scopes can be declared.
const SCOPED: [&str; 4] = ["prompts/get", "resources/read", "resources/subscribe", "tools/call"];

/// Methods whose results may be cached (MCP 2026-07-28, Caching).
const CACHEABLE: [&str; 5] =
    ["prompts/list", "resources/list", "resources/read", "resources/templates/list", "tools/list"];
