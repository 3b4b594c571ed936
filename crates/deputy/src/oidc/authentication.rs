//! The authentication request to `PingOne`, and its response (OpenID Connect Core §3.1.2).

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Discovery;
use crate::{
    config::Config,
    encoding::base64url_encode,
    host::Timestamp,
    jose::LEEWAY,
    seal::{Random, random_bytes},
    secret::Secret,
    types::{LoginHint, Scopes},
};

/// The secrets of one login, and what its ID token must prove besides.
#[derive(Serialize, Deserialize)]
pub struct Authentication {
    /// `nonce`, which binds the ID token to this login.
    pub nonce: Nonce,
    /// `code_verifier`, which binds the code of `PingOne` to this login.
    pub code_verifier: CodeVerifier,
    /// `max_age`, if the client limits the age of the user's session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<MaxAge>,
    /// The time of the request, if the user has to log in again (`prompt=login`) and the browser can change the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logged_in_since: Option<Timestamp>,
}

/// `max_age` (OpenID Connect Core §3.1.2.1): the user must have logged in at most this long before the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaxAge {
    /// Seconds.
    pub seconds: u64,
    /// The time of the request.
    pub requested_at: Timestamp,
}

/// `nonce` (OpenID Connect Core §3.1.2.1): a random value that the ID token must repeat.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct Nonce(String);

/// `code_verifier` (RFC 7636 §4.1): a random value that only this server knows until it redeems the code.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct CodeVerifier(String);

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authentication([redacted])")
    }
}

impl Authentication {
    /// Whether `auth_time` lets the login be one after a request that asks for a new login. The browser can remove `prompt` from a
    /// request that was not pushed, and a `PingOne` that has a session then responds without a login.
    ///
    /// `PingOne` need not send `auth_time` without `max_age` (OpenID Connect Core §2), and has sent one that was a thousand times too
    /// small. A time before every session says nothing about the login, and counts as absent: otherwise no login with
    /// `prompt=login` would succeed in such an environment.
    pub(super) fn may_be_new_login(&self, auth_time: Option<u64>) -> bool {
        let Some((since, time)) = self.logged_in_since.zip(auth_time) else { return true };
        let is_of_a_session = time.saturating_add(OLDEST_SESSION) >= since.0;
        !is_of_a_session || time.saturating_add(LEEWAY) >= since.0
    }

    /// Draws the secrets: 256 random bits each.
    pub fn generate(random: Random<'_>) -> Self {
        Self {
            nonce: Nonce(base64url_encode(&random_bytes::<32>(random))),
            code_verifier: CodeVerifier(base64url_encode(&random_bytes::<32>(random))),
            max_age: None,
            logged_in_since: None,
        }
    }
}

/// Seconds: older than every session at `PingOne`.
const OLDEST_SESSION: u64 = 366 * 24 * 3600;

impl MaxAge {
    /// Whether a user who logged in at `auth_time` did so late enough.
    pub(super) const fn is_met_at(self, auth_time: u64) -> bool {
        auth_time.saturating_add(self.seconds).saturating_add(LEEWAY) >= self.requested_at.0
    }
}

impl Nonce {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl CodeVerifier {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// `code_challenge` for the method `S256` (RFC 7636 §4.2: base64url of the SHA-256 digest).
    fn challenge(&self) -> String {
        base64url_encode(&Sha256::digest(self.0.as_bytes()))
    }
}

/// The authentication request of one login (OpenID Connect Core §3.1.2.1).
#[derive(Debug)]
pub struct AuthenticationRequest<'a> {
    /// The secrets of this login.
    pub authentication: &'a Authentication,
    /// `state`
    pub state: &'a str,
    /// The access that an MCP client asks for. `None` if this server only wants to know the user.
    pub access: Option<ClientAccess<'a>>,
    /// Whether the user has to log in even if `PingOne` has a session (`prompt=login`).
    pub log_in_again: bool,
    /// `login_hint`: the username or email address that the sign-on form begins with.
    pub login_hint: Option<&'a LoginHint>,
}

/// The access that an MCP client asks for, in an authentication request.
#[derive(Debug)]
pub struct ClientAccess<'a> {
    /// The scopes of the API to request.
    pub scopes: &'a Scopes,
    /// The name of the MCP client, which a `DaVinci` flow can show.
    pub client_name: Option<&'a str>,
    /// The host of the MCP client's redirect URI, which a `DaVinci` flow can show.
    pub redirect_host: &'a str,
}

