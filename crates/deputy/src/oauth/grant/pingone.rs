//! The tokens of `PingOne` in a grant: sealed, and refreshed by one request at a time.
//!
//! `PingOne` revokes a whole family of refresh tokens when one is used twice. So a request that is to refresh takes a lease
//! in the record first; others use the token that is there while it is good, and wait otherwise.
//!
//! The record also says when the next refresh may begin. Every process and replica keeps to it: a grant is refreshed no more
//! than once in some seconds whatever `PingOne` says of lifetimes, and a refresh that failed is followed by a pause.

use serde::{Deserialize, Serialize};

use super::{Grant, associated_data};
use crate::{
    host::{GrantId, Timestamp},
    retry::{self, below},
    seal::{Key, Random, Sealed},
    secret::Secret,
};

/// The sealed tokens of `PingOne`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PingOneSession {
    sealed: Sealed,
    refreshable: bool,
    lease: Option<Lease>,
    /// When the access token expires.
    pub expires_at: Timestamp,
    /// How often it was refreshed.
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

/// When the next refresh may begin.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Pauses {
    /// Refreshes in a row that gave no access token.
    failures: u32,
    not_before: Timestamp,
    /// Refreshes in a row that an API which refused the token has asked for.
    refusals: u32,
    not_before_for_api: Timestamp,
}

/// What `PingOne` issued. Leaves this server in two directions only: back to `PingOne`, and to the API.
#[derive(Debug)]
pub struct PingOneTokens {
    /// For the API.
    pub access_token: Secret<String>,
    /// For the next access token.
    pub refresh_token: Option<Secret<String>>,
    /// When the access token expires.
    pub expires_at: Timestamp,
    /// The person, as the API sees them: `sub` of the access token.
    pub subject: String,
}

/// Why the tokens are refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshWhen {
    /// The access token has a minute or less to live.
    Expiring,
    /// The API has refused the access token of this generation.
    Refused(u32),
}

/// What there is to do before the access token is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A refresh, now.
    Now,
    /// Nothing.
    Nothing,
    /// A refresh that somebody else is at.
    Leased,
    /// A refresh, and there is no refresh token.
    Never,
    /// A refresh, when this pause is over.
    NotBefore {
        /// Its end.
        until: Timestamp,
        /// Whether the last refresh has failed.
        failed: bool,
    },
}

/// Why no lease is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else is refreshing.
    #[error("another request is refreshing the token")]
    Held,
    /// There is no refresh token.
    #[error("there is no refresh token")]
    NotRefreshable,
}

#[derive(Serialize, Deserialize)]
struct Plain {
    access_token: String,
    refresh_token: Option<String>,
    subject: String,
}

impl PingOneSession {
    pub(super) fn seal(tokens: &PingOneTokens, key: &Key, id: GrantId, random: Random<'_>) -> Self {
        let mut plain = Plain {
            access_token: tokens.access_token.expose().clone(),
            refresh_token: tokens.refresh_token.as_ref().map(|token| token.expose().clone()),
            subject: tokens.subject.clone(),
        };
        // Strings serialize.
        let bytes = zeroize::Zeroizing::new(serde_json::to_vec(&plain).unwrap_or_default());
        zeroize::Zeroize::zeroize(&mut plain.access_token);
        zeroize::Zeroize::zeroize(&mut plain.refresh_token);
        Self {
            sealed: key.seal(&pingone_associated_data(id), &bytes, random),
            refreshable: tokens.refresh_token.is_some(),
            lease: None,
            expires_at: tokens.expires_at,
            generation: 0,
            pauses: Pauses::default(),
        }
    }

    /// Whether there is a refresh token.
    pub const fn is_refreshable(&self) -> bool {
        self.refreshable
    }

