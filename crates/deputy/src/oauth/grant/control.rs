//! Ending and narrowing of a grant, for its user, who has no token of the grant; and cancelling of its calls.
//!
//! Only a token of the grant opens the tokens of `PingOne`, so their refresh token cannot be revoked yet. The ended
//! grant stays in the store without the claims of the user. The next request of the client is refused, and its token
//! opens them for the revocation.

use serde::{Deserialize, Serialize};

use super::Grant;
use crate::{
    host::{Digest, Timestamp},
    types::{ApprovedTools, Scopes, User},
};

/// A call that the client has cancelled. The process that runs it finds it here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct CancelledCall {
    call: Digest,
    at: Timestamp,
}

impl Grant {
    /// Ends the grant. From now on it authorizes nothing. [`Grant::key_for`] still opens the tokens of `PingOne` with a
    /// token of the client.
    #[must_use]
    pub fn end(self) -> Self {
        Self {
            has_ended: true,
            user: User::default(),
            client_name: None,
            redirect_host: None,
            scopes: Scopes::default(),
            declined: Scopes::default(),
            approved_tools: None,
            ..self
        }
    }

    /// Whether [`Grant::end`] was applied.
    pub const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether a client may hold a token that opens the tokens of `PingOne`.
    pub const fn was_redeemed(&self) -> bool {
        self.refresh_token.is_some()
    }

    /// Keeps only the scopes in `kept`, in the grant and in every access token, and only the approved tools that these scopes
    /// open. `None` if no scope would be left.
    #[must_use]
    pub fn narrow(mut self, kept: &Scopes, opened_by: impl FnOnce(&Scopes) -> ApprovedTools) -> Option<Self> {
        let scopes = self.scopes.intersection(kept);
        if scopes.is_empty() {
            return None;
        }
        let lost = self.scopes.iter().filter(|scope| !kept.contains(scope));
        self.declined = Scopes::of(self.declined.iter().chain(lost));
        for held in &mut self.access_tokens {
            held.scopes = held.scopes.intersection(&scopes);
        }
        self.approved_tools = self.approved_tools.map(|approved| approved.intersection(&opened_by(&scopes)));
        self.scopes = scopes;
        Some(self)
    }

    /// Cancels the call with this name, if it is under way. Only the newest eight cancellations are kept.
    #[must_use]
    pub fn cancel(mut self, call: Digest, now: Timestamp) -> Self {
        self.cancelled.insert(0, CancelledCall { call, at: now });
        self.cancelled.truncate(CANCELLED);
        self
    }

    /// Whether the call with this name, which began at `begun`, was cancelled. A client may use the name again later.
    pub fn has_cancelled(&self, call: Digest, begun: Timestamp) -> bool {
        self.cancelled.iter().any(|cancelled| cancelled.call == call && cancelled.at >= begun)
    }
}

/// Cancellations of a grant.
const CANCELLED: usize = 8;
