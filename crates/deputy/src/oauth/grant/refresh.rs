//! Rotation of refresh tokens (OAuth 2.1 §4.3.1, RFC 9700 §4.14.2).
//!
//! A rotated token is tolerated once more, because an answer can be lost and because processes share credentials: until
//! its successor has been used, and for two minutes at most, it gives *the same* successor again. The successor is kept
//! for this sealed under the rotated token itself. Any later use of a rotated token is a replay.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Grant, Issued, associated_data};
use crate::{
    config::Config,
    encoding::{base64url_decode, base64url_encode},
    host::{Digest, Timestamp},
    oauth::{ErrorCode, ReferenceToken, TokenKind},
    seal::{self, Key, Random, Sealed},
    secret::Secret,
    types::{ClientId, ScopeError, Scopes},
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RefreshToken {
    digest: Digest,
    wrapped: Sealed,
    predecessor: Option<Predecessor>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Predecessor {
    digest: Digest,
    wrapped: Sealed,
    rotated_at: Timestamp,
    answer: Sealed,
}

/// What was answered when a token was rotated. Exists only sealed.
#[derive(Serialize, Deserialize)]
struct Answer {
    access_token: Zeroizing<String>,
    refresh_token: Zeroizing<String>,
    expires_at: Timestamp,
    scopes: Scopes,
}

/// A refresh token was accepted.
#[derive(Debug)]
pub enum Refreshed {
    /// The answer that an earlier use of the same token got. Nothing is to be written.
    Again(Issued),
    /// New tokens. The grant is to be written.
    Rotated(Box<Grant>, Issued),
}

/// Why a refresh token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// The answer to be repeated has more scopes than are asked for now.
    #[error("the refresh token was used a moment ago, and answered with more scopes: {0}")]
    Answered(Scopes),
    /// It was issued to another client.
    #[error("the refresh token belongs to another client")]
    Client,
    /// Its grant is gone.
    #[error("the refresh token is unknown, expired or revoked")]
    Ended,
    /// It was rotated. On this the caller must delete the grant (OAuth 2.1 §4.3.1).
    #[error("the refresh token was used before")]
    Replayed,
    /// Nothing of what was granted.
    #[error("{0}")]
    Scope(ScopeError),
    /// This server did not make it.
    #[error("the refresh token is unknown")]
    Unknown,
}

impl RefreshError {
    /// The code on the wire.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Answered(_) | Self::Scope(_) => ErrorCode::InvalidScope,
            Self::Client | Self::Ended | Self::Replayed | Self::Unknown => ErrorCode::InvalidGrant,
        }
    }
}

impl RefreshToken {
    pub(super) fn new(digest: Digest, wrapped: Sealed) -> Self {
        Self { digest, wrapped, predecessor: None }
    }

    fn is(&self, digest: &Digest) -> bool {
        seal::constant_time_eq(&self.digest.0, &digest.0)
    }
}

impl Predecessor {
    fn is_tolerated(&self, now: Timestamp) -> bool {
        now.since(self.rotated_at) < TOLERANCE
    }
}

impl Grant {
    /// Exchanges a refresh token for new tokens (OAuth 2.1 §4.3). `token` carries our tag, so we issued it for this
    /// grant: if it is neither the live one nor its predecessor, it is spent.
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
        if !current.is(&presented) {
            return self.answer_again(&current, token, scopes, now).map(Refreshed::Again);
        }
        let scopes = self.narrowed(scopes)?;
        let key =
            token.key().unwrap(&associated_data(self.id), &current.wrapped).ok_or(RefreshError::Replayed)?;
        let (issued, mut next) = self.mint(scopes, &key, config, now, random);
        next.predecessor = Some(Predecessor {
            digest: current.digest,
            wrapped: current.wrapped,
            rotated_at: now,
            answer: seal_answer(&issued, token, now, random),
        });
        self.refresh_token = Some(next);
        Ok(Refreshed::Rotated(Box::new(self), issued))
    }

    /// The key to the tokens of `PingOne`, for the bearer of a refresh token that [`Grant::refresh`] would accept or
    /// tolerate.
    pub fn refresh_key(&self, token: &ReferenceToken, now: Timestamp) -> Option<Key> {
        let current = self.refresh_token.as_ref()?;
        let presented = token.digest();
        let wrapped = if current.is(&presented) {
            &current.wrapped
        } else {
            let old = current.predecessor.as_ref().filter(|old| old.is_tolerated(now))?;
            seal::constant_time_eq(&old.digest.0, &presented.0).then_some(&old.wrapped)?
        };
        token.key().unwrap(&associated_data(self.id), wrapped)
    }

    /// Forgets what only a token that is spent would open.
    pub(super) fn forget_spent(&mut self, now: Timestamp) {
        self.access_tokens.retain(|held| held.expires_at > now);
        if let Some(current) = &mut self.refresh_token {
            current.predecessor.take_if(|old| !old.is_tolerated(now));
        }
    }

    fn answer_again(
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
        let answer = open_answer(&predecessor.answer, token).ok_or(RefreshError::Replayed)?;
        if !answer.scopes.is_subset(&self.narrowed(scopes)?) {
            return Err(RefreshError::Answered(answer.scopes));
        }
        let secret = |text: &str| base64url_decode(text).map(Secret::new).ok_or(RefreshError::Replayed);
        Ok(Issued {
            access_token: ReferenceToken::of(TokenKind::AccessToken, self.id, secret(&answer.access_token)?),
            refresh_token: ReferenceToken::of(
                TokenKind::RefreshToken,
                self.id,
                secret(&answer.refresh_token)?,
            ),
            expires_in: answer.expires_at.since(now),
            scopes: answer.scopes,
        })
    }

    /// OAuth 2.1 §4.3: the scope of a refresh must not exceed the grant's.
    fn narrowed(&self, scopes: Option<&Scopes>) -> Result<Scopes, RefreshError> {
        scopes
            .map_or_else(|| Ok(self.scopes.clone()), |asked| asked.granted(&self.scopes))
            .map_err(RefreshError::Scope)
    }
}

fn seal_answer(issued: &Issued, token: &ReferenceToken, now: Timestamp, random: Random<'_>) -> Sealed {
    let answer = Answer {
        access_token: Zeroizing::new(base64url_encode(issued.access_token.secret().expose())),
        refresh_token: Zeroizing::new(base64url_encode(issued.refresh_token.secret().expose())),
        expires_at: now.plus(issued.expires_in),
        scopes: issued.scopes.clone(),
    };
    // Strings and numbers serialize.
    let answer = Zeroizing::new(serde_json::to_vec(&answer).unwrap_or_default());
    token.key().seal(&answer_place(token), &answer, random)
}

fn open_answer(sealed: &Sealed, token: &ReferenceToken) -> Option<Answer> {
    serde_json::from_slice(&token.key().open(&answer_place(token), sealed)?).ok()
}

fn answer_place(token: &ReferenceToken) -> Vec<u8> {
    [b"answer", &token.grant().0[..]].concat()
}

/// Seconds for which a rotated token may be presented again.
const TOLERANCE: u64 = 120;
