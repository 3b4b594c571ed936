//! What outlives one request. No process keeps it: questions and their replies are the grant's, and what a client declared
//! or is in the middle of travels with the client.

use rmcp::model::ClientCapabilities;
use serde_json::{Value, json};

use super::RpcError;
use crate::host::BoxFuture;

/// The grant behind a request, as far as MCP needs it. Implemented by the flow that holds the grant, and by tests.
pub trait GrantSession: Send + Sync + 'static {
    /// A name for a question to the client. Only who may speak for this grant can answer it, and only after it was asked.
    fn question(&self) -> String;

    /// Waits for the reply to a question: a JSON-RPC response without its envelope, `{"result": …}` or `{"error": …}`.
    /// `None`: none came in time.
    fn reply(&self, question: &str) -> BoxFuture<'static, Option<Value>>;

    /// Hands a reply to whoever waits for it, in whatever process. `false`: the question is not one of this grant's.
    fn deliver(&self, question: &str, reply: Value) -> BoxFuture<'_, Result<bool, DeliveryError>>;

    /// Seals what a client keeps for us and can neither read nor alter. It opens for the same person and client, for the
    /// same `place`, and for `lifetime` seconds.
    fn seal(&self, place: &[u8], text: &str, lifetime: u64) -> String;

    /// Opens what [`GrantSession::seal`] sealed.
    fn open(&self, place: &[u8], sealed: &str) -> Option<String>;

    /// Completes when the bearer token of this request is no longer good, since it has expired or its grant has been ended,
    /// and when the server is about to stop.
    fn ended(&self) -> BoxFuture<'static, ()>;
}

/// Why a reply was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// Other replies of this client wait in its place.
    #[error("other replies of this client wait in its place")]
    Full,
    /// Storage failed. The text is for the log.
    #[error("{0}")]
    Storage(String),
}

/// Whether a client with these capabilities can be asked this (MCP 2025-11-25 and 2026-07-28, Client Features).
pub(super) fn can_be_asked(
    capabilities: &ClientCapabilities,
    method: &str,
    params: Option<&Value>,
) -> Result<(), RpcError> {
    let mode = params.and_then(|params| params.get("mode")).and_then(Value::as_str);
    let (able, needed) = match method {
        "elicitation/create" if mode == Some("url") => (
            capabilities.elicitation.as_ref().is_some_and(|elicitation| elicitation.url.is_some()),
            json!({ "elicitation": { "url": {} } }),
        ),
        "elicitation/create" => (shows_forms(capabilities), json!({ "elicitation": { "form": {} } })),
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

/// Whether a client with these capabilities can show its person a form. Declared without a mode, elicitation means forms
/// (MCP 2025-11-25, Elicitation).
pub(super) fn shows_forms(capabilities: &ClientCapabilities) -> bool {
    let elicitation = capabilities.elicitation.as_ref();
    elicitation.is_some_and(|elicitation| elicitation.form.is_some() || elicitation.url.is_none())
}
