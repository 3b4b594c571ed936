//! The login at `PingOne` behind a grant, and its end there.

use serde::{Deserialize, Serialize};

use super::Grant;
use crate::{
    host::{Digest, Timestamp},
    seal::digest,
};

/// The login at `PingOne` that a grant comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingOneLogin {
    /// The digest of `sid`, the session at `PingOne`, if the ID token has it.
    pub session: Option<Digest>,
    /// `iat` of the ID token: the time by the clock of `PingOne`.
    pub at: Timestamp,
}

impl PingOneLogin {
    /// The login of this grant. A grant of an earlier version does not know its session, and the end of one session does not
    /// end it.
    pub fn of(grant: &Grant) -> Self {
        grant.login.unwrap_or(Self { session: None, at: grant.created_at })
    }
}

/// The end of a user's logins at `PingOne`: of all, or of those in one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LoginsEnd {
    /// The time by the clock of `PingOne`. A later login has not ended.
    pub at: Timestamp,
    /// The digest of the session. `None`: all logins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Digest>,
}

impl LoginsEnd {
    /// The end of all logins before this second.
    pub fn before(now: Timestamp) -> Self {
        Self { at: Timestamp(now.0.saturating_sub(1)), session: None }
    }

    /// Whether it ends the login of this grant. The user has been compared.
    pub fn ends(&self, grant: &Grant) -> bool {
        self.ends_login(PingOneLogin::of(grant))
    }

    /// Whether it ends this login.
    pub fn ends_login(&self, login: PingOneLogin) -> bool {
        login.at <= self.at && self.session.is_none_or(|session| login.session == Some(session))
    }
}

/// The digest of a session's id.
pub fn session_digest(sid: &str) -> Digest {
    digest("session at PingOne", sid.as_bytes())
}
