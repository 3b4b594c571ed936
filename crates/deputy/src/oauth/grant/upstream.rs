//! The tokens of `PingOne` in a grant: sealed, and renewed by one request at a time.
//!
//! `PingOne` revokes a whole family of refresh tokens when one is used twice. So whoever wants to renew takes a lease in
//! the record first; everybody else waits for what comes of it.

use serde::{Deserialize, Serialize};

use super::{Grant, place};
use crate::{
    host::{GrantId, Timestamp},
    seal::{Key, Random, Sealed},
    secret::Secret,
};

/// The sealed tokens of `PingOne`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Upstream {
    sealed: Sealed,
    refreshable: bool,
    lease: Option<Lease>,
    /// When the access token expires.
    pub expires_at: Timestamp,
    /// How often it was renewed.
    pub generation: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lease {
    #[serde(with = "crate::encoding::base64url")]
    id: [u8; 16],
    until: Timestamp,
}

/// What `PingOne` issued. Leaves this server in two directions only: back to `PingOne`, and to the API.
#[derive(Debug)]
pub struct UpstreamTokens {
    /// For the API.
    pub access_token: Secret<String>,
    /// For the next access token.
    pub refresh_token: Option<Secret<String>>,
    /// When the access token expires.
    pub expires_at: Timestamp,
    /// The person, as the API sees them: `sub` of the access token.
    pub subject: String,
}

/// Why no lease is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else is renewing.
    #[error("another request is renewing the token")]
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

impl Upstream {
    pub(super) fn seal(tokens: &UpstreamTokens, key: &Key, id: GrantId, random: Random<'_>) -> Self {
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
            sealed: key.seal(&upstream_place(id), &bytes, random),
            refreshable: tokens.refresh_token.is_some(),
            lease: None,
            expires_at: tokens.expires_at,
            generation: 0,
        }
    }

    /// Whether there is a refresh token.
    pub const fn is_refreshable(&self) -> bool {
        self.refreshable
    }

    /// Whether somebody is renewing.
    pub fn is_leased(&self, now: Timestamp) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.until > now)
    }
}

impl Grant {
    /// The tokens of `PingOne`, with the key that a live token of ours gives.
    pub fn open_upstream(&self, key: &Key) -> Option<UpstreamTokens> {
        let plain = key.open(&upstream_place(self.id), &self.upstream.sealed)?;
        let plain: Plain = serde_json::from_slice(&plain).ok()?;
        Some(UpstreamTokens {
            access_token: Secret::new(plain.access_token),
            refresh_token: plain.refresh_token.map(Secret::new),
            expires_at: self.upstream.expires_at,
            subject: plain.subject,
        })
    }

    /// Takes the lease to renew, for as long as the request to `PingOne` may take and some more.
    pub fn begin_upstream_refresh(mut self, id: [u8; 16], now: Timestamp) -> Result<Self, LeaseError> {
        if !self.upstream.refreshable {
            return Err(LeaseError::NotRefreshable);
        }
        if self.upstream.is_leased(now) {
            return Err(LeaseError::Held);
        }
        self.forget_spent(now);
        self.upstream.lease = Some(Lease { id, until: now.plus(LEASE) });
        Ok(self)
    }

    /// Puts what `PingOne` answered in place of the old tokens and returns the lease. `None`: the lease was lost to
    /// somebody who has renewed since, and their tokens stay.
    #[must_use]
    pub fn finish_upstream_refresh(
        mut self,
        id: [u8; 16],
        tokens: &UpstreamTokens,
        key: &Key,
        random: Random<'_>,
    ) -> Option<Self> {
        self.upstream.lease.take_if(|lease| lease.id == id)?;
        let generation = self.upstream.generation.wrapping_add(1);
        self.upstream = Upstream { generation, ..Upstream::seal(tokens, key, self.id, random) };
        Some(self)
    }

    /// Returns the lease with nothing changed: `PingOne` could not be asked.
    #[must_use]
    pub fn abandon_upstream_refresh(mut self, id: [u8; 16]) -> Option<Self> {
        self.upstream.lease.take_if(|lease| lease.id == id)?;
        Some(self)
    }
}

fn upstream_place(id: GrantId) -> Vec<u8> {
    [b"upstream", &place(id)[..]].concat()
}

/// Seconds: longer than the deadline of the request to `PingOne`.
const LEASE: u64 = 45;
