//! The tokens of `PingOne` in a grant: sealed, and refreshed by one request at a time.
//!
//! `PingOne` revokes all refresh tokens of a session when one of them is used twice. So a request takes a lease in the
//! record before it refreshes. Other requests use the current access token while it is valid, and wait otherwise.
//!
//! The record also holds the time at which the next refresh may begin, for every process and replica. There is a
//! minimum time between two refreshes, whatever lifetimes `PingOne` names, and a pause after a refresh that failed.

use serde::{Deserialize, Serialize};

use super::{Grant, associated_data};
use crate::{
    host::{GrantId, Timestamp},
    retry::{self, random_below},
    seal::{Random, Sealed, SealingKey},
    secret::Secret,
};

/// The sealed tokens of `PingOne`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SealedPingOneTokens {
    sealed: Sealed,
    refreshable: bool,
    lease: Option<Lease>,
    /// The time at which the access token expires.
    pub expires_at: Timestamp,
    /// The time from which a use of the access token has it refreshed, to check the login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_at: Option<Timestamp>,
    /// The number of refreshes so far.
    pub generation: u32,
    #[serde(default)]
    pauses: Pauses,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lease {
    #[serde(with = "crate::encoding::base64url")]
    id: [u8; 16],
    until: Timestamp,
}

/// The earliest times of the next refresh, and the failures that they depend on.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Pauses {
    /// Refreshes in a row that failed.
    failures: u32,
    not_before: Timestamp,
    /// Refreshes in a row after the API refused an access token.
    refusals: u32,
    not_before_for_api: Timestamp,
}

/// The tokens that `PingOne` issued. This server sends them to `PingOne` and to the API, and nowhere else.
#[derive(Debug)]
pub struct PingOneTokens {
    /// The access token for the API.
    pub access_token: Secret<String>,
    /// The refresh token, if `PingOne` issued one.
    pub refresh_token: Option<Secret<String>>,
    /// The time at which the access token expires.
    pub expires_at: Timestamp,
    /// The time from which a use of the access token has it refreshed, to check the login.
    pub check_at: Option<Timestamp>,
    /// `sub` of the access token: the user, as the API knows them.
    pub subject: String,
}

/// Why a request wants the tokens refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshReason {
    /// The access token expires within a minute, or the login is to be checked.
    Expiring,
    /// The API refused the access token of this [generation](SealedPingOneTokens::generation).
    Refused(u32),
}

/// The step that a request has to take before it uses the access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Refresh the tokens.
    Now,
    /// Use the access token.
    Nothing,
    /// Wait: another request is refreshing the tokens.
    Leased,
    /// The access token cannot be used, and there is no refresh token.
    Never,
    /// Refresh the tokens after a pause.
    NotBefore {
        /// The end of the pause.
        until: Timestamp,
        /// Whether the last refresh failed.
        failed: bool,
    },
}

/// Why a request does not get the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Another request holds the lease.
    #[error("another request is refreshing the token")]
    Held,
    /// `PingOne` issued no refresh token.
    #[error("there is no refresh token")]
    NotRefreshable,
}

/// The content of [`SealedPingOneTokens::sealed`].
#[derive(Serialize, Deserialize)]
struct SealedTokens {
    access_token: String,
    refresh_token: Option<String>,
    subject: String,
}

impl SealedPingOneTokens {
    pub(super) fn seal(tokens: &PingOneTokens, key: &SealingKey, id: GrantId, random: Random<'_>) -> Self {
        let mut plain = SealedTokens {
            access_token: tokens.access_token.expose().clone(),
            refresh_token: tokens.refresh_token.as_ref().map(|token| token.expose().clone()),
            subject: tokens.subject.clone(),
        };
        // Serializing strings cannot fail.
        let bytes = zeroize::Zeroizing::new(serde_json::to_vec(&plain).unwrap_or_default());
        zeroize::Zeroize::zeroize(&mut plain.access_token);
        zeroize::Zeroize::zeroize(&mut plain.refresh_token);
        Self {
            sealed: key.seal(&pingone_associated_data(id), &bytes, random),
            refreshable: tokens.refresh_token.is_some(),
            lease: None,
            expires_at: tokens.expires_at,
            check_at: tokens.check_at,
            generation: 0,
            pauses: Pauses::default(),
        }
    }

    /// Whether `PingOne` issued a refresh token.
    pub const fn is_refreshable(&self) -> bool {
        self.refreshable
    }

    /// Whether there is a lease, also one that has expired.
    pub const fn has_lease(&self) -> bool {
        self.lease.is_some()
    }

    /// Whether a request holds the lease.
    pub fn is_leased(&self, now: Timestamp) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.until.is_awaited(now, LEASE))
    }

    /// Decides what a request has to do before it uses the access token.
    pub fn due(&self, reason: RefreshReason, now: Timestamp) -> Due {
        let (wanted, not_before) = match reason {
            RefreshReason::Expiring => {
                let is_to_check = self.refreshable && self.check_at.is_some_and(|check_at| check_at <= now);
                (is_to_check || self.expires_at <= now.plus(EARLY), self.pauses.not_before)
            }
            RefreshReason::Refused(generation) => {
                let Pauses { failures, not_before, not_before_for_api, .. } = self.pauses;
                let after_failure = if failures > 0 { not_before } else { Timestamp(0) };
                let awaited = |until: &Timestamp| until.is_awaited(now, LONGEST_PAUSE);
                let later = [not_before_for_api, after_failure].into_iter().filter(awaited).max();
                (generation == self.generation, later.unwrap_or(now))
            }
        };
        if !wanted {
            Due::Nothing
        } else if !self.refreshable {
            Due::Never
        } else if self.is_leased(now) {
            Due::Leased
        } else if not_before.is_awaited(now, LONGEST_PAUSE) {
            Due::NotBefore { until: not_before, failed: self.pauses.failures > 0 }
        } else {
            Due::Now
        }
    }
}

