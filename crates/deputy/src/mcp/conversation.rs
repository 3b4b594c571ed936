//! What outlives one request. Neither a process nor a session keeps it: the grant does.

use rmcp::model::ClientCapabilities;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{RpcError, peer::LogLevel};
use crate::host::{BoxFuture, StoreError};

/// The grant behind a request, as far as MCP needs it. Implemented by the flow that holds the grant, and by tests.
pub trait Conversation: Send + Sync + 'static {
    /// What was agreed on last.
    fn agreed(&self) -> &Agreed;

    /// Keeps what has been agreed on now.
    fn agree(&self, agreed: Agreed) -> BoxFuture<'_, ()>;

    /// A name for a question to the client. Only who may speak for this grant can answer it, and only after it was asked.
    fn question(&self) -> String;

    /// Waits for the reply to a question: a JSON-RPC response without its envelope, `{"result": …}` or `{"error": …}`.
    /// `None`: none came in time.
    fn reply(&self, question: &str) -> BoxFuture<'static, Option<Value>>;

    /// Hands a reply to whoever waits for it, in whatever process. `false`: the question is not one of this grant's.
    fn deliver(&self, question: &str, reply: Value) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Seals what a client keeps for us and can neither read nor alter. It opens for the same person and client, for the
    /// same `request`, and not for long.
    fn seal(&self, request: &[u8], state: &str) -> String;

    /// Opens what [`Conversation::seal`] sealed.
    fn open(&self, request: &[u8], sealed: &str) -> Option<String>;

    /// Completes when the bearer token of this request is no longer good, since it has expired or its grant has been ended,
    /// and when the server is about to stop.
    fn ended(&self) -> BoxFuture<'static, ()>;
}

/// What a client and this server agreed on by `initialize` and `logging/setLevel` (MCP 2025-11-25, Lifecycle). Later
/// revisions say it with each request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Agreed {
    /// What the client can do.
    #[serde(default)]
    pub(super) capabilities: ClientCapabilities,
    /// The least severe log entries that it reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) log_level: Option<LogLevel>,
}

impl Agreed {
    /// What is agreed on once this request has succeeded. `None`: nothing changes.
    pub(super) fn after(&self, method: &str, params: &Map<String, Value>) -> Option<Self> {
        match method {
            "initialize" => {
                let capabilities = params.get("capabilities").cloned().unwrap_or_default();
                let mut capabilities: ClientCapabilities =
                    serde_json::from_value(capabilities).unwrap_or_default();
                // Of any size, and of no use to us. The grant is read with each request.
                capabilities.experimental = None;
                capabilities.extensions = None;
                if let Some(sampling) = &mut capabilities.sampling {
                    sampling.tools = sampling.tools.take().map(|_| Map::new());
                    sampling.context = sampling.context.take().map(|_| Map::new());
                }
                Some(Self { capabilities, log_level: None })
            }
            "logging/setLevel" => {
                let level = params.get("level").and_then(Value::as_str).and_then(LogLevel::parse)?;
                Some(Self { capabilities: self.capabilities.clone(), log_level: Some(level) })
            }
            _ => None,
        }
        .filter(|agreed| agreed != self)
    }
}

/// Whether a client with these capabilities can be asked this (MCP 2025-11-25 and 2026-07-28, Client Features).
pub(super) fn can_be_asked(
    capabilities: &ClientCapabilities,
    method: &str,
    params: Option<&Value>,
) -> Result<(), RpcError> {
    let mode = params.and_then(|params| params.get("mode")).and_then(Value::as_str);
    let elicitation = capabilities.elicitation.as_ref();
    let (able, needed) = match method {
        "elicitation/create" if mode == Some("url") => (
            elicitation.is_some_and(|elicitation| elicitation.url.is_some()),
            json!({ "elicitation": { "url": {} } }),
        ),
        // Declared without a mode, it means forms.
        "elicitation/create" => (
            elicitation.is_some_and(|elicitation| elicitation.form.is_some() || elicitation.url.is_none()),
            json!({ "elicitation": { "form": {} } }),
        ),
        "ping" => (true, Value::Null),
        "roots/list" => (capabilities.roots.is_some(), json!({ "roots": {} })),
        "sampling/createMessage" => (capabilities.sampling.is_some(), json!({ "sampling": {} })),
        _ => (false, json!({})),
    };
    if able {
        return Ok(());
    }
    Err(RpcError {
        code: RpcError::MISSING_CLIENT_CAPABILITY,
        message: "the client has not declared the capability that this needs".to_owned(),
        data: Some(json!({ "requiredCapabilities": needed })),
    })
}
