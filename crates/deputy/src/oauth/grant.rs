//! One finished login, as one aggregate with pure transitions.
//!
//! A transition takes the grant and gives the next one, or the refusal. The flow loads, transits, and writes with
//! compare-and-swap; who loses the race reads again and meets the state that the winner left. So a code is redeemed once
//! and a refresh token rotated once because there is no second version of the record in which they could be.

mod pingone;
mod refresh;

use serde::{Deserialize, Serialize};

use super::{CodeChallenge, ReferenceToken, TokenKind};
use crate::{
    config::Config,
    host::{Digest, GrantId, Timestamp},
    seal::{self, Key, Random, Sealed, random_bytes},
    secret::Secret,
    types::{ClientId, RedirectUri, Scopes, User},
};

pub use pingone::{Due, LeaseError, PingOneSession, PingOneTokens, RefreshWhen};
pub(crate) use pingone::{EARLY, LEASE, LONGEST_WAIT};
pub use refresh::{RefreshError, Refreshed};

/// What one finished login created.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// Its name.
    pub id: GrantId,
    /// The person.
    pub user: User,
    /// The client that the person approved.
    pub client_id: ClientId,
    /// What that client calls itself.
    pub client_name: Option<String>,
    /// What was granted: no wider than the person approved, nor than `PingOne` granted.
    pub scopes: Scopes,
    /// When the person logged in.
    pub created_at: Timestamp,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
    /// Until when the index of the person's grants is kept for it.
    pub indexed_until: Timestamp,
    /// The tokens of `PingOne`.
    #[serde(rename = "upstream")]
    pub pingone: PingOneSession,
    code: Code,
    access_tokens: Vec<AccessToken>,
    refresh_token: Option<refresh::RefreshToken>,
}

/// What a login brings together.
#[derive(Debug)]
pub struct NewGrant {
    /// The person.
    pub user: User,
    /// The client.
    pub client_id: ClientId,
    /// Its name.
    pub client_name: Option<String>,
    /// Where the code goes.
    pub redirect_uri: RedirectUri,
    /// PKCE.
    pub code_challenge: CodeChallenge,
    /// What is granted.
    pub scopes: Scopes,
    /// The tokens of `PingOne`.
    pub pingone_tokens: PingOneTokens,
}

/// The authorization code of a grant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Issued, and not yet redeemed.
    Issued {
        /// Of its secret.
        digest: Digest,
        /// From when it is refused.
        expires_at: Timestamp,
        /// Where it was sent.
        redirect_uri: RedirectUri,
        /// PKCE.
        code_challenge: CodeChallenge,
        /// The grant's key, for whoever has the code.
        wrapped: Sealed,
    },
    /// Redeemed. Seeing it again is a replay.
    Redeemed {
        /// Of its secret.
        digest: Digest,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct AccessToken {
    digest: Digest,
    scopes: Scopes,
    expires_at: Timestamp,
    wrapped: Sealed,
}

/// What an access token gives its bearer.
#[derive(Debug)]
pub struct Access {
    /// The scopes of this token.
    pub scopes: Scopes,
    /// The key to the tokens of `PingOne`.
    pub key: Key,
    /// When the token expires.
    pub expires_at: Timestamp,
}

/// Tokens for a client, once (OAuth 2.1 §3.2.3).
#[derive(Debug)]
pub struct Issued {
    /// `access_token`
    pub access_token: ReferenceToken,
    /// `refresh_token`
    pub refresh_token: ReferenceToken,
    /// `expires_in`, in seconds.
    pub expires_in: u64,
    /// `scope`
    pub scopes: Scopes,
}

/// What a client presents together with a code (OAuth 2.1 §4.1.3).
#[derive(Debug)]
pub struct Redemption<'a> {
    /// The authenticated client.
    pub client_id: &'a ClientId,
    /// `redirect_uri`, where the client repeats it.
    pub redirect_uri: Option<String>,
    /// `code_verifier` (RFC 7636 §4.5)
    pub code_verifier: Secret<String>,
}

/// Why a code is not redeemed. Every variant is `invalid_grant` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedeemError {
    /// It was issued to another client.
    #[error("the code belongs to another client")]
    Client,
    /// Its grant is gone.
    #[error("the code has expired, or its login has ended")]
    Ended,
    /// It is too old.
    #[error("the code has expired")]
    Expired,
    /// It was sent elsewhere.
    #[error("redirect_uri is not the one of the authorization request")]
    RedirectUri,
    /// It was redeemed before. On this the caller must delete the grant (OAuth 2.1 §4.1.3).
    #[error("the code was used before")]
    Replayed,
    /// The grant does not know it.
    #[error("the code is unknown")]
    Unknown,
    /// PKCE does not verify.
    #[error("code_verifier does not match the code_challenge")]
    Verifier,
}

impl Grant {
    /// How long a code can be redeemed, in seconds.
    pub const CODE_LIFETIME: u64 = 120;

