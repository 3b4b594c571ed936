//! Happenings to users, the events that the webhook is to deliver, and its deliveries.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that happened to a user.
#[derive(Clone, Debug)]
pub(crate) struct Happening {
    /// As in `USER.LOCKED`.
    pub(crate) kind: &'static str,
    /// The id of the user.
    pub(crate) user: String,
    /// The id of the session, for `SESSION.DELETED`.
    pub(crate) session: Option<String>,
    /// The client id of the application, for `OAUTH_CONSENT.REVOKED`; empty for the configured one.
    pub(crate) client_id: Option<String>,
}

impl Happening {
    pub(crate) fn to(user: &str, kind: &'static str) -> Self {
        Self { kind, user: user.to_owned(), session: None, client_id: None }
    }

    pub(crate) fn revoked_consent(client_id: &str, user: &str) -> Self {
        Self { client_id: Some(client_id.to_owned()), ..Self::to(user, "OAUTH_CONSENT.REVOKED") }
    }

    pub(crate) fn end_of_session(id: &str, user: &str) -> Self {
        Self { session: Some(id.to_owned()), ..Self::to(user, "SESSION.DELETED") }
    }
}

/// An event in the form of PingOne's activities API.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    /// The time on this PingOne's clock.
    pub(crate) at: u64,
    pub(crate) json: Value,
}

/// The events that wait, and what was sent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Outbox {
    pub(crate) waiting: Vec<Event>,
    /// The batch that is delivered until the response is 200.
    pub(crate) batch: Vec<Event>,
    /// Its deliveries that succeeded, and those that failed.
    pub(crate) delivered: u32,
    pub(crate) failed: u32,
    /// The time of the next attempt.
    pub(crate) not_before: u64,
    pub(crate) sent: Vec<Sent>,
}

/// A delivery that was sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) at: u64,
    pub(crate) events: Vec<String>,
    /// The status of the response, or why there is none.
    pub(crate) response: String,
}
