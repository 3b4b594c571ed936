//! Verification of access tokens (RFC 9068 §4). It is pure: the key and the time are arguments.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, errors::ErrorKind};
use serde::Deserialize;

use crate::config::Config;

/// A verified access token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AccessToken {
    /// `sub`: the user.
    pub(crate) subject: String,
    scopes: String,
}

impl AccessToken {
    /// Whether the token has `scope` (RFC 6749 §3.3).
    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        self.scopes.split(' ').any(|granted| granted == scope)
    }
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the token is not signed with RS256")]
    Algorithm,
    #[error("the token is for another API")]
    Audience,
    #[error("the token has critical header parameters")]
    Critical,
    #[error("the token has expired")]
    Expired,
    #[error("the token is from another issuer")]
    Issuer,
    #[error("the token is signed with an unknown key")]
    Key,
    #[error("the token is malformed")]
    Malformed,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the signature of the token is wrong")]
    Signature,
    #[error("the token names no user")]
    Subject,
    #[error("the token is not an access token")]
    Type,
}

/// The `kid` of a token with an acceptable header. The signature is not verified yet.
pub(crate) fn key_id(token: &str) -> Result<String, TokenError> {
    if token.len() > MAX_BYTES {
        return Err(TokenError::Malformed);
    }
    let header = decode_header(token).map_err(|_| TokenError::Malformed)?;
    // RFC 8725 §3.1: the header does not choose the algorithm.
    if header.alg != Algorithm::RS256 {
        return Err(TokenError::Algorithm);
    }
    // RFC 7515 §4.1.11: a token with unknown critical extensions must be refused, and all are unknown here.
    if header.crit.is_some() {
        return Err(TokenError::Critical);
    }
    // RFC 9068 §4 requires `at+jwt`. PingOne sends no `typ`, `JWT` or `at+jwt`, depending on a setting.
    match header.typ.map(|typ| typ.to_ascii_lowercase()).as_deref() {
        None | Some("jwt" | "at+jwt" | "application/at+jwt") => {}
        Some(_) => return Err(TokenError::Type),
    }
    header.kid.ok_or(TokenError::Key)
}

/// Verifies a token's signature, then its claims.
pub(crate) fn verify(
    token: &str,
    key: &DecodingKey,
    config: &Config,
    now: u64,
) -> Result<AccessToken, TokenError> {
    let claims = decode::<Claims>(token, key, &signature_only()).map_err(|error| match error.kind() {
        ErrorKind::Json(_) | ErrorKind::Base64(_) | ErrorKind::Utf8(_) => TokenError::Malformed,
        _ => TokenError::Signature,
    })?;
    let Claims { iss, aud, exp, nbf, iat, scope, sub } = claims.claims;
    if iss != config.issuer {
        return Err(TokenError::Issuer);
    }
    if !aud.contains(&config.audience) {
        return Err(TokenError::Audience);
    }
    if now >= exp.saturating_add(LEEWAY) {
        return Err(TokenError::Expired);
    }
    if nbf.max(iat).is_some_and(|begin| begin > now.saturating_add(LEEWAY)) {
        return Err(TokenError::NotYetValid);
    }
    // A token of the client credentials grant has no `sub`, so it has no todos.
    let subject = sub.filter(|sub| !sub.is_empty()).ok_or(TokenError::Subject)?;
    Ok(AccessToken { subject, scopes: scope.unwrap_or_default() })
}

/// The library verifies only the signature. For the times it would read the system's clock.
fn signature_only() -> Validation {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    exp: u64,
    nbf: Option<u64>,
    iat: Option<u64>,
    scope: Option<String>,
    sub: Option<String>,
}

/// One or several audiences (RFC 7519 §4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn contains(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

/// The tolerated difference between the clocks, in seconds.
const LEEWAY: u64 = 60;

/// The longest token that is parsed. Real ones have a few kilobytes.
const MAX_BYTES: usize = 16 * 1024;