    /// Whether somebody is refreshing.
    pub fn is_leased(&self, now: Timestamp) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.until.is_awaited(now, LEASE))
    }

    /// What there is to do before the access token is used.
    pub fn due(&self, reason: RefreshWhen, now: Timestamp) -> Due {
        let (wanted, not_before) = match reason {
            RefreshWhen::Expiring => (self.expires_at <= now.plus(EARLY), self.pauses.not_before),
            RefreshWhen::Refused(generation) => {
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
    /// The tokens of `PingOne`, with the key that a live token of ours gives.
    pub fn open_pingone_tokens(&self, key: &Key) -> Option<PingOneTokens> {
        let plain = key.open(&pingone_associated_data(self.id), &self.pingone.sealed)?;
        let plain: Plain = serde_json::from_slice(&plain).ok()?;
        Some(PingOneTokens {
            access_token: Secret::new(plain.access_token),
            refresh_token: plain.refresh_token.map(Secret::new),
            expires_at: self.pingone.expires_at,
            subject: plain.subject,
        })
    }

    /// Takes the lease to refresh, for as long as the request to `PingOne` may take and some more.
    pub fn begin_refresh(mut self, id: [u8; 16], now: Timestamp) -> Result<Self, LeaseError> {
        if !self.pingone.refreshable {
            return Err(LeaseError::NotRefreshable);
        }
        if self.pingone.is_leased(now) {
            return Err(LeaseError::Held);
        }
        self.forget_spent(now);
        self.pingone.lease = Some(Lease { id, until: now.plus(LEASE) });
        Ok(self)
    }

    /// Keeps the refresh token that `PingOne` has issued, beside an access token that is known to be good. The lease stays
    /// taken. `None`: the lease was lost to somebody who has refreshed since, and their tokens stay.
    #[must_use]
    pub fn keep_tokens(
        mut self,
        id: [u8; 16],
        tokens: &PingOneTokens,
        key: &Key,
        random: Random<'_>,
    ) -> Option<Self> {
        self.pingone.lease.as_ref().filter(|lease| lease.id == id)?;
        let PingOneSession { sealed, refreshable, expires_at, .. } =
            PingOneSession::seal(tokens, key, self.id, random);
        self.pingone = PingOneSession { sealed, refreshable, expires_at, ..self.pingone };
        Some(self)
    }

    /// Returns the lease after a refresh whose tokens were kept. `None` as before.
    #[must_use]
    pub fn finish_refresh(
        mut self,
        id: [u8; 16],
        reason: RefreshWhen,
        now: Timestamp,
        random: Random<'_>,
    ) -> Option<Self> {
        let pingone = &mut self.pingone;
        pingone.lease.take_if(|lease| lease.id == id)?;
        pingone.generation = pingone.generation.wrapping_add(1);
        // No more often than in half of a short lifetime, and not at once however short it is.
        let floor = (pingone.expires_at.since(now) / 2).clamp(FLOOR, EARLY) + below(FLOOR / 2 + 1, random);
        let refusals = match reason {
            RefreshWhen::Expiring => 0,
            RefreshWhen::Refused(_) => pingone.pauses.refusals.saturating_add(1),
        };
        let for_api = if refusals == 0 { FLOOR } else { FLOOR + retry::pause(refusals + 2, random) };
        pingone.pauses = Pauses {
            failures: 0,
            not_before: now.plus(floor),
            refusals,
            not_before_for_api: now.plus(for_api),
        };
        // Until the next one may be had, this one is used. It came a moment ago, so it is the API's to refuse it.
        pingone.expires_at = pingone.expires_at.max(pingone.pauses.not_before);
        Some(self)
    }

    /// Returns the lease after a refresh that gave no access token. The next one waits for `retry_after` seconds, or longer
    /// with each failure.
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
        let pause = retry::pause(pauses.failures, random);
        // With some seconds more, so that not everybody comes at the same moment.
        let asked = retry_after.map_or(0, |seconds| seconds.min(LONGEST_WAIT) + below(FLOOR / 2, random));
        pauses.not_before = now.plus(pause.max(asked));
        Some(self)
    }
}

fn pingone_associated_data(id: GrantId) -> Vec<u8> {
    [b"upstream", &associated_data(id)[..]].concat()
}

/// Seconds before its expiry at which a token is refreshed.
pub(crate) const EARLY: u64 = 60;
/// Seconds between two refreshes, at least.
const FLOOR: u64 = 10;
/// Seconds: longer than the deadline of the request to `PingOne`.
pub(crate) const LEASE: u64 = 60;
/// Seconds. Whatever `PingOne` says, it is asked again by then.
pub(crate) const LONGEST_WAIT: u64 = 120;
/// Seconds: longer than every pause.
const LONGEST_PAUSE: u64 = LONGEST_WAIT + FLOOR;
