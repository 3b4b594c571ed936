//! The seam between the front and what answers requests.

use std::sync::Arc;

use rmcp::model::ClientCapabilities;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Caller, Peer};
use crate::host::BoxFuture;

/// What answers MCP requests. [`super::rmcp`] makes one of an rmcp `ServerHandler`.
pub trait Handler: Send + Sync + 'static {
    /// The scopes that a request needs beyond a valid token. `name` is the tool's, prompt's or resource's.
    fn required_scopes(&self, method: &str, name: Option<&str>) -> Vec<String>;

    /// Every scope that any request can need, with the name of one thing that needs it: what an operator has to let clients
    /// have. It is compared with `API_SCOPES` at the start.
    fn declared_scopes(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// The input schema of a tool, if it exists: some of its arguments may have to be repeated in headers.
    fn input_schema(&self, tool: &str) -> Option<Arc<Map<String, Value>>>;

    /// Answers one request. Dropping the future cancels the work.
    fn handle(&self, call: Call, caller: Caller, peer: Peer) -> BoxFuture<'static, Result<Value, RpcError>>;
}

/// One JSON-RPC request that the front has let through.
#[derive(Clone, Debug)]
pub struct Call {
    /// A string, or a number without a fraction.
    pub id: Value,
    /// Such as `tools/call`.
    pub method: String,
    /// Empty if there were none.
    pub params: Map<String, Value>,
    /// By which rules.
    pub era: Era,
    /// What the client says it can do: with this request, or when it initialized.
    pub capabilities: ClientCapabilities,
}

/// By which rules a request is made and answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Era {
    /// A revision with an `initialize` handshake: the one that was negotiated, as far as the request says.
    Handshake(String),
    /// A revision in which every request stands for itself: 2026-07-28 and later.
    Stateless(String),
}

impl Era {
    /// The revision.
    pub fn version(&self) -> &str {
        match self {
            Self::Handshake(version) | Self::Stateless(version) => version,
        }
    }

    /// Whether every request stands for itself.
    pub const fn is_stateless(&self) -> bool {
        matches!(self, Self::Stateless(_))
    }
}

/// A JSON-RPC error. Its message is for the client and says nothing of the inside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RpcError {
    /// JSON-RPC 2.0 §5.1, and MCP's own.
    pub code: i64,
    /// One sentence.
    pub message: String,
    /// What a program can use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl RpcError {
    /// Parse error.
    pub const PARSE_ERROR: i64 = -32700;
    /// Invalid request.
    pub const INVALID_REQUEST: i64 = -32600;
    /// Method not found.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// Invalid params.
    pub const INVALID_PARAMS: i64 = -32602;
    /// Internal error.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// MCP 2026-07-28: a header and the body disagree.
    pub const HEADER_MISMATCH: i64 = -32020;
    /// MCP 2026-07-28: the client lacks a capability.
    pub const MISSING_CLIENT_CAPABILITY: i64 = -32021;
    /// MCP 2026-07-28: the revision is not supported.
    pub const UNSUPPORTED_PROTOCOL_VERSION: i64 = -32022;

    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// The error that a client answered a question with. A client that does not know the method or its params cannot be
    /// asked; its code would say something else of the request that it waits for.
    pub(super) fn of_client(error: &Value) -> Self {
        let code = error.get("code").and_then(Value::as_i64).unwrap_or(Self::INTERNAL_ERROR);
        if [Self::METHOD_NOT_FOUND, Self::INVALID_PARAMS].contains(&code) {
            return Self::new(
                Self::MISSING_CLIENT_CAPABILITY,
                "the client answers that it cannot be asked this",
            );
        }
        Self {
            code,
            message: error.get("message").and_then(Value::as_str).unwrap_or("the client failed").to_owned(),
            data: error.get("data").cloned(),
        }
    }
}
