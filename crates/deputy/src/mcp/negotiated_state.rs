//! The state that a client negotiates once for many requests (MCP 2025-11-25, Lifecycle). The client keeps it.
//!
//! The response to `initialize` has an `Mcp-Session-Id` that contains the client's declarations, sealed. The client
//! sends it back with each of its requests. So two programs that share an access token each have their own state, and
//! the server stores nothing. The value authorizes nothing and names no user. A request without it, or with one that
//! cannot be opened, is served as if its client had declared nothing.

use http::{HeaderMap, HeaderName, HeaderValue};
use rmcp::model::ClientCapabilities;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{RequestGrant, headers::single, peer::LogLevel};

/// `Mcp-Session-Id` (MCP 2025-11-25, Transports, Session Management).
pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// The declarations that a client made with `initialize` and `logging/setLevel`. In later revisions each request has
/// them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct NegotiatedState {
    #[serde(default)]
    pub(super) capabilities: ClientCapabilities,
    /// The least severe log entries that the client wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) log_level: Option<LogLevel>,
}

impl NegotiatedState {
    /// The state that a request comes with. `initialize` begins with none.
    pub(super) fn before(method: &str, headers: &HeaderMap, grant: &dyn RequestGrant) -> Self {
        if method == "initialize" {
            return Self::default();
        }
        let id = single(headers, &SESSION_ID).ok().flatten().filter(|id| id.len() <= LONGEST_ID);
        let declared = id.and_then(|id| grant.open(PURPOSE, id));
        declared.and_then(|declared| serde_json::from_str(&declared).ok()).unwrap_or_default()
    }

    /// The state after a request, if it succeeds. `None`: the request changes nothing.
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

    /// The session id that contains this state.
    pub(super) fn id(&self, grant: &dyn RequestGrant) -> Option<HeaderValue> {
        let declared = serde_json::to_string(self).ok()?;
        let id = grant.seal(PURPOSE, &declared, LIFETIME);
        HeaderValue::try_from(id).ok().filter(|id| id.len() <= LONGEST_ID)
    }
}

/// The capabilities without members of unbounded size. The server does not use them, and the client would send them
/// with every request.
fn bounded(mut capabilities: ClientCapabilities) -> ClientCapabilities {
    capabilities.experimental = None;
    capabilities.extensions = None;
    if let Some(sampling) = &mut capabilities.sampling {
        sampling.tools = sampling.tools.take().map(|_| Map::new());
        sampling.context = sampling.context.take().map(|_| Map::new());
    }
    capabilities
}

/// Distinguishes session ids from other sealed values that clients keep.
const PURPOSE: &[u8] = b"session";
/// Seconds. A session may last as long as its client runs, and the value grants no access.
const LIFETIME: u64 = u64::MAX;
/// Bytes of a session id. With every declaration it has about 400.
const LONGEST_ID: usize = 1024;