impl AuthenticationRequest<'_> {
    /// The URL to redirect the browser to.
    pub fn url(&self, discovery: &Discovery, config: &Config) -> Url {
        let mut url = discovery.authorization_endpoint.clone();
        url.query_pairs_mut().extend_pairs(self.parameters(config));
        url
    }

    /// The parameters, without authentication of the client.
    pub(super) fn parameters<'a>(&'a self, config: &'a Config) -> Vec<(&'static str, Cow<'a, str>)> {
        // Without `offline_access` and scopes of the API, PingOne issues no tokens that are worth keeping.
        let scope = self.access.as_ref().map_or_else(
            || "openid profile".to_owned(),
            |access| format!("openid profile offline_access {}", access.scopes),
        );
        let mut parameters: Vec<(_, Cow<'_, str>)> = vec![
            ("response_type", "code".into()),
            ("client_id", config.pingone.client_id.as_str().into()),
            ("redirect_uri", config.public_url.callback().into()),
            ("scope", scope.into()),
            ("state", self.state.into()),
            ("nonce", self.authentication.nonce.as_str().into()),
            ("code_challenge", self.authentication.code_verifier.challenge().into()),
            ("code_challenge_method", "S256".into()),
            ("acr_values", config.pingone.policy_id.as_str().into()),
        ];
        if config.pingone.send_resource && self.access.is_some() {
            parameters.push(("resource", config.api.identifier.as_str().into()));
        }
        if self.log_in_again {
            parameters.push(("prompt", "login".into()));
        }
        parameters.extend(self.login_hint.map(|hint| ("login_hint", hint.as_str().into())));
        let max_age = self.authentication.max_age;
        parameters.extend(max_age.map(|max_age| ("max_age", max_age.seconds.to_string().into())));
        if let Some(access) = &self.access {
            parameters.push(("mcp_client_name", access.client_name.unwrap_or_default().into()));
            parameters.push(("mcp_redirect_host", access.redirect_host.into()));
        }
        parameters
    }
}

/// A well-formed authentication response (OpenID Connect Core §3.1.2.5, §3.1.2.6).
#[derive(Debug)]
pub enum CallbackParams {
    /// The authorization code.
    Code(Secret<String>),
    /// The error that the login ended with.
    Error(CallbackError),
}

/// The `error` in an authentication response. The texts are for the log, and name the settings that an operator can
/// change.
///
/// Most errors have two possible sources: `PingOne` refuses the request before the `DaVinci` flow begins, or the flow
/// ends with an error that its author chose. The author cannot choose `access_denied`, so a user who declines can cause
/// any of the others. A flow that fails ends with `login_required`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum CallbackError {
    /// `access_denied`
    #[error("the user declined at PingOne")]
    Denied,
    /// `server_error`
    #[error("PingOne failed; its audit and the DaVinci flow log say why")]
    Failed,
    /// `consent_required`, `interaction_required`
    #[error(
        "PingOne needs the user's consent or another step, and the DaVinci flow of PINGONE_DV_POLICY_ID does not ask for \
         it"
    )]
    Interaction,
    /// `login_required`
    #[error(
        "the login at PingOne was not completed; if that happens to every user, the DaVinci flow log says why"
    )]
    NotLoggedIn,
    /// Any other code.
    #[error("PingOne ended the login with an error of the DaVinci flow's own; the DaVinci flow log says why")]
    Other,
    /// `invalid_request`
    #[error(
        "PingOne refuses the request: PINGONE_DV_POLICY_ID is not a flow policy of the application PINGONE_CLIENT_ID, \
         or the application requires pushed authorization requests (PINGONE_PAR=on) or a parameter that Deputy does not \
         send; or the DaVinci flow chose this error"
    )]
    Request,
    /// `unsupported_response_type`
    #[error(
        "PingOne refuses the response type: the application PINGONE_CLIENT_ID lacks the response type Code"
    )]
    ResponseType,
    /// `invalid_scope`
    #[error(
        "PingOne refuses the scopes: the application PINGONE_CLIENT_ID is not granted all of API_SCOPES, or they belong \
         to several resources; or the DaVinci flow chose this error"
    )]
    Scope,
    /// `invalid_target` (RFC 8707 §2)
    #[error(
        "PingOne refuses the resource: API_IDENTIFIER is not the audience of a resource in PingOne; \
         PINGONE_SEND_RESOURCE=off leaves it out of the request"
    )]
    Target,
    /// `unauthorized_client`
    #[error(
        "PingOne refuses the client: the application PINGONE_CLIENT_ID is disabled or lacks the grant type \
         Authorization Code; or the DaVinci flow chose this error"
    )]
    UnauthorizedClient,
    /// `temporarily_unavailable`
    #[error("PingOne is temporarily unavailable")]
    Unavailable,
}

impl CallbackError {
    pub(super) fn from_code(code: &str) -> Self {
        match code {
            "access_denied" => Self::Denied,
            "consent_required" | "interaction_required" => Self::Interaction,
            "invalid_request" => Self::Request,
            "invalid_scope" => Self::Scope,
            "invalid_target" => Self::Target,
            "login_required" => Self::NotLoggedIn,
            "server_error" => Self::Failed,
            "temporarily_unavailable" => Self::Unavailable,
            "unauthorized_client" => Self::UnauthorizedClient,
            "unsupported_response_type" => Self::ResponseType,
            _ => Self::Other,
        }
    }
}

impl CallbackParams {
    /// Reads the parameters of the response. `None` if it has neither a code nor an error, or both, or if it is from
    /// another issuer (RFC 9207 §2.4: compare `iss`, which `PingOne` does not send yet).
    pub fn read(code: Option<&str>, error: Option<&str>, iss: Option<&str>, issuer: &str) -> Option<Self> {
        if iss.is_some_and(|iss| iss != issuer) {
            return None;
        }
        match (code, error) {
            (Some(code), None) => Some(Self::Code(Secret::new(code.to_owned()))),
            (None, Some(error)) => Some(Self::Error(CallbackError::from_code(error))),
            _ => None,
        }
    }
}
