//! The interface between the transport and the tools.

use std::sync::Arc;

use rmcp::model::ClientCapabilities;
use serde_json::{Map, Value};

use super::{Caller, Era, Peer, RpcError, ToolSummary};
use crate::host::BoxFuture;

/// Serves MCP requests. [`super::rmcp`] turns an rmcp `ServerHandler` into one.
pub trait Handler: Send + Sync + 'static {
    /// The scopes that a request needs. `name` is that of the tool, prompt or resource.
    fn required_scopes(&self, method: &str, name: Option<&str>) -> Vec<String>;

    /// Every scope that a request can need, with the name of a tool, prompt or resource that needs it. The server
    /// compares them with `API_SCOPES` when it starts.
    fn declared_scopes(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// The tools, in the order in which pages for users list them. Pages do not list tools that are left out.
    fn tools(&self) -> Vec<ToolSummary> {
        Vec::new()
    }

    /// The input schema of a tool, if it exists. It says which arguments a client repeats in headers.
    fn input_schema(&self, tool: &str) -> Option<Arc<Map<String, Value>>>;

    /// The result of a request that is the same for every caller, as JSON text, if the handler has written it already.
    /// The request is not given to [`Handler::handle`] then. It has the required scopes.
    fn constant_result(&self, call: &Call) -> Option<Arc<str>> {
        let _ = call;
        None
    }

    /// Serves one request. Dropping the future cancels it.
    fn handle(&self, call: Call, caller: Caller, peer: Peer) -> BoxFuture<'static, Result<Value, RpcError>>;
}

/// One JSON-RPC request that the transport has accepted.
#[derive(Clone, Debug)]
pub struct Call {
    /// A string, or a number without a fraction.
    pub id: Value,
    /// Such as `tools/call`.
    pub method: String,
    /// Empty if absent.
    pub params: Map<String, Value>,
    /// The revision by whose rules it is served.
    pub era: Era,
    /// The capabilities that the client declared, with this request or with `initialize`.
    pub capabilities: ClientCapabilities,
}
