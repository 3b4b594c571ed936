//! The state that outlives one request. No process holds it: replies to questions are records of the grant, and the
//! client keeps the rest, sealed.

use rmcp::model::ClientCapabilities;
use serde_json::{Value, json};

use super::{Challenge, RpcError};
use crate::host::{BoxFuture, CallOutcome, RefusedBecause};

/// The grant of a request, as far as MCP needs it. Implemented on stored grants, and by tests.
pub trait RequestGrant: Send + Sync + 'static {
    /// A new id for a question to the client. It cannot be guessed, and only requests of this grant can reply to it.
    fn question_id(&self) -> String;

    /// Waits for the reply to a question: a JSON-RPC response without its envelope, `{"result": …}` or `{"error": …}`.
    /// `None`: no reply came in time.
    fn await_reply(&self, question: &str) -> BoxFuture<'static, Option<Value>>;

    /// Delivers a reply to the request that waits for it, in any process. `false`: the id is not one of this grant.
    fn deliver_reply(&self, question: &str, reply: Value) -> BoxFuture<'_, Result<bool, DeliveryError>>;

    /// Seals text that the client keeps and can neither read nor alter. It opens for the same user, client and
    /// `purpose`, and for `lifetime` seconds.
    fn seal(&self, purpose: &[u8], text: &str, lifetime: u64) -> String;

    /// Opens what [`RequestGrant::seal`] sealed.
    fn open(&self, purpose: &[u8], sealed: &str) -> Option<String>;

    /// Completes when a stream of this request must end: its access token has expired, its grant was revoked, or the
    /// server is about to stop.
    fn until_closed(&self) -> BoxFuture<'static, ()>;

    /// Completes when a call that needs the scopes `required` must end: its grant was ended, or narrowed to other
    /// scopes, or the client has cancelled the call. `call` is the name that [`RequestGrant::cancel`] gets. By default it
    /// never completes.
    fn until_withdrawn(&self, required: Vec<String>, call: Option<String>) -> BoxFuture<'static, Withdrawn> {
        let _ = (required, call);
        Box::pin(std::future::pending())
    }

    /// Ends the call with this name, in whichever process it is under way. By default nothing ends.
    fn cancel(&self, call: &str) -> BoxFuture<'_, ()> {
        let _ = call;
        Box::pin(std::future::ready(()))
    }

    /// Whether the user has approved the tool, prompt or resource with this name, which the scopes of the request open.
    /// By default they have.
    fn has_approved(&self, name: &str) -> bool {
        let _ = name;
        true
    }

    /// Begins a call of a tool that exists. By default nothing is recorded.
    fn begin_call(&self, tool: &str, arguments: &Value) -> Box<dyn CallRecord> {
        let _ = (tool, arguments);
        Box::new(())
    }

    /// Records that a request was refused before anything was called. `tool` is the tool that it names, if there is one.
    /// By default nothing is recorded.
    fn refuse_call(&self, tool: Option<&str>, reason: RefusedBecause) {
        let _ = (tool, reason);
    }
}

/// Why a call ends before its tool has finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    /// The client has cancelled it, and expects no response.
    Cancelled,
    /// The grant no longer authorizes it.
    Unauthorized(Challenge),
}

/// The record of a tool call under way. It always ends.
pub trait CallRecord: Send {
    /// Ends the call.
    fn end(self: Box<Self>, outcome: CallOutcome);
}

/// No record.
impl CallRecord for () {
    fn end(self: Box<Self>, _: CallOutcome) {}
}

/// Why a reply was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// Too many replies of this client wait to be read.
    #[error("too many replies of this client wait to be read")]
    Full,
    /// Storage failed. The text is for the log only.
    #[error("{0}")]
    Storage(String),
}

/// Whether a client with these capabilities accepts this request (MCP 2025-11-25 and 2026-07-28, Client Features).
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

/// Whether a client with these capabilities can show a form to its user. Elicitation that is declared without a mode
/// means forms (MCP 2025-11-25, Elicitation).
pub(super) fn shows_forms(capabilities: &ClientCapabilities) -> bool {
    let elicitation = capabilities.elicitation.as_ref();
    elicitation.is_some_and(|elicitation| elicitation.form.is_some() || elicitation.url.is_none())
}
