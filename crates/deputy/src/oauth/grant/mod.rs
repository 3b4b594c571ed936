//! The grant: the record of a successful login, with pure transitions.
//!
//! A transition takes the grant, and returns the next grant or a refusal. The caller loads the record, applies a
//! transition, and writes the record with compare-and-swap. The loser of a race loads the record that the winner wrote.
//! So a code is redeemed once, and a refresh token is rotated once.

mod code;
mod control;
mod login;
mod pingone;
mod refresh;

use serde::{Deserialize, Serialize};

use super::{CodeChallenge, ReferenceToken, TokenKind};
use crate::{
    config::Config,
    host::{Digest, GrantId, Timestamp},
    seal::{self, Random, Sealed, SealingKey},
    types::{ApprovedTools, ClientId, RedirectUri, Scopes, User},
};

pub use code::{RedeemError, Redemption};
pub use login::{LoginsEnd, PingOneLogin, session_digest};
pub use pingone::{Due, LeaseError, PingOneTokens, RefreshReason, SealedPingOneTokens};
pub(crate) use pingone::{LEASE, LONGEST_WAIT};
pub use refresh::{RefreshError, Refreshed};

/// The record of a successful login: user, client, scopes, the sealed tokens of `PingOne`, and digests of the tokens
/// that this server issued.
///
/// ```
/// use deputy::oauth::{CodeChallenge, Grant, NewGrant, PingOneLogin, PingOneTokens, RedeemError, Redemption};
/// # use deputy::{config::Config, host::{GrantId, Timestamp}, seal::Random, secret::Secret};
/// # use deputy::types::{ClientId, RedirectUri, RegisteredId, Scopes, User};
/// # let config = Config::parse(|name| {
/// #     let value = match name {
/// #         "PUBLIC_URL" => "https://deputy.example",
/// #         "PINGONE_ISSUER" => "https://auth.pingone.eu/x/as",
/// #         "PINGONE_DV_POLICY_ID" => "8b560eda9614e47d163c8bb92750ac3b",
/// #         "API_IDENTIFIER" | "API_URL" => "https://todo.example",
/// #         "SERVER_KEY" => "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
/// #         "PINGONE_CLIENT_ID" | "PINGONE_CLIENT_SECRET" => "x",
/// #         _ => return None,
/// #     };
/// #     Some(value.to_owned())
/// # })
/// # .expect("a configuration");
/// # let (now, random): (_, Random<'_>) = (Timestamp(1_800_000_000), &|buffer| buffer.fill(7));
/// # let client_id = ClientId::Registered(RegisteredId::new(&[1; 16]));
/// # let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
///
/// let (grant, code) = Grant::issue(
///     NewGrant {
///         id: GrantId([1; 16]),
///         user: User { sub: "alice".to_owned(), ..User::default() },
///         client_id: client_id.clone(),
///         needs_key: false,
///         client_name: None,
///         redirect_uri: RedirectUri::parse("https://client.example/callback")?,
///         code_challenge: CodeChallenge::parse(Some(challenge), Some("S256"))?,
///         scopes: Scopes::parse("todo:read")?,
///         declined: Scopes::default(),
///         approved_tools: None,
///         login: PingOneLogin { session: None, at: now },
///         pingone_tokens: PingOneTokens {
///             access_token: Secret::new("from PingOne".to_owned()),
///             refresh_token: None,
///             expires_at: now.plus(3600),
///             check_at: None,
///             subject: "alice".to_owned(),
///         },
///     },
///     now,
///     random,
/// );
/// let redemption = Redemption {
///     client_id: &client_id,
///     by_key: false,
///     redirect_uri: None,
///     code_verifier: Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned()),
/// };
/// let (grant, tokens) = grant.redeem(&code, &redemption, &config, now, random)?;
///
/// // A valid access token opens the tokens of PingOne, which are sealed in the record.
/// let access = grant.validate_access_token(&tokens.access_token, now).expect("a valid token");
/// let pingone_tokens = grant.open_pingone_tokens(&access.key).expect("the key of this grant");
/// assert_eq!(pingone_tokens.access_token.expose(), "from PingOne");
///
/// // A code is redeemed once.
/// let replay = grant.redeem(&code, &redemption, &config, now, random);
/// assert_eq!(replay.unwrap_err(), RedeemError::Replayed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// The random identifier of the grant, which every token of the grant contains.
    pub id: GrantId,
    /// The user who logged in.
    pub user: User,
    /// The client that the user approved.
    pub client_id: ClientId,
    /// Whether the client has to authenticate with a key: it has no other method, or it redeemed the code with one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_key: bool,
    /// `client_name`, as the client chose it.
    pub client_name: Option<String>,
    /// The host of the redirect URI, as [`RedirectUri::host`] gives it. Grants of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_host: Option<String>,
    /// The granted scopes: those that the user approved and `PingOne` granted.
    pub scopes: Scopes,
    /// The scopes that the client asked for and the user declined, or took away later.
    #[serde(default, skip_serializing_if = "Scopes::is_empty")]
    pub declined: Scopes,
    /// The tools that the scopes opened when the user approved them. `None` in a grant of an earlier version, until its
    /// next refresh: every tool of today counts as approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_tools: Option<ApprovedTools>,
    /// The time of the login.
    pub created_at: Timestamp,
    /// The login at `PingOne`. Grants of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<PingOneLogin>,
    /// The time at which the record is deleted, unless a refresh moves it.
    pub expires_at: Timestamp,
    /// The time until which the index of the user's grants keeps this grant.
    pub indexed_until: Timestamp,
    /// The time until which the index of all grants keeps this grant. Grants of earlier versions are not in it.
    #[serde(default)]
    pub listed_until: Timestamp,
    /// The tokens of `PingOne`.
    #[serde(rename = "upstream")]
    pub pingone: SealedPingOneTokens,
    code: code::Code,
    access_tokens: Vec<AccessToken>,
    refresh_token: Option<refresh::RefreshToken>,
    /// Whether it was ended without a token of the client.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    has_ended: bool,
    /// The calls that the client has cancelled last, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cancelled: Vec<control::CancelledCall>,
}

