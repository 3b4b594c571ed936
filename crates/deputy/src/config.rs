//! Configuration: the same names on every host, parsed once, every mistake reported at once.

mod names;
mod origins;
mod parse;

use std::{borrow::Cow, fmt, num::NonZeroU32, time::Duration};

use url::Url;
use zeroize::Zeroizing;

use crate::{
    host::Endpoint,
    oauth::{RedirectUri, Scopes},
    seal::Key,
    secret::Secret,
};

pub use names::{Names, Resembled, UnknownName};
pub use origins::AllowedOrigin;

/// What an operator decides. Made by [`Config::parse`]; every value has been checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// `PUBLIC_URL`: our issuer identifier and the base of every URL we publish.
    pub public_url: PublicUrl,
    /// The client we are at `PingOne`.
    pub upstream: Upstream,
    /// The API the tools call.
    pub api: Api,
    /// Keys derived from `COOKIE_ENCRYPTION_KEY`.
    pub keys: Keys,
    /// `CLIENT_APPROVAL`: whether an approval is remembered in the browser that gave it.
    pub client_approval: ClientApproval,
    /// `CLIENT_ID_METADATA_DOCUMENTS`: whether a `client_id` may be the URL of the client's metadata.
    pub client_id_metadata_documents: bool,
    /// `PRIVATE_USE_REDIRECT_URIS`: redirect URIs with a scheme of an application's own that may be used.
    pub private_use_redirect_uris: Vec<RedirectUri>,
    /// `ALLOWED_ORIGINS`: origins, beside our own, whose pages may call the MCP endpoint.
    pub allowed_origins: Vec<AllowedOrigin>,
    /// `UNCONFIRMED_TOOLS`: tools that may act without the person's confirmation where the client cannot ask for it.
    pub unconfirmed_tools: Vec<String>,
    /// `RATE_LIMITS`: how much strangers may ask from one address, or `None` for no limit.
    pub rate_limits: Option<RateLimits>,
    /// `ACCESS_TOKEN_LIFETIME`.
    pub access_token_lifetime: Duration,
    /// `REFRESH_TOKEN_LIFETIME`: since its last use.
    pub refresh_token_lifetime: Duration,
}

/// Our registration at `PingOne`, and what we ask of it.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// `PINGONE_ISSUER`, compared as text.
    pub issuer: String,
    /// `PINGONE_DV_POLICY_ID`: sent as `acr_values`, demanded as `acr`.
    pub policy_id: String,
    /// `MCP_SERVER_CLIENT_ID`.
    pub client_id: String,
    /// `MCP_SERVER_CLIENT_SECRET`.
    pub client_secret: Secret<String>,
    /// `MCP_SERVER_CLIENT_AUTH`.
    pub client_auth: ClientAuth,
    /// `PINGONE_SEND_RESOURCE`: whether authorization requests carry `resource` (RFC 8707).
    pub send_resource: bool,
}

/// How we authenticate at the token endpoint of `PingOne` (OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// `client_secret_basic`
    Basic,
    /// `client_secret_post`
    Post,
}

/// The protected API.
#[derive(Clone, Debug)]
pub struct Api {
    /// `API_IDENTIFIER`: the `aud` that its access tokens have.
    pub identifier: String,
    /// `API_URL`: where it is.
    pub url: Url,
    /// `API_SCOPES`: the scopes that can be granted.
    pub scopes: Scopes,
    /// `WHO_AM_I_TOKEN=full`: tools may reveal the access token.
    pub reveal_token: bool,
}

/// `CLIENT_APPROVAL`: for which redirect URIs the page is skipped if this browser has approved the same within 30 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientApproval {
    /// For none: the page is shown every time.
    Always,
    /// For loopback redirect URIs, where the code stays on this computer.
    Loopback,
    /// For all.
    Remember,
}

/// `RATE_LIMITS`: requests a minute from one address. An address may be that of a hosted client for all of its users, or of
/// a whole company.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// To `/authorize`.
    pub authorize: NonZeroU32,
    /// To `/register`.
    pub register: NonZeroU32,
    /// To `/token` and `/revoke`.
    pub token: NonZeroU32,
}

impl RateLimits {
    /// Requests a minute to `endpoint`.
    pub const fn of(&self, endpoint: Endpoint) -> NonZeroU32 {
        match endpoint {
            Endpoint::Authorize => self.authorize,
            Endpoint::Register => self.register,
            Endpoint::Token => self.token,
        }
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        const fn number(value: u32) -> NonZeroU32 {
            NonZeroU32::new(value).expect("positive")
        }
        Self { authorize: number(120), register: number(60), token: number(600) }
    }
}

/// An origin: scheme, host and port, without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    port: Option<u16>,
    loopback: bool,
}

impl PublicUrl {
    /// The issuer identifier (RFC 8414 §2).
    pub fn issuer(&self) -> &str {
        &self.text
    }

    /// The resource identifier of the MCP endpoint (RFC 8707 §2, RFC 9728 §1.2).
    pub fn resource(&self) -> String {
        self.at("/mcp")
    }

    /// The redirect URI to register at `PingOne`.
    pub fn callback(&self) -> String {
        self.at("/callback")
    }

    /// The URL of `path`.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }

    /// The port, where it is not the scheme's own.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether only this computer can reach us.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Whether it begins with `https`.
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https:")
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The keys of the server: the newest first, and during a rotation the one before it.
///
/// Everything new is made with the newest. What the older one made is still accepted, so that nobody is logged out.
#[derive(Clone, Debug)]
pub struct Keys(Vec<ServerKeys>);

/// Keys derived from one value of `COOKIE_ENCRYPTION_KEY`, one for each use.
#[derive(Clone, Debug)]
pub struct ServerKeys {
    /// Tags of tokens.
    pub tokens: Key,
    /// Values of cookies.
    pub cookies: Key,
    /// State of MCP requests that clients keep for us.
    pub states: Key,
}

impl Keys {
    fn derive(secrets: &[Zeroizing<Vec<u8>>]) -> Self {
        Self(
            secrets
                .iter()
                .map(|secret| ServerKeys {
                    tokens: Key::derive(secret, "deputy token tags v1"),
                    cookies: Key::derive(secret, "deputy cookies v1"),
                    states: Key::derive(secret, "deputy request states v1"),
                })
                .collect(),
        )
    }

    /// The keys to make something with.
    pub fn newest(&self) -> &ServerKeys {
        // `parse` refuses an empty list.
        &self.0[0]
    }

    /// The keys to check something with.
    pub fn iter(&self) -> impl Iterator<Item = &ServerKeys> {
        self.0.iter()
    }
}

/// Keys for tests of the parts that take some.
#[cfg(test)]
pub(crate) fn test_keys() -> Keys {
    Keys::derive(&[Zeroizing::new(vec![1; 32])])
}

/// Everything that is wrong with a configuration. Never holds a value, only names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

/// One variable that is wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct ConfigError {
    /// The variable's name.
    pub name: Cow<'static, str>,
    /// What is wrong and what would be right.
    pub problem: Cow<'static, str>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not usable:")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for ConfigErrors {}
