//! Rotation of refresh tokens (OAuth 2.1 §4.3.1, RFC 9700 §4.14.2): each refresh issues a new refresh token, and the
//! use of an old one revokes the grant.
//!
//! A response can be lost, and processes of a client can share a refresh token. So a rotated token gets *the same*
//! response again, until its successor has been used, and for two minutes at most. The response is stored for this,
//! sealed under the rotated token itself. Any later use of a rotated token is a replay.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Grant, Issued, associated_data};
use crate::{
    config::Config,
    encoding::{base64url_decode, base64url_encode},
    host::{Digest, Timestamp},
    oauth::{ErrorCode, ReferenceToken, TokenKind},
    seal::{self, Random, Sealed, SealingKey},
    secret::Secret,
    types::{ClientId, ScopeError, Scopes},
};

/// The refresh token of a grant. `wrapped` is the grant's key sealed under the token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RefreshToken {
    digest: Digest,
    wrapped: Sealed,
    predecessor: Option<Predecessor>,
}

/// The refresh token that was rotated last, with the response that it got.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Predecessor {
    digest: Digest,
    wrapped: Sealed,
    rotated_at: Timestamp,
    #[serde(rename = "answer")]
    response: Sealed,
}

/// The token response to the rotation of a token. It is stored sealed only.
#[derive(Serialize, Deserialize)]
struct SealedResponse {
    access_token: Zeroizing<String>,
    refresh_token: Zeroizing<String>,
    expires_at: Timestamp,
    scopes: Scopes,
}

/// The result of a refresh.
#[derive(Debug)]
pub enum Refreshed {
    /// The response to an earlier use of the same token. The grant is unchanged.
    Repeated(Issued),
    /// New tokens. The caller must store the grant before it sends them.
    Rotated(Box<Grant>, Issued),
}

/// Why a refresh is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum RefreshError {
    /// The refresh token was issued to another client.
    #[error("the refresh token belongs to another client")]
    Client,
    /// The grant expired or was revoked.
    #[error("the refresh token is unknown, expired or revoked")]
    Ended,
    /// The response that would be repeated has more scopes than this request. Holds the scopes of the response.
    #[error(
        "the refresh token was used a moment ago, for a response that is repeated and has more scopes: {0}"
    )]
    RepeatedScope(Scopes),
    /// The refresh token was rotated before. The caller must delete the grant (OAuth 2.1 §4.3.1: revoke the active
    /// refresh token, since an attacker may have one of the two).
    #[error("the refresh token was used before")]
    Replayed,
    /// The request names no scope of the grant.
    #[error("{0}")]
    Scope(ScopeError),
    /// This server did not issue the refresh token.
    #[error("the refresh token is unknown")]
    Unknown,
}

impl RefreshError {
    /// The `error` code of the response (OAuth 2.1 §3.2.4).
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::RepeatedScope(_) | Self::Scope(_) => ErrorCode::InvalidScope,
            Self::Client | Self::Ended | Self::Replayed | Self::Unknown => ErrorCode::InvalidGrant,
        }
    }
}

impl RefreshToken {
    pub(super) fn new(digest: Digest, wrapped: Sealed) -> Self {
        Self { digest, wrapped, predecessor: None }
    }

    fn has_digest(&self, digest: &Digest) -> bool {
        seal::constant_time_eq(&self.digest.0, &digest.0)
    }
}

impl Predecessor {
    fn is_tolerated(&self, now: Timestamp) -> bool {
        now.since(self.rotated_at) < TOLERANCE
    }
}

impl Grant {
    /// Exchanges a refresh token for new tokens (OAuth 2.1 §4.3). A [`ReferenceToken`] was issued by this server for
    /// this grant, so a token that is neither the current one nor its predecessor was rotated earlier, and is a replay.
    pub fn refresh(
        mut self,
        token: &ReferenceToken,
        client_id: &ClientId,
        scopes: Option<&Scopes>,
        config: &Config,
        now: Timestamp,
        random: Random<'_>,
    ) -> Result<Refreshed, RefreshError> {
        if self.client_id != *client_id {
            return Err(RefreshError::Client);
        }
        let current = self.refresh_token.take().ok_or(RefreshError::Replayed)?;
        let presented = token.digest();
        if !current.has_digest(&presented) {
            return self.repeat_response(&current, token, scopes, now).map(Refreshed::Repeated);
        }
        let scopes = self.narrow_scopes(scopes)?;
        let key =
            token.key().unwrap(&associated_data(self.id), &current.wrapped).ok_or(RefreshError::Replayed)?;
        let (issued, mut next) = self.mint(scopes, &key, config, now, random);
        next.predecessor = Some(Predecessor {
            digest: current.digest,
            wrapped: current.wrapped,
            rotated_at: now,
            response: seal_response(&issued, token, now, random),
        });
        self.refresh_token = Some(next);
        Ok(Refreshed::Rotated(Box::new(self), issued))
    }

