//! The access token of the API: is it one that the API will take, and whose is it?

use serde_json::{Map, Value};

use super::{
    JwtError, KeySet,
    jwt::{LEEWAY, audiences, claims_of_verified, date},
};
use crate::{config::Config, host::Timestamp};

/// The claims of an access token that `PingOne` issued for the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessTokenClaims {
    /// `sub`. Need not be the ID token's: an administrator can map it for each resource.
    pub sub: String,
    /// `aud`
    pub audience: Vec<String>,
    /// `scope`, if it is in the token.
    pub scope: Option<String>,
    /// `iat`: the time on the clock of `PingOne`, if it is in the token.
    pub issued_at: Option<Timestamp>,
    /// Seconds from `iat` to `exp`; without `iat`, from now.
    lifetime: u64,
}

/// Why an access token is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessTokenError {
    /// For something else.
    #[error("aud of the access token does not contain API_IDENTIFIER")]
    Audience,
    /// Expired when it came, by our clock, and nothing says what time it is at `PingOne`.
    #[error(
        "the access token has expired by the clock of this server, and no iat says when it was issued; set the clock, or \
         let NTP do so"
    )]
    Clock,
    /// Issued to another client.
    #[error("client_id of the access token is not ours")]
    Client,
    /// Too old by its own account.
    #[error("the access token expired before it was issued, or has no exp")]
    Expired,
    /// Of another issuer.
    #[error("iss of the access token is not PINGONE_ISSUER")]
    Issuer,
    /// The signature or the form.
    #[error("{0}")]
    Jwt(JwtError),
    /// No person.
    #[error("sub of the access token is missing")]
    Subject,
}

impl AccessTokenError {
    /// Whether the token cannot be verified now, which says nothing of it.
    pub const fn may_pass_with_other_keys(&self) -> bool {
        matches!(self, Self::Jwt(error) if error.may_pass_with_other_keys())
    }
}

impl AccessTokenClaims {
    /// Judges an access token that came straight from the token endpoint (RFC 9068 §4, as far as PingOne goes: `typ` may
    /// be absent).
    ///
    /// It is fresh, so `exp` is read by the clock that wrote it, which `iat` tells. By ours, a token of a PingOne whose
    /// clock is behind would be too old on arrival.
    pub fn verify(
        token: &str,
        keys: &KeySet,
        config: &Config,
        now: Timestamp,
    ) -> Result<Self, AccessTokenError> {
        let claims = keys.verify(token).map_err(AccessTokenError::Jwt)?;
        if claims.get("iss").and_then(Value::as_str) != Some(&config.pingone.issuer) {
            return Err(AccessTokenError::Issuer);
        }
        if !audiences(&claims).contains(&config.api.identifier.as_str()) {
            return Err(AccessTokenError::Audience);
        }
        let client = claims.get("client_id").and_then(Value::as_str);
        if client.is_some_and(|client| client != config.pingone.client_id) {
            return Err(AccessTokenError::Client);
        }
        Self::read(&claims, now)
    }

    /// The claims of an access token that was verified when it came.
    pub fn of_verified(token: &str, now: Timestamp) -> Result<Self, AccessTokenError> {
        let claims = claims_of_verified(token).ok_or(AccessTokenError::Jwt(JwtError::Malformed))?;
        Self::read(&claims, now)
    }

    fn read(claims: &Map<String, Value>, now: Timestamp) -> Result<Self, AccessTokenError> {
        let text = |name| claims.get(name).and_then(Value::as_str);
        let issued_at = date(claims, "iat").map(Timestamp);
        let since = issued_at.unwrap_or(now);
        let exp = date(claims, "exp").ok_or(AccessTokenError::Expired)?;
        if exp.saturating_add(LEEWAY) <= since.0 {
            return Err(if issued_at.is_some() {
                AccessTokenError::Expired
            } else {
                AccessTokenError::Clock
            });
        }
        Ok(Self {
            sub: text("sub").filter(|sub| !sub.is_empty()).ok_or(AccessTokenError::Subject)?.to_owned(),
            audience: audiences(claims).into_iter().map(str::to_owned).collect(),
            scope: text("scope").map(str::to_owned),
            issued_at,
            lifetime: Timestamp(exp).since(since),
        })
    }

    /// For how many seconds from its arrival the token is good: what the token says and what the response says should
    /// agree, and the shorter counts. `expires_in: 0` says nothing that could be meant.
    pub fn lifetime(&self, expires_in: Option<u64>) -> u64 {
        expires_in.filter(|seconds| *seconds > 0).map_or(self.lifetime, |seconds| seconds.min(self.lifetime))
    }
}
