//! What a client declares once for many requests (MCP 2025-11-25, Lifecycle), kept by the client itself.
//!
//! `initialize` is answered with an `Mcp-NegotiatedState-Id` that carries what the client declared, sealed. The client sends it back
//! with each of its requests, so that what was declared is as narrow as the connection: two programs that share a token
//! declare for themselves. The server stores nothing for it. The value authorizes nothing and names nobody; without it, or
//! with one that does not open, a request is served as one of a client that has declared nothing.

use http::{HeaderMap, HeaderName, HeaderValue};
use rmcp::model::ClientCapabilities;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{GrantSession, headers::single, peer::LogLevel};

/// `Mcp-NegotiatedState-Id` (MCP 2025-11-25, Transports, Session Management).
pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// What a client declared by `initialize` and `logging/setLevel`. Later revisions declare it with each request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct NegotiatedState {
    /// What the client can do.
    #[serde(default)]
    pub(super) capabilities: ClientCapabilities,
    /// The least severe log entries that it reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) log_level: Option<LogLevel>,
}

impl NegotiatedState {
    /// What the client that sends these headers declared.
    pub(super) fn of(headers: &HeaderMap, conversation: &dyn GrantSession) -> Self {
        let id = single(headers, &SESSION_ID).ok().flatten().filter(|id| id.len() <= LONGEST_ID);
        let declared = id.and_then(|id| conversation.open(PLACE, id));
        declared.and_then(|declared| serde_json::from_str(&declared).ok()).unwrap_or_default()
    }

    /// What is declared once this request has succeeded. `None`: the request declares nothing.
    pub(super) fn after(&self, method: &str, params: &Map<String, Value>) -> Option<Self> {
        match method {
            "initialize" => {
                let capabilities = params.get("capabilities").cloned().unwrap_or_default();
                let capabilities = serde_json::from_value(capabilities).unwrap_or_default();
                Some(Self { capabilities: bounded(capabilities), log_level: None })
            }
            "logging/setLevel" => {
                let level = params.get("level").and_then(Value::as_str).and_then(LogLevel::parse)?;
                Some(Self { capabilities: self.capabilities.clone(), log_level: Some(level) })
            }
            _ => None,
        }
    }

    /// The session id that carries this.
    pub(super) fn id(&self, conversation: &dyn GrantSession) -> Option<HeaderValue> {
        let declared = serde_json::to_string(self).ok()?;
        let id = conversation.seal(PLACE, &declared, LIFETIME);
        HeaderValue::try_from(id).ok().filter(|id| id.len() <= LONGEST_ID)
    }
}

/// The capabilities without members of any size, which are of no use to the server: the client sends them with every
/// request.
fn bounded(mut capabilities: ClientCapabilities) -> ClientCapabilities {
    capabilities.experimental = None;
    capabilities.extensions = None;
    if let Some(sampling) = &mut capabilities.sampling {
        sampling.tools = sampling.tools.take().map(|_| Map::new());
        sampling.context = sampling.context.take().map(|_| Map::new());
    }
    capabilities
}

/// Where a session id belongs, among what clients keep for the server.
const PLACE: &[u8] = b"session";
/// Seconds. A connection may last for as long as its client runs, and the value gives no access that could end.
const LIFETIME: u64 = u64::MAX;
/// Bytes of a session id. One in which everything is declared has about 400.
const LONGEST_ID: usize = 1024;
