//! The authorization code of a grant, and its redemption.

use serde::{Deserialize, Serialize};

use super::{Grant, Issued, associated_data};
use crate::{
    config::Config,
    host::{Digest, Timestamp},
    oauth::{CodeChallenge, ReferenceToken},
    seal::{self, Random, Sealed},
    secret::Secret,
    types::{ClientId, RedirectUri},
};

/// The authorization code of a grant. `digest` is that of the code, and `wrapped` the grant's key sealed under the
/// code.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Code {
    Issued {
        digest: Digest,
        expires_at: Timestamp,
        redirect_uri: RedirectUri,
        code_challenge: CodeChallenge,
        wrapped: Sealed,
    },
    Redeemed {
        digest: Digest,
    },
}

/// The parameters that a client sends together with a code (OAuth 2.1 §4.1.3).
#[derive(Debug)]
pub struct Redemption<'a> {
    /// The client that made the request, authenticated if it has a secret.
    pub client_id: &'a ClientId,
    /// Whether it authenticated with a key. Then it has to do so from now on.
    pub by_key: bool,
    /// `redirect_uri`, if the client sent it. OAuth 2.0 required it.
    pub redirect_uri: Option<String>,
    /// `code_verifier` (RFC 7636 §4.5)
    pub code_verifier: Secret<String>,
}

/// Why a code is not redeemed. The `error` code is `invalid_grant` for each (OAuth 2.1 §3.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum RedeemError {
    /// The code was issued to another client.
    #[error("the code belongs to another client")]
    Client,
    /// The grant expired or was revoked.
    #[error("the code has expired, or its login has ended")]
    Ended,
    /// The code is older than [`Grant::CODE_LIFETIME`].
    #[error("the code has expired")]
    Expired,
    /// The code was sent to another redirect URI.
    #[error("redirect_uri is not the one of the authorization request")]
    RedirectUri,
    /// The code was redeemed before. The caller must delete the grant (OAuth 2.1 §4.1.3: revoke the tokens that were
    /// issued for the code).
    #[error("the code was used before")]
    Replayed,
    /// The code is not the one of this grant.
    #[error("the code is unknown")]
    Unknown,
    /// `code_verifier` does not match (RFC 7636 §4.6).
    #[error("code_verifier does not match the code_challenge")]
    Verifier,
}

impl Grant {
    /// Seconds for which a code can be redeemed (OAuth 2.1 §4.1.2: a short lifetime, of ten minutes at most).
    pub const CODE_LIFETIME: u64 = 120;

    /// Exchanges the code for tokens (OAuth 2.1 §4.1.3). The code must be live and issued to this client, and the code
    /// verifier must match. The caller stores the grant that is returned.
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
        // OAuth 2.1 §10.2 removed the parameter. A client that sends it must send the same URI (RFC 6749 §4.1.3).
        if redemption.redirect_uri.as_ref().is_some_and(|uri| uri != used.as_str()) {
            return Err(RedeemError::RedirectUri);
        }
        if !code_challenge.verify(redemption.code_verifier.expose()) {
            return Err(RedeemError::Verifier);
        }
        let key = code.key().unwrap(&associated_data(self.id), wrapped).ok_or(RedeemError::Unknown)?;
        self.code = Code::Redeemed { digest: presented };
        self.needs_key |= redemption.by_key;
        let scopes = self.scopes.clone();
        let (issued, refresh_token) = self.mint(scopes, &key, config, now, random);
        self.refresh_token = Some(refresh_token);
        Ok((self, issued))
    }
}
