//! Verification of the ID token, in the steps of OpenID Connect Core §3.1.3.7.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    Authentication, UserInfo,
    claims::{displayable_claim, full_name},
};
use crate::{
    config::PingOne,
    encoding::base64url_encode,
    host::Timestamp,
    jose::{JwtError, KeySet, LEEWAY, audiences, numeric_date},
    types::User,
};

/// A verified ID token: the user logged in at `PingOne`, for this server, in this login, through the configured flow
/// policy. Only [`VerifiedIdToken::verify`] makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedIdToken {
    sub: String,
    name: Option<String>,
    preferred_username: Option<String>,
    email: Option<String>,
    sid: Option<String>,
    issued_at: Timestamp,
}

/// Why an ID token is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// `acr` is not the flow policy that was requested, so the user may not have consented.
    #[error("acr is not the flow policy PINGONE_DV_POLICY_ID")]
    Acr,
    /// `at_hash` is that of another access token.
    #[error("at_hash does not belong to the access token")]
    AtHash,
    /// `aud` is not this server alone.
    #[error("aud of the ID token is not PINGONE_CLIENT_ID alone")]
    Audience,
    /// `auth_time` is missing, or before the time that `max_age` allows.
    #[error("auth_time of the ID token is missing, or is earlier than max_age allows")]
    AuthTime,
    /// `azp` is another client.
    #[error("azp of the ID token is not PINGONE_CLIENT_ID")]
    AuthorizedParty,
    /// The token expired before it arrived, or was issued after it arrived. Holds the seconds by which the clock of
    /// this server is ahead of `iat`.
    #[error("{}", clocks_differ(*.0))]
    Clock(i64),
    /// `auth_time` is before the request for a new login.
    #[error("auth_time of the ID token is before the request with prompt=login")]
    EarlierLogin,
    /// `exp` or `iat` is missing, or `exp` is before `iat`.
    #[error("the ID token expired before it was issued, or has no exp or iat")]
    Expired,
    /// `nbf` is in the future.
    #[error("nbf of the ID token is in the future")]
    Future,
    /// `iss` is another issuer.
    #[error("iss is not PINGONE_ISSUER")]
    Issuer,
    /// The token is malformed, or its signature is wrong.
    #[error("{0}")]
    Jwt(JwtError),
    /// `nonce` is missing, or that of another login.
    #[error("nonce is not the one of this login")]
    Nonce,
    /// `sub` is missing, or longer than 255 characters.
    #[error("sub is missing or too long")]
    Subject,
}

