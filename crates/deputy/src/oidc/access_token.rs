//! Verification of the access tokens that `PingOne` issues for the API.

use serde_json::{Map, Value};

use crate::{
    config::Config,
    host::Timestamp,
    jose::{JwtError, KeySet, LEEWAY, audiences, decode_claims, numeric_date},
};

/// The claims of an access token that `PingOne` issued for the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessTokenClaims {
    /// `sub`. It can differ from `sub` of the ID token: an administrator can map it for each resource.
    pub sub: String,
    /// `aud`
    pub audience: Vec<String>,
    /// `scope`, if the token has it.
    pub scope: Option<String>,
    /// `iat`, the time by the clock of `PingOne`, if the token has it.
    pub issued_at: Option<Timestamp>,
    /// Seconds from `iat` to `exp`. Without `iat`, the time of arrival is used.
    lifetime: u64,
}

/// Why an access token of `PingOne` is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessTokenError {
    /// `aud` does not contain the API.
    #[error("aud of the access token does not contain API_IDENTIFIER")]
    Audience,
    /// `exp` had passed on arrival by the clock of this server, and without `iat` the clock of `PingOne` is unknown.
    #[error(
        "the access token has expired by the clock of this server, and no iat says when it was issued; set the clock, or \
         let NTP do so"
    )]
    Clock,
    /// `client_id` is another client.
    #[error("client_id of the access token is not PINGONE_CLIENT_ID")]
    Client,
    /// `exp` is missing or before `iat`.
    #[error("the access token expired before it was issued, or has no exp")]
    Expired,
    /// `iss` is another issuer.
    #[error("iss of the access token is not PINGONE_ISSUER")]
    Issuer,
    /// The token is malformed, or its signature is wrong.
    #[error("{0}")]
    Jwt(JwtError),
    /// `sub` is missing.
    #[error("sub of the access token is missing")]
    Subject,
}

impl AccessTokenError {
    /// Whether the token could be valid with keys that were published since the key set was fetched.
    pub const fn may_pass_with_other_keys(&self) -> bool {
        matches!(self, Self::Jwt(error) if error.may_pass_with_other_keys())
    }
}

impl AccessTokenClaims {
    /// Verifies an access token that came directly from the token endpoint: signature, `iss`, `aud`, `client_id` and
    /// `exp` (RFC 9068 §4, but `PingOne` sends no `typ`).
    ///
    /// The token is new, so `iat` tells the time of `PingOne`, and `exp` is compared with it. By the clock of this
    /// server, a token would have expired on arrival if the clock of `PingOne` were behind.
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

    /// Reads the claims of a stored access token, which was verified when `PingOne` issued it.
    pub fn from_stored(token: &str, now: Timestamp) -> Result<Self, AccessTokenError> {
        let claims = decode_claims(token).ok_or(AccessTokenError::Jwt(JwtError::Malformed))?;
        Self::read(&claims, now)
    }

    fn read(claims: &Map<String, Value>, now: Timestamp) -> Result<Self, AccessTokenError> {
        let text = |name| claims.get(name).and_then(Value::as_str);
        let issued_at = numeric_date(claims, "iat").map(Timestamp);
        let since = issued_at.unwrap_or(now);
        let exp = numeric_date(claims, "exp").ok_or(AccessTokenError::Expired)?;
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

    /// Seconds after its arrival for which the token is valid: the shorter of the lifetimes in the token and in the
    /// response (`expires_in`). `expires_in: 0` is ignored, since such a token could not be used.
    pub fn lifetime(&self, expires_in: Option<u64>) -> u64 {
        expires_in.filter(|seconds| *seconds > 0).map_or(self.lifetime, |seconds| seconds.min(self.lifetime))
    }
}