/// The results of a login, of which [`Grant::issue`] makes a grant.
#[derive(Debug)]
pub struct NewGrant {
    /// The name that the login had.
    pub id: GrantId,
    /// The user who logged in.
    pub user: User,
    /// The client that the user approved.
    pub client_id: ClientId,
    /// Whether the client has to authenticate with a key.
    pub needs_key: bool,
    /// `client_name`, as the client chose it.
    pub client_name: Option<String>,
    /// The redirect URI that the code is sent to.
    pub redirect_uri: RedirectUri,
    /// `code_challenge` of the authorization request.
    pub code_challenge: CodeChallenge,
    /// The granted scopes.
    pub scopes: Scopes,
    /// The scopes that the client asked for and the user declined.
    pub declined: Scopes,
    /// The tools that the scopes opened when the user approved them.
    pub approved_tools: Option<ApprovedTools>,
    /// The login at `PingOne`.
    pub login: PingOneLogin,
    /// The tokens of `PingOne`.
    pub pingone_tokens: PingOneTokens,
}

/// An access token that was issued. `wrapped` is the grant's key sealed under the token.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct AccessToken {
    digest: Digest,
    scopes: Scopes,
    expires_at: Timestamp,
    wrapped: Sealed,
}

/// A valid access token of a grant.
#[derive(Debug)]
pub struct ValidAccessToken {
    /// The scopes of the token.
    pub scopes: Scopes,
    /// The key that opens the tokens of `PingOne`.
    pub key: SealingKey,
    /// The time at which the token expires.
    pub expires_at: Timestamp,
}

/// The tokens in a token response (OAuth 2.1 §3.2.3).
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