impl Grant {
    /// Opens the tokens of `PingOne` with the key of a valid token. `None` if the key is that of another grant.
    pub fn open_pingone_tokens(&self, key: &SealingKey) -> Option<PingOneTokens> {
        let plain = key.open(&pingone_associated_data(self.id), &self.pingone.sealed)?;
        let plain: SealedTokens = serde_json::from_slice(&plain).ok()?;
        Some(PingOneTokens {
            access_token: Secret::new(plain.access_token),
            refresh_token: plain.refresh_token.map(Secret::new),
            expires_at: self.pingone.expires_at,
            check_at: self.pingone.check_at,
            subject: plain.subject,
        })
    }

    /// Takes the lease, identified by `id`, for 60 seconds: longer than the request to `PingOne` may take.
    pub fn begin_refresh(mut self, id: [u8; 16], now: Timestamp) -> Result<Self, LeaseError> {
        if !self.pingone.refreshable {
            return Err(LeaseError::NotRefreshable);
        }
        if self.pingone.is_leased(now) {
            return Err(LeaseError::Held);
        }
        self.drop_expired(now);
        self.pingone.lease = Some(Lease { id, until: now.plus(LEASE) });
        Ok(self)
    }

    /// Stores the tokens that `PingOne` issued, before they are checked: the refresh token before them no longer works.
    /// The lease goes on. `None` if another request took the lease, so that its tokens are kept.
    #[must_use]
    pub fn keep_tokens(
        mut self,
        id: [u8; 16],
        tokens: &PingOneTokens,
        key: &SealingKey,
        random: Random<'_>,
    ) -> Option<Self> {
        self.pingone.lease.as_ref().filter(|lease| lease.id == id)?;
        let SealedPingOneTokens { sealed, refreshable, expires_at, check_at, .. } =
            SealedPingOneTokens::seal(tokens, key, self.id, random);
        self.pingone = SealedPingOneTokens { sealed, refreshable, expires_at, check_at, ..self.pingone };
        Some(self)
    }

    /// Ends the lease after a successful refresh. `None` if another request took the lease.
    #[must_use]
    pub fn finish_refresh(
        mut self,
        id: [u8; 16],
        reason: RefreshReason,
        now: Timestamp,
        random: Random<'_>,
    ) -> Option<Self> {
        let pingone = &mut self.pingone;
        pingone.lease.take_if(|lease| lease.id == id)?;
        pingone.generation = pingone.generation.wrapping_add(1);
        // The next refresh is due after half of a short lifetime, but never within 10 seconds.
        let floor =
            (pingone.expires_at.since(now) / 2).clamp(FLOOR, EARLY) + random_below(FLOOR / 2 + 1, random);
        let refusals = match reason {
            RefreshReason::Expiring => 0,
            RefreshReason::Refused(_) => pingone.pauses.refusals.saturating_add(1),
        };
        let for_api = if refusals == 0 { FLOOR } else { FLOOR + retry::backoff(refusals + 2, random) };
        pingone.pauses = Pauses {
            failures: 0,
            not_before: now.plus(floor),
            refusals,
            not_before_for_api: now.plus(for_api),
        };
        // The token is used until the next refresh may begin, even if it says that it expires before. The API decides.
        pingone.expires_at = pingone.expires_at.max(pingone.pauses.not_before);
        Some(self)
    }

    /// Ends the lease after a refresh that failed. The next refresh waits for `retry_after` seconds (120 at most) or
    /// for a pause that grows with each failure, whichever is longer. `None` if another request took the lease.
    #[must_use]
    pub fn fail_refresh(
        mut self,
        id: [u8; 16],
        retry_after: Option<u64>,
        now: Timestamp,
        random: Random<'_>,
    ) -> Option<Self> {
        self.pingone.lease.take_if(|lease| lease.id == id)?;
        let pauses = &mut self.pingone.pauses;
        pauses.failures = pauses.failures.saturating_add(1);
        let pause = retry::backoff(pauses.failures, random);
        // Some random seconds keep grants from being refreshed at the same moment.
        let requested =
            retry_after.map_or(0, |seconds| seconds.min(LONGEST_WAIT) + random_below(FLOOR / 2, random));
        pauses.not_before = now.plus(pause.max(requested));
        Some(self)
    }
}

/// The associated data of the sealed tokens of `PingOne`.
fn pingone_associated_data(id: GrantId) -> Vec<u8> {
    [b"upstream", &associated_data(id)[..]].concat()
}

/// Seconds before its expiration at which an access token is refreshed.
const EARLY: u64 = 60;
/// Seconds between two refreshes of a grant, at least.
const FLOOR: u64 = 10;
/// Seconds after which a lease ends: longer than the timeout of the request to `PingOne`.
pub(crate) const LEASE: u64 = 60;
/// Seconds after which a refresh is tried again, even if `Retry-After` is longer.
pub(crate) const LONGEST_WAIT: u64 = 120;
/// Seconds that no pause exceeds. A longer one means that the clock was set back.
const LONGEST_PAUSE: u64 = LONGEST_WAIT + FLOOR;
