//! The ID token, checked in the order of OpenID Connect Core §3.1.3.7.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    JwtError, KeySet, Nonce, UserInfo,
    claims::{full_name, shown},
    jwt::{LEEWAY, audiences, date},
};
use crate::{config::PingOne, host::Timestamp, types::User};

/// A verified ID token: this user logged in, for this server, through its flow policy. Only [`VerifiedIdToken::verify`] makes
/// one, and nothing changes it afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedIdToken {
    sub: String,
    name: Option<String>,
    preferred_username: Option<String>,
    email: Option<String>,
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

impl VerifiedIdToken {
    /// Judges an ID token that came straight from the token endpoint, together with `access_token`.
    pub fn verify(
        id_token: &str,
        access_token: &str,
        keys: &KeySet,
        pingone: &PingOne,
        nonce: &Nonce,
        now: Timestamp,
    ) -> Result<Self, IdTokenError> {
        // Steps 6 to 8: the signature, with RS256 only. First, because nothing else can be believed before it.
        let claims = keys.verify(id_token).map_err(IdTokenError::Jwt)?;
        let text = |name| claims.get(name).and_then(Value::as_str);
        // Step 1: no encryption was requested. Step 2: the issuer.
        if text("iss") != Some(&pingone.issuer) {
            return Err(IdTokenError::Issuer);
        }
        // Step 3: this server is the audience, and no other is trusted.
        if audiences(&claims) != [pingone.client_id.as_str()] {
            return Err(IdTokenError::Audience);
        }
        // Steps 4 and 5: the authorized party, where it is named.
        if claims.contains_key("azp") && text("azp") != Some(&pingone.client_id) {
            return Err(IdTokenError::AuthorizedParty);
        }
        // Steps 9 and 10: the times. The token is fresh, so a time that is off means that the clocks differ.
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
        // Step 11: the nonce of this login.
        if text("nonce") != Some(nonce.as_str()) {
            return Err(IdTokenError::Nonce);
        }
        // Step 12: the flow policy that was asked for.
        if text("acr") != Some(&pingone.policy_id) {
            return Err(IdTokenError::Acr);
        }
        // Step 13 does not apply: no max_age was sent. §3.1.3.8: the access token belongs to it.
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

    /// `sub`
    pub fn subject(&self) -> &str {
        &self.sub
    }

    /// The user. Where `UserInfo` says something, that is used; it never says who the user is.
    pub fn into_user(self, info: Option<UserInfo>) -> User {
        let Self { sub, name, preferred_username, email } = self;
        let (more_name, more_username, more_email) =
            info.map(|info| (info.name, info.preferred_username, info.email)).unwrap_or_default();
        User {
            sub,
            name: more_name.or(name),
            username: more_username.or(preferred_username),
            email: more_email.or(email),
        }
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

/// The left half of the SHA-256 digest (OpenID Connect Core §3.1.3.6).
fn at_hash(access_token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(access_token.as_bytes())[..16])
}