impl Grant {
    /// Makes a grant and its authorization code (OAuth 2.1 §4.1.2).
    pub fn issue(new: NewGrant, now: Timestamp, random: Random<'_>) -> (Self, ReferenceToken) {
        let key = SealingKey::generate(random);
        let NewGrant {
            id,
            user,
            client_id,
            needs_key,
            client_name,
            redirect_uri,
            code_challenge,
            scopes,
            declined,
            approved_tools,
            login,
            pingone_tokens,
        } = new;
        let code = ReferenceToken::generate(TokenKind::AuthorizationCode, id, random);
        let expires_at = now.plus(Self::CODE_LIFETIME);
        let grant = Self {
            id,
            user,
            client_id,
            needs_key,
            client_name,
            redirect_host: Some(redirect_uri.host()),
            scopes,
            declined,
            approved_tools,
            created_at: now,
            login: Some(login),
            expires_at,
            indexed_until: now,
            listed_until: Timestamp::default(),
            pingone: SealedPingOneTokens::seal(&pingone_tokens, &key, id, random),
            code: code::Code::Issued {
                digest: code.digest(),
                expires_at,
                redirect_uri,
                code_challenge,
                wrapped: key.wrap(&code.key(), &associated_data(id), random),
            },
            access_tokens: Vec::new(),
            refresh_token: None,
            has_ended: false,
            cancelled: Vec::new(),
        };
        (grant, code)
    }

    /// Validates an access token. `None` if it is not one of this grant's, or has expired.
    pub fn validate_access_token(&self, token: &ReferenceToken, now: Timestamp) -> Option<ValidAccessToken> {
        let digest = token.digest();
        let held =
            self.access_tokens.iter().find(|held| seal::constant_time_eq(&held.digest.0, &digest.0))?;
        let key = token.key().unwrap(&associated_data(self.id), &held.wrapped)?;
        (held.expires_at > now).then(|| ValidAccessToken {
            scopes: held.scopes.clone(),
            key,
            expires_at: held.expires_at,
        })
    }

    /// The key that opens the tokens of `PingOne`, if `token` is a live access or refresh token of this grant, which a
    /// client can revoke (RFC 7009 §2.1).
    pub fn key_for(&self, token: &ReferenceToken, now: Timestamp) -> Option<SealingKey> {
        self.validate_access_token(token, now)
            .map(|access| access.key)
            .or_else(|| self.refresh_key(token, now))
    }

    /// Makes new tokens that wrap `key`, and stores the access token in the grant. Drops the oldest beyond 8.
    fn mint(
        &mut self,
        scopes: Scopes,
        key: &SealingKey,
        config: &Config,
        now: Timestamp,
        random: Random<'_>,
    ) -> (Issued, refresh::RefreshToken) {
        let access_token = ReferenceToken::generate(TokenKind::AccessToken, self.id, random);
        let refresh_token = ReferenceToken::generate(TokenKind::RefreshToken, self.id, random);
        let wrap = |token: &ReferenceToken| key.wrap(&token.key(), &associated_data(self.id), random);
        // Without a refresh token of PingOne, the grant is of no use after PingOne's access token expires.
        let end = if self.pingone.is_refreshable() { Timestamp(u64::MAX) } else { self.pingone.expires_at };
        let expires_at = now.plus(config.access_token_lifetime.as_secs()).min(end);
        let held = AccessToken {
            digest: access_token.digest(),
            scopes: scopes.clone(),
            expires_at,
            wrapped: wrap(&access_token),
        };
        let next = refresh::RefreshToken::new(refresh_token.digest(), wrap(&refresh_token));
        self.drop_expired(now);
        self.access_tokens.insert(0, held);
        self.access_tokens.truncate(ACCESS_TOKENS);
        self.expires_at = now.plus(config.refresh_token_lifetime.as_secs()).max(expires_at).min(end);
        (Issued { access_token, refresh_token, expires_in: expires_at.since(now), scopes }, next)
    }
}

/// The associated data of everything that is sealed in a grant.
fn associated_data(id: GrantId) -> [u8; 16] {
    id.0
}

/// Valid access tokens of one grant at a time. Processes of a client that share a refresh token have one each.
const ACCESS_TOKENS: usize = 8;

#[cfg(test)]
mod tests;