    /// A new grant and the code for it.
    pub fn issue(new: NewGrant, now: Timestamp, random: Random<'_>) -> (Self, ReferenceToken) {
        let id = GrantId(random_bytes(random));
        let key = Key::generate(random);
        let code = ReferenceToken::generate(TokenKind::AuthorizationCode, id, random);
        let expires_at = now.plus(Self::CODE_LIFETIME);
        let NewGrant { user, client_id, client_name, redirect_uri, code_challenge, scopes, pingone_tokens } =
            new;
        let grant = Self {
            id,
            user,
            client_id,
            client_name,
            scopes,
            created_at: now,
            expires_at,
            indexed_until: now,
            pingone: PingOneSession::seal(&pingone_tokens, &key, id, random),
            code: Code::Issued {
                digest: code.digest(),
                expires_at,
                redirect_uri,
                code_challenge,
                wrapped: key.wrap(&code.key(), &associated_data(id), random),
            },
            access_tokens: Vec::new(),
            refresh_token: None,
        };
        (grant, code)
    }

    /// Exchanges the code for tokens (OAuth 2.1 §4.1.3).
    pub fn redeem(
        mut self,
        code: &ReferenceToken,
        redemption: &Redemption<'_>,
        config: &Config,
        now: Timestamp,
        random: Random<'_>,
    ) -> Result<(Self, Issued), RedeemError> {
        let presented = code.digest();
        let (Code::Issued { digest, .. } | Code::Redeemed { digest }) = &self.code;
        if !seal::constant_time_eq(&digest.0, &presented.0) {
            return Err(RedeemError::Unknown);
        }
        if self.client_id != *redemption.client_id {
            return Err(RedeemError::Client);
        }
        let Code::Issued { expires_at, redirect_uri: used, code_challenge, wrapped, .. } = &self.code else {
            return Err(RedeemError::Replayed);
        };
        if *expires_at <= now {
            return Err(RedeemError::Expired);
        }
        // OAuth 2.1 dropped the parameter; a client that still sends it must send the same.
        if redemption.redirect_uri.as_ref().is_some_and(|uri| uri != used.as_str()) {
            return Err(RedeemError::RedirectUri);
        }
        if !code_challenge.verify(redemption.code_verifier.expose()) {
            return Err(RedeemError::Verifier);
        }
        let key = code.key().unwrap(&associated_data(self.id), wrapped).ok_or(RedeemError::Unknown)?;
        self.code = Code::Redeemed { digest: presented };
        let scopes = self.scopes.clone();
        let (issued, refresh_token) = self.mint(scopes, &key, config, now, random);
        self.refresh_token = Some(refresh_token);
        Ok((self, issued))
    }

    /// What `token` gives, if it is one of this grant's and has not expired.
    pub fn access(&self, token: &ReferenceToken, now: Timestamp) -> Option<Access> {
        let digest = token.digest();
        let held =
            self.access_tokens.iter().find(|held| seal::constant_time_eq(&held.digest.0, &digest.0))?;
        let key = token.key().unwrap(&associated_data(self.id), &held.wrapped)?;
        (held.expires_at > now).then(|| Access {
            scopes: held.scopes.clone(),
            key,
            expires_at: held.expires_at,
        })
    }

    /// Whether `token` is a live token of this grant, of either kind: what a client may revoke (RFC 7009 §2.1). Gives the
    /// key to the tokens of `PingOne`, so that they can be revoked too.
    pub fn key_for(&self, token: &ReferenceToken, now: Timestamp) -> Option<Key> {
        self.access(token, now).map(|access| access.key).or_else(|| self.refresh_key(token, now))
    }

    /// New tokens under `key`, held by this grant from now on.
    fn mint(
        &mut self,
        scopes: Scopes,
        key: &Key,
        config: &Config,
        now: Timestamp,
        random: Random<'_>,
    ) -> (Issued, refresh::RefreshToken) {
        let access_token = ReferenceToken::generate(TokenKind::AccessToken, self.id, random);
        let refresh_token = ReferenceToken::generate(TokenKind::RefreshToken, self.id, random);
        let wrap = |token: &ReferenceToken| key.wrap(&token.key(), &associated_data(self.id), random);
        // Without a refresh token of PingOne's there is nothing to live on beyond its access token.
        let end = if self.pingone.is_refreshable() { Timestamp(u64::MAX) } else { self.pingone.expires_at };
        let expires_at = now.plus(config.access_token_lifetime.as_secs()).min(end);
        let held = AccessToken {
            digest: access_token.digest(),
            scopes: scopes.clone(),
            expires_at,
            wrapped: wrap(&access_token),
        };
        let next = refresh::RefreshToken::new(refresh_token.digest(), wrap(&refresh_token));
        self.forget_spent(now);
        self.access_tokens.insert(0, held);
        self.access_tokens.truncate(ACCESS_TOKENS);
        self.expires_at = now.plus(config.refresh_token_lifetime.as_secs()).max(expires_at).min(end);
        (Issued { access_token, refresh_token, expires_in: expires_at.since(now), scopes }, next)
    }
}

/// The associated data of the sealed parts of a grant.
fn associated_data(id: GrantId) -> [u8; 16] {
    id.0
}

/// Access tokens of one grant that are valid at a time. Processes that share a refresh token hold one each.
const ACCESS_TOKENS: usize = 8;

#[cfg(test)]
mod tests;
