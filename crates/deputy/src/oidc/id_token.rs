//! The ID token, checked in the order of OpenID Connect Core §3.1.3.7.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{
    JwtError, KeySet,
    jwt::{LEEWAY, audiences, date},
};
use crate::{config::PingOne, host::Timestamp};

/// What an ID token proves: this person logged in, for us, through our flow policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdTokenClaims {
    /// `sub`
    pub sub: String,
    /// `name`, or what can be put together of given and family name.
    pub name: Option<String>,
    /// `preferred_username`
    pub preferred_username: Option<String>,
    /// `email`
    pub email: Option<String>,
}

/// Why an ID token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// The DaVinci policy that we asked for did not run, so nothing says that the person consented.
    #[error("acr is not the flow policy PINGONE_DV_POLICY_ID")]
    Acr,
    /// `at_hash` is of another access token.
    #[error("at_hash does not belong to the access token")]
    AtHash,
    /// Not for us alone.
    #[error("aud is not our client id")]
    Audience,
    /// For another client.
    #[error("azp is not our client id")]
    AuthorizedParty,
    /// It expired before it came, or was issued after it came: seconds by which our clock is ahead of `iat`.
    #[error("{}", clocks_differ(*.0))]
    Clock(i64),
    /// Too old by its own account.
    #[error("the ID token expired before it was issued, or has no exp or iat")]
    Expired,
    /// Not yet valid.
    #[error("nbf of the ID token is in the future")]
    Future,
    /// Of another issuer.
    #[error("iss is not PINGONE_ISSUER")]
    Issuer,
    /// The signature or the form.
    #[error("{0}")]
    Jwt(JwtError),
    /// Of another login.
    #[error("nonce is not the one of this login")]
    Nonce,
    /// No person.
    #[error("sub is missing or too long")]
    Subject,
}

impl IdTokenClaims {
    /// Judges an ID token that came straight from the token endpoint, together with `access_token`.
    pub fn verify(
        id_token: &str,
        access_token: &str,
        keys: &KeySet,
        upstream: &PingOne,
        nonce: &str,
        now: Timestamp,
    ) -> Result<Self, IdTokenError> {
        // 6, 7, 8. First, because nothing else can be believed before it: the signature, with RS256, whatever TLS says.
        let claims = keys.verify(id_token).map_err(IdTokenError::Jwt)?;
        let text = |name| claims.get(name).and_then(Value::as_str);
        // 1. We asked for no encryption. 2.
        if text("iss") != Some(&upstream.issuer) {
            return Err(IdTokenError::Issuer);
        }
        // 3. No audience beside us is one that we trust.
        if audiences(&claims) != [upstream.client_id.as_str()] {
            return Err(IdTokenError::Audience);
        }
        // 4, 5.
        if claims.contains_key("azp") && text("azp") != Some(&upstream.client_id) {
            return Err(IdTokenError::AuthorizedParty);
        }
        // 9, 10. The token is fresh, so that a time that is off says that the clocks differ.
        let iat = date(&claims, "iat").ok_or(IdTokenError::Expired)?;
        let exp = date(&claims, "exp").filter(|exp| exp.saturating_add(LEEWAY) > iat);
        let exp = exp.ok_or(IdTokenError::Expired)?;
        let future = |date: u64| date > now.0.saturating_add(LEEWAY);
        if exp.saturating_add(LEEWAY) <= now.0 || future(iat) {
            return Err(IdTokenError::Clock(now.ahead_of(Timestamp(iat))));
        }
        // RFC 7519 §4.1.5.
        if date(&claims, "nbf").is_some_and(future) {
            return Err(IdTokenError::Future);
        }
        // 11.
        if text("nonce") != Some(nonce) {
            return Err(IdTokenError::Nonce);
        }
        // 12.
        if text("acr") != Some(&upstream.policy_id) {
            return Err(IdTokenError::Acr);
        }
        // 13. We send no max_age, so auth_time is not ours to judge. And §3.1.3.8:
        if claims.contains_key("at_hash") && text("at_hash") != Some(&at_hash(access_token)) {
            return Err(IdTokenError::AtHash);
        }
        // §2: at most 255 characters.
        let sub = text("sub").filter(|sub| (1..=255).contains(&sub.len())).ok_or(IdTokenError::Subject)?;
        Ok(Self {
            sub: sub.to_owned(),
            name: full_name(&claims),
            preferred_username: shown(&claims, "preferred_username"),
            email: shown(&claims, "email"),
        })
    }
}

impl IdTokenError {
    /// Whether the token cannot be verified now, which says nothing of it.
    pub const fn may_pass_with_other_keys(&self) -> bool {
        matches!(self, Self::Jwt(error) if error.may_pass_with_other_keys())
    }
}

/// That our clock is so many seconds ahead of `PingOne`'s, or behind it, in words.
pub(crate) fn clocks_differ(ahead: i64) -> String {
    let seconds = ahead.unsigned_abs();
    let which = if ahead < 0 { "behind" } else { "ahead of" };
    format!("the clock of this server is {seconds} seconds {which} PingOne's; set it, or let NTP do so")
}

/// A claim to be shown: at most 200 characters.
pub(super) fn shown(claims: &Map<String, Value>, name: &str) -> Option<String> {
    let text: String = claims.get(name)?.as_str()?.chars().filter(|c| !c.is_control()).take(200).collect();
    (!text.is_empty()).then_some(text)
}

/// `name`, or given and family name: PingOne often leaves `name` out.
pub(super) fn full_name(claims: &Map<String, Value>) -> Option<String> {
    shown(claims, "name").or_else(|| match (shown(claims, "given_name"), shown(claims, "family_name")) {
        (Some(given), Some(family)) => Some(format!("{given} {family}")),
        (given, family) => given.or(family),
    })
}

/// The left half of the SHA-256 digest (OpenID Connect Core §3.1.3.6).
fn at_hash(access_token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(access_token.as_bytes())[..16])
}