    /// The key that opens the tokens of `PingOne`, if `token` is a refresh token that [`Grant::refresh`] would accept.
    pub fn refresh_key(&self, token: &ReferenceToken, now: Timestamp) -> Option<SealingKey> {
        let current = self.refresh_token.as_ref()?;
        let presented = token.digest();
        let wrapped = if current.has_digest(&presented) {
            &current.wrapped
        } else {
            let old = current.predecessor.as_ref().filter(|old| old.is_tolerated(now))?;
            seal::constant_time_eq(&old.digest.0, &presented.0).then_some(&old.wrapped)?
        };
        token.key().unwrap(&associated_data(self.id), wrapped)
    }

    /// Drops expired access tokens, and the predecessor of the refresh token when it is no longer accepted.
    pub(super) fn drop_expired(&mut self, now: Timestamp) {
        self.access_tokens.retain(|held| held.expires_at > now);
        if let Some(current) = &mut self.refresh_token {
            current.predecessor.take_if(|old| !old.is_tolerated(now));
        }
    }

    fn repeat_response(
        &self,
        current: &RefreshToken,
        token: &ReferenceToken,
        scopes: Option<&Scopes>,
        now: Timestamp,
    ) -> Result<Issued, RefreshError> {
        let predecessor = current.predecessor.as_ref().ok_or(RefreshError::Replayed)?;
        let same = seal::constant_time_eq(&predecessor.digest.0, &token.digest().0);
        if !same || !predecessor.is_tolerated(now) {
            return Err(RefreshError::Replayed);
        }
        let response = open_response(&predecessor.response, token).ok_or(RefreshError::Replayed)?;
        // The user may have narrowed the grant since.
        let granted = response.scopes.intersection(&self.scopes);
        if !granted.is_subset(&self.narrow_scopes(scopes)?) {
            return Err(RefreshError::RepeatedScope(granted));
        }
        let secret = |text: &str| base64url_decode(text).map(Secret::new).ok_or(RefreshError::Replayed);
        Ok(Issued {
            access_token: ReferenceToken::of(
                TokenKind::AccessToken,
                self.id,
                secret(&response.access_token)?,
            ),
            refresh_token: ReferenceToken::of(
                TokenKind::RefreshToken,
                self.id,
                secret(&response.refresh_token)?,
            ),
            expires_in: response.expires_at.since(now),
            scopes: granted,
        })
    }

    /// The scopes of the new access token. OAuth 2.1 §4.3: `scope` must not include a scope that was not granted;
    /// without it, all granted scopes are meant.
    fn narrow_scopes(&self, scopes: Option<&Scopes>) -> Result<Scopes, RefreshError> {
        scopes
            .map_or_else(|| Ok(self.scopes.clone()), |requested| requested.granted(&self.scopes))
            .map_err(RefreshError::Scope)
    }
}

fn seal_response(issued: &Issued, token: &ReferenceToken, now: Timestamp, random: Random<'_>) -> Sealed {
    let response = SealedResponse {
        access_token: Zeroizing::new(base64url_encode(issued.access_token.secret().expose())),
        refresh_token: Zeroizing::new(base64url_encode(issued.refresh_token.secret().expose())),
        expires_at: now.plus(issued.expires_in),
        scopes: issued.scopes.clone(),
    };
    // Serializing strings and numbers cannot fail.
    let response = Zeroizing::new(serde_json::to_vec(&response).unwrap_or_default());
    token.key().seal(&response_associated_data(token), &response, random)
}

fn open_response(sealed: &Sealed, token: &ReferenceToken) -> Option<SealedResponse> {
    serde_json::from_slice(&token.key().open(&response_associated_data(token), sealed)?).ok()
}

fn response_associated_data(token: &ReferenceToken) -> Vec<u8> {
    [b"answer", &token.grant().0[..]].concat()
}

/// Seconds for which a rotated token gets the same response again.
const TOLERANCE: u64 = 120;
