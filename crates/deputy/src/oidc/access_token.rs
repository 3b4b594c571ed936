//! The access token of the API: is it one that the API will take, and whose is it?

use serde_json::Value;

use super::{
    JwtError, KeySet,
    jwt::{LEEWAY, audiences, date},
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
    /// `exp`
    pub expires_at: Timestamp,
}

/// Why an access token is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessTokenError {
    /// For something else.
    #[error("aud of the access token does not contain API_IDENTIFIER")]
    Audience,
    /// Issued to another client.
    #[error("client_id of the access token is not ours")]
    Client,
    /// Too old.
    #[error("the access token has expired, or has no exp")]
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

impl AccessTokenClaims {
    /// Judges an access token that came straight from the token endpoint (RFC 9068 §4, as far as PingOne goes: `typ` may
    /// be absent).
    pub fn verify(
        token: &str,
        keys: &KeySet,
        config: &Config,
        now: Timestamp,
    ) -> Result<Self, AccessTokenError> {
        let claims = keys.verify(token).map_err(AccessTokenError::Jwt)?;
        let text = |name| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(&config.upstream.issuer) {
            return Err(AccessTokenError::Issuer);
        }
        let audience = audiences(&claims);
        if !audience.contains(&config.api.identifier.as_str()) {
            return Err(AccessTokenError::Audience);
        }
        if text("client_id").is_some_and(|client| client != config.upstream.client_id) {
            return Err(AccessTokenError::Client);
        }
        let exp = date(&claims, "exp").filter(|exp| exp.saturating_add(LEEWAY) > now.0);
        Ok(Self {
            expires_at: Timestamp(exp.ok_or(AccessTokenError::Expired)?),
            sub: text("sub").filter(|sub| !sub.is_empty()).ok_or(AccessTokenError::Subject)?.to_owned(),
            scope: text("scope").map(str::to_owned),
            audience: audience.into_iter().map(str::to_owned).collect(),
        })
    }
}
