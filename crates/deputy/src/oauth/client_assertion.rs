//! Client authentication with a signed assertion, `private_key_jwt` (RFC 7523 §2.2, §3; RFC 7521 §4.2).

use serde_json::{Map, Value};

use crate::{
    config::Config,
    host::{Digest, Timestamp},
    jose::{JwtError, KeySet, LEEWAY, audiences, decode_claims, numeric_date},
    paths, seal,
    secret::Secret,
};

/// An assertion that is not verified yet.
#[derive(Debug)]
pub struct ClientAssertion {
    text: Secret<String>,
    client_id: String,
}

/// A verified assertion. It authenticates its client once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedAssertion {
    /// The digest of the client and `jti`, under which the use is recorded.
    pub name: Digest,
    /// Until when the assertion could be used again.
    pub until: Timestamp,
}

/// Why an assertion authenticates no client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// The header or the signature is wrong.
    #[error("{0}")]
    Jwt(JwtError),
    /// `iss` or `sub` is not the client (RFC 7523 §3, 1 and 2).
    #[error("iss and sub must both be the client_id")]
    Client,
    /// `aud` names another server, too, or not this one (§3, 3).
    #[error("aud must be the issuer or the token endpoint")]
    Audience,
    /// `exp` is missing or past, or too far ahead (§3, 4).
    #[error("exp must be at most an hour ahead")]
    Expiry,
    /// `nbf` or `iat` is in the future (§3, 5 and 6).
    #[error("nbf and iat must not be in the future")]
    Future,
    /// `jti` is missing, empty or longer than 256 bytes (§3, 7).
    #[error("jti is missing or too long")]
    Id,
}

impl ClientAssertion {
    /// The assertion of a token or revocation request, if it has one: `client_assertion_type` and `client_assertion`.
    pub(super) fn parse(kind: Option<&str>, text: Option<&str>) -> Result<Option<Self>, AssertionError> {
        let malformed = AssertionError::Jwt(JwtError::Malformed);
        match (kind, text) {
            (None, None) => Ok(None),
            (Some(JWT_BEARER), Some(text)) => {
                // RFC 7521 §4.2: the subject identifies the client. The signature is verified with its keys.
                let claims = Some(text).filter(|text| text.len() <= LONGEST).and_then(decode_claims);
                let subject = claims.as_ref().and_then(|claims| claims.get("sub")?.as_str());
                let client_id = subject.ok_or(malformed)?.to_owned();
                Ok(Some(Self { text: Secret::new(text.to_owned()), client_id }))
            }
            _ => Err(malformed),
        }
    }

    /// The client that the assertion claims to be from.
    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Verifies the assertion with the keys of its client.
    pub fn verify(
        &self,
        keys: &KeySet,
        config: &Config,
        now: Timestamp,
    ) -> Result<VerifiedAssertion, AssertionError> {
        let claims = keys.verify(self.text.expose()).map_err(AssertionError::Jwt)?;
        self.check(&claims, config, now)
    }

    /// Checks the claims (RFC 7523 §3, in that order).
    fn check(
        &self,
        claims: &Map<String, Value>,
        config: &Config,
        now: Timestamp,
    ) -> Result<VerifiedAssertion, AssertionError> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let client = Some(self.client_id.as_str());
        if text("iss") != client || text("sub") != client {
            return Err(AssertionError::Client);
        }
        // An assertion that other servers accept too could come from one of them.
        let url = &config.public_url;
        let own = [url.issuer().to_owned(), url.at(paths::TOKEN), url.at(paths::REVOKE)];
        let audiences = audiences(claims);
        if audiences.is_empty() || !audiences.iter().all(|audience| own.iter().any(|own| own == audience)) {
            return Err(AssertionError::Audience);
        }
        let exp = numeric_date(claims, "exp").ok_or(AssertionError::Expiry)?;
        if exp.saturating_add(LEEWAY) <= now.0 || exp > now.plus(LONGEST_LIFETIME + LEEWAY).0 {
            return Err(AssertionError::Expiry);
        }
        let is_future = |name| numeric_date(claims, name).is_some_and(|date| date > now.plus(LEEWAY).0);
        if is_future("nbf") || is_future("iat") {
            return Err(AssertionError::Future);
        }
        let id = text("jti").filter(|id| (1..=256).contains(&id.len())).ok_or(AssertionError::Id)?;
        let name = format!("{} {} {id}", self.client_id.len(), self.client_id);
        Ok(VerifiedAssertion {
            name: seal::digest("client assertion", name.as_bytes()),
            until: Timestamp(exp).plus(LEEWAY + 1),
        })
    }
}

/// RFC 7523 §2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Bytes of an assertion.
const LONGEST: usize = 8192;
/// Seconds from now to `exp`. The use of each assertion is recorded for so long.
const LONGEST_LIFETIME: u64 = 3600;
