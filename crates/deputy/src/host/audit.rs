//! Audit events: one for each decision about the access of a user's agents.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct as _};

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
/// It contains no token or secret, and the arguments of a tool call only with `AUDIT_ARGUMENTS=on`.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedAccess {
    /// `sub` of the user at `PingOne`. `None` before the user has logged in.
    pub user: Option<String>,
    /// The client. `None` for a login to *Your agents*, and before the client is known.
    pub client: Option<AuditedClient>,
    /// The login, and the grant that it ends in. `None` for a decision about all logins of a client.
    pub grant: Option<GrantId>,
}

impl Serialize for AuditedAccess {
    /// Adds the reference of the login, by which the user and the client know it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut access = serializer.serialize_struct("AuditedAccess", 4)?;
        if let Some(user) = &self.user {
            access.serialize_field("user", user)?;
        }
        if let Some(client) = &self.client {
            access.serialize_field("client", client)?;
        }
        if let Some(grant) = self.grant {
            access.serialize_field("grant", &hex(&grant.0))?;
            access.serialize_field("reference", &grant.reference())?;
        }
        access.end()
    }
}

/// The client of an audit event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditedClient {
    /// `client_id`, or its name if the client registered ([`RegisteredId`](crate::types::RegisteredId)).
    pub id: String,
    /// The name that the client chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A decision about access.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Decision {
    /// An authorization request of a client was accepted.
    LoginBegun {
        /// The requested scopes.
        scopes: String,
    },
    /// A user approved a client on the approval page, or the browser remembers an earlier approval.
    LoginApproved {
        /// The requested scopes.
        scopes: String,
        /// Whether the approval was remembered, and no page was shown.
        remembered: bool,
    },
    /// A user denied a client on the approval page.
    LoginDenied,
    /// The user's browser was sent to `PingOne`.
    LoginSent,
    /// The user's browser came back from `PingOne` with a code.
    LoginReturned,
    /// A step of a login was refused.
    LoginRefused {
        /// The step.
        at: LoginStep,
        /// The kind of the reason.
        code: &'static str,
        /// The reason, for the operator.
        reason: String,
    },
    /// A user signed in to *Your agents*.
    SignedIn,
    /// A login ended with a grant and an authorization code for it.
    GrantIssued {
        /// The granted scopes.
        scopes: String,
    },
    /// The client redeemed the authorization code.
    CodeRedeemed,
    /// The client exchanged a refresh token.
    TokensRefreshed,
    /// The client got no tokens for a refresh token.
    RefreshRefused {
        /// The kind of the reason.
        code: &'static str,
        /// The reason, for the operator.
        reason: String,
    },
    /// A user removed scopes from a grant.
    GrantNarrowed {
        /// The remaining scopes.
        scopes: String,
    },
    /// A grant ended before it expired.
    GrantEnded {
        /// The party that ended it.
        #[serde(flatten)]
        by: EndedBy,
    },
    /// The operator blocked a client, or every client of a host.
    ClientBlocked,
    /// The operator unblocked it.
    ClientUnblocked,
    /// The operator got stored records.
    RecordsExported {
        /// The number of grants among them.
        grants: usize,
    },
    /// A tool was called.
    ToolCalled {
        /// The tool.
        tool: String,
        /// SHA-256 of the JSON of the arguments, with sorted members and no spaces, in hexadecimal digits.
        arguments_sha256: String,
        /// The beginning of that JSON, with `AUDIT_ARGUMENTS=on`.
        #[serde(skip_serializing_if = "Option::is_none")]
        arguments: Option<String>,
        /// Whether `arguments` lacks the end of that JSON.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        arguments_cut: bool,
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

/// A step of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, strum::Display, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum LoginStep {
    /// The client sent the user's browser to the authorization endpoint.
    Authorize,
    /// The user decided on the approval page.
    Approval,
    /// The user's browser was to be sent to `PingOne`.
    Pingone,
    /// The user's browser came back from `PingOne`.
    Callback,
    /// The client redeemed its code.
    Redemption,
    /// The client exchanged a refresh token, later.
    Refresh,
}

/// The party that ended a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum EndedBy {
    /// The client revoked a token (RFC 7009).
    Client,
    /// This server, because the user had more grants than one user may have, and it was the oldest.
    Limit,
    /// The operator.
    Operator,
    /// `PingOne` ended the login.
    Pingone {
        /// The event that its webhook reported. `None`: it refused a refresh.
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<PingOneEvent>,
    },
    /// This server, because a code or a refresh token was used twice (OAuth 2.1 §4.1.3, §4.3.1).
    Replay,
    /// The user, on the page *Your agents*.
    User,
}

/// An event at `PingOne` that ends logins, as its audit names it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::EnumString, strum::IntoStaticStr, strum::VariantArray,
)]
#[serde(into = "&'static str")]
pub enum PingOneEvent {
    /// The user, or an administrator, revoked the consent to an application.
    #[strum(serialize = "OAUTH_CONSENT.REVOKED")]
    ConsentRevoked,
    /// The user has to change the password.
    #[strum(serialize = "PASSWORD.FORCE_CHANGE")]
    PasswordForceChange,
    /// The user recovered the account.
    #[strum(serialize = "PASSWORD.RECOVERY")]
    PasswordRecovery,
    /// The password was reset.
    #[strum(serialize = "PASSWORD.RESET")]
    PasswordReset,
    /// An administrator set the password.
    #[strum(serialize = "PASSWORD.SET")]
    PasswordSet,
    /// A session ended.
    #[strum(serialize = "SESSION.DELETED")]
    SessionDeleted,
    /// The user was deleted.
    #[strum(serialize = "USER.DELETED")]
    UserDeleted,
    /// The user was disabled.
    #[strum(serialize = "USER.DISABLED")]
    UserDisabled,
    /// The account was locked.
    #[strum(serialize = "USER.LOCKED")]
    UserLocked,
}

impl PingOneEvent {
    /// Whether it is about the user's password.
    pub const fn is_of_password(self) -> bool {
        matches!(
            self,
            Self::PasswordForceChange | Self::PasswordRecovery | Self::PasswordReset | Self::PasswordSet
        )
    }
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
    /// The tool is new under the scopes of the access token, and the user has not approved it yet.
    NotApproved,
    /// The user, or all users together, exceeded a bound of concurrent work.
    TooMany,
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
                arguments: None,
                arguments_cut: false,
                outcome: CallOutcome::Ok,
                ms: 12,
            },
            access: AuditedAccess {
                user: Some("ada".to_owned()),
                client: Some(AuditedClient { id: "c".to_owned(), name: None }),
                grant: Some(GrantId([0xab; 16])),
            },
        };
        assert_eq!(
            serde_json::to_value(event).unwrap(),
            json!({
                "time": 1_800_000_000, "event": "tool_called", "tool": "list_todos", "arguments_sha256": "00",
                "outcome": "ok", "ms": 12, "user": "ada", "client": {"id": "c"}, "grant": "ab".repeat(16),
                "reference": "NENT-QAXB",
            })
        );
    }
}