impl VerifiedIdToken {
    /// Verifies an ID token that came directly from the token endpoint, together with `access_token`.
    pub fn verify(
        id_token: &str,
        access_token: &str,
        keys: &KeySet,
        pingone: &PingOne,
        login: &Authentication,
        now: Timestamp,
    ) -> Result<Self, IdTokenError> {
        // Steps 6 to 8: the signature must verify, with RS256. This is done first, since the claims are not authentic
        // before.
        let claims = keys.verify(id_token).map_err(IdTokenError::Jwt)?;
        let text = |name| claims.get(name).and_then(Value::as_str);
        // Step 1: an encrypted token must be decrypted; encryption was not requested. Step 2: `iss` must be the issuer.
        if text("iss") != Some(&pingone.issuer) {
            return Err(IdTokenError::Issuer);
        }
        // Step 3: `aud` must contain the client, and no audience that it does not trust.
        if audiences(&claims) != [pingone.client_id.as_str()] {
            return Err(IdTokenError::Audience);
        }
        // Steps 4 and 5: `azp` must be the client, if it is present.
        if claims.contains_key("azp") && text("azp") != Some(&pingone.client_id) {
            return Err(IdTokenError::AuthorizedParty);
        }
        // Steps 9 and 10: the time must be before `exp`, and `iat` not too far away. The token is new, so another time
        // means that the clocks differ.
        let iat = numeric_date(&claims, "iat").ok_or(IdTokenError::Expired)?;
        let exp = numeric_date(&claims, "exp").filter(|exp| exp.saturating_add(LEEWAY) > iat);
        let exp = exp.ok_or(IdTokenError::Expired)?;
        let future = |date: u64| date > now.0.saturating_add(LEEWAY);
        if exp.saturating_add(LEEWAY) <= now.0 || future(iat) {
            return Err(IdTokenError::Clock(now.ahead_of(Timestamp(iat))));
        }
        // RFC 7519 §4.1.5: a token must not be accepted before `nbf`.
        if numeric_date(&claims, "nbf").is_some_and(future) {
            return Err(IdTokenError::Future);
        }
        // Step 11: `nonce` must be the one that was sent.
        if text("nonce") != Some(login.nonce.as_str()) {
            return Err(IdTokenError::Nonce);
        }
        // Step 12: `acr` must be appropriate: the flow policy that was requested.
        if text("acr") != Some(&pingone.policy_id) {
            return Err(IdTokenError::Acr);
        }
        // Step 13: `auth_time` must be late enough, if `max_age` was sent.
        let auth_time = numeric_date(&claims, "auth_time");
        if login.max_age.is_some_and(|max_age| !auth_time.is_some_and(|time| max_age.is_met_at(time))) {
            return Err(IdTokenError::AuthTime);
        }
        // §3.1.2.1: `prompt=login` asks for a login after the request.
        if !login.may_be_new_login(auth_time) {
            return Err(IdTokenError::EarlierLogin);
        }
        // §3.1.3.8: `at_hash` must match the access token.
        if claims.contains_key("at_hash") && text("at_hash") != Some(&at_hash(access_token)) {
            return Err(IdTokenError::AtHash);
        }
        // §2: `sub` has at most 255 characters.
        let sub = text("sub").filter(|sub| (1..=255).contains(&sub.len())).ok_or(IdTokenError::Subject)?;
        Ok(Self {
            sub: sub.to_owned(),
            name: full_name(&claims),
            preferred_username: displayable_claim(&claims, "preferred_username"),
            email: displayable_claim(&claims, "email"),
            sid: text("sid").map(str::to_owned),
            issued_at: Timestamp(iat),
        })
    }

    /// `sub`: the identifier of the user at `PingOne`.
    pub fn subject(&self) -> &str {
        &self.sub
    }

    /// `sid`: the session at `PingOne`, if the token has it.
    pub fn session(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// `iat`: the time by the clock of `PingOne`.
    pub const fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// The user, with `sub` of the ID token. The other claims of `UserInfo` take precedence over those of the ID token.
    pub fn into_user(self, info: Option<UserInfo>) -> User {
        let Self { sub, name, preferred_username, email, .. } = self;
        let (info_name, info_username, info_email) =
            info.map(|info| (info.name, info.preferred_username, info.email)).unwrap_or_default();
        User {
            sub,
            name: info_name.or(name),
            username: info_username.or(preferred_username),
            email: info_email.or(email),
        }
    }
}

impl IdTokenError {
    /// Whether the token could be valid with keys that were published since the key set was fetched.
    pub const fn may_pass_with_other_keys(&self) -> bool {
        matches!(self, Self::Jwt(error) if error.may_pass_with_other_keys())
    }
}

/// A text that says by how many seconds the clock of this server is ahead of `PingOne`'s, or behind it.
pub fn clocks_differ(ahead: i64) -> String {
    let seconds = ahead.unsigned_abs();
    let which = if ahead < 0 { "behind" } else { "ahead of" };
    format!("the clock of this server is {seconds} seconds {which} PingOne's; set it, or let NTP do so")
}

/// `at_hash` (OpenID Connect Core §3.1.3.6): base64url of the left half of the SHA-256 digest.
fn at_hash(access_token: &str) -> String {
    base64url_encode(&Sha256::digest(access_token.as_bytes())[..16])
}
