//! Audit events: one for each decision about the access of a user's agents.

use serde::Serialize;

use super::{GrantId, Timestamp};
use crate::encoding::hex;

/// A place that keeps audit events.
pub trait AuditLog: Send + Sync {
    /// Records an event. After it returns, the event survives the end of this process. It cannot fail: an
    /// implementation that cannot write the event reports that to the operator.
    fn record(&self, event: &AuditEvent);
}

/// An audit log that keeps nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoAuditLog;

impl AuditLog for NoAuditLog {
    fn record(&self, _: &AuditEvent) {}
}

/// A decision about a user's access. `docs/audit.md` describes its JSON.
///
/// It contains no token, secret or tool argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditEvent {
    /// The time of the decision, in seconds since 1970.
    pub time: Timestamp,
    /// The decision.
    #[serde(flatten)]
    pub decision: Decision,
    /// The access that the decision is about.
    #[serde(flatten)]
    pub access: AuditedAccess,
}

/// A user's access through a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditedAccess {
    /// `sub` of the user at `PingOne`. `None` before the user has logged in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The client.
    pub client: AuditedClient,
    /// The grant, in hexadecimal digits. `None` before there is one.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "grant_as_hex")]
    pub grant: Option<GrantId>,
}

/// The client of an audit event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditedClient {
    /// `client_id`.
    pub id: String,
    /// The name that the client chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A decision about access.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Decision {
    /// A user approved a client on the approval page, or the browser remembers an earlier approval.
    LoginApproved {
        /// The requested scopes.
        scopes: String,
        /// Whether the approval was remembered, and no page was shown.
        remembered: bool,
    },
    /// A user denied a client on the approval page.
    LoginDenied,
    /// A login ended without a grant.
    LoginRefused {
        /// The reason, for the operator.
        reason: String,
    },
    /// A login ended with a grant and an authorization code for it.
    GrantIssued {
        /// The granted scopes.
        scopes: String,
    },
    /// The client redeemed the authorization code.
    CodeRedeemed,
    /// The client exchanged a refresh token.
    TokensRefreshed,
    /// A user removed scopes from a grant.
    GrantNarrowed {
        /// The remaining scopes.
        scopes: String,
    },
    /// A grant ended before it expired.
    GrantEnded {
        /// The party that ended it.
        by: EndedBy,
    },
    /// A tool was called.
    ToolCalled {
        /// The tool.
        tool: String,
        /// SHA-256 of the JSON of the arguments, with sorted members and no spaces, in hexadecimal digits.
        arguments_sha256: String,
        /// The outcome.
        outcome: CallOutcome,
        /// Milliseconds until the result.
        ms: u64,
    },
    /// A request with a valid token was refused before a tool was called.
    CallRefused {
        /// The tool, if the request was read and names a tool that exists.
        #[serde(skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
        /// The reason.
        reason: RefusedBecause,
    },
}

/// The party that ended a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The client revoked a token (RFC 7009).
    Client,
    /// This server, because the user had more grants than one user may have, and it was the oldest.
    Limit,
    /// `PingOne` ended the login.
    Pingone,
    /// This server, because a code or a refresh token was used twice (OAuth 2.1 §4.1.3, §4.3.1).
    Replay,
    /// The user, on the page *Your agents*.
    User,
}

/// The outcome of a tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CallOutcome {
    /// The tool returned a result.
    Ok,
    /// The tool has a question for the user. The client calls again with the reply.
    InputRequired,
    /// The tool returned an error as its result (`isError`).
    ToolError,
    /// The response is a JSON-RPC error.
    RpcError,
    /// The user's login at `PingOne` had ended.
    LoginRequired,
    /// The client disconnected, its access ended, or the server stopped, before the result.
    Canceled,
}

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedBecause {
    /// The access token lacks a scope.
    InsufficientScope,
    /// The user, or all users together, exceeded a bound of concurrent work.
    TooMany,
}

#[expect(clippy::ref_option, reason = "the signature of serde")]
fn grant_as_hex<S: serde::Serializer>(grant: &Option<GrantId>, serializer: S) -> Result<S::Ok, S::Error> {
    match grant {
        Some(grant) => serializer.serialize_str(&hex(&grant.0)),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn audit_event_is_a_flat_json_object() {
        let event = AuditEvent {
            time: Timestamp(1_800_000_000),
            decision: Decision::ToolCalled {
                tool: "list_todos".to_owned(),
                arguments_sha256: "00".to_owned(),
                outcome: CallOutcome::Ok,
                ms: 12,
            },
            access: AuditedAccess {
                user: Some("ada".to_owned()),
                client: AuditedClient { id: "c".to_owned(), name: None },
                grant: Some(GrantId([0xab; 16])),
            },
        };
        assert_eq!(
            serde_json::to_value(event).unwrap(),
            json!({
                "time": 1_800_000_000, "event": "tool_called", "tool": "list_todos", "arguments_sha256": "00",
                "outcome": "ok", "ms": 12, "user": "ada", "client": {"id": "c"}, "grant": "ab".repeat(16),
            })
        );
    }
}
