//! Configuration: the same variables on every host, parsed once, with every error reported at once.

mod admin;
mod api;
mod audit;
mod brand;
mod client_key;
mod clients;
mod keys;
mod lifetimes;
mod names;
mod origins;
mod parse;
mod pingone;
mod public_url;
mod rate_limits;
mod variable;
mod variables;
mod vars;
mod webhook;

use std::{borrow::Cow, fmt, time::Duration};

pub use crate::jose::ClientKey;
pub use admin::AdminToken;
pub use api::Api;
pub use brand::{Brand, Logo, LogoType, short_name};
pub use clients::{Admission, ClientApproval, ClientHosts, ConfiguredClient, RedirectPolicy};
#[cfg(test)]
pub(crate) use keys::test_keys;
pub use keys::{Keys, ServerKeys};
pub use names::{Names, Resembled, UnknownName};
pub use origins::AllowedOrigin;
pub use pingone::{ClientAuth, PingOne, environment};
pub use public_url::PublicUrl;
pub use rate_limits::RateLimits;
pub use variable::{DefaultValue, Syntax, Variable, plain};
pub use variables::{SECTIONS, Section, variables};
pub use webhook::Webhook;

/// The configuration of a server. [`Config::parse`] has checked every value.
#[derive(Clone, Debug)]
pub struct Config {
    /// `PUBLIC_URL`: the issuer identifier, and the base of every URL in metadata.
    pub public_url: PublicUrl,
    /// Deputy's client at PingOne.
    pub pingone: PingOne,
    /// The API that the tools call.
    pub api: Api,
    /// Name, logo and links on the pages for users.
    pub brand: Brand,
    /// Keys derived from `SERVER_KEY`.
    pub keys: Keys,
    /// `ADMIN_TOKEN`: the token of the admin interface, if there is one.
    pub admin_token: Option<AdminToken>,
    /// `ADMIN_EXPORT`: whether the admin interface returns stored records.
    pub admin_export: bool,
    /// `CLIENT_APPROVAL`: whether an approval is remembered in the browser that gave it.
    pub client_approval: ClientApproval,
    /// The clients that can connect.
    pub admission: Admission,
    /// The redirect URIs that other clients may have.
    pub redirect_policy: RedirectPolicy,
    /// `ALLOWED_ORIGINS`: origins besides that of `PUBLIC_URL` whose pages may call the MCP endpoint.
    pub allowed_origins: Vec<AllowedOrigin>,
    /// `UNCONFIRMED_TOOLS`: tools that may act without the user's confirmation where the client cannot ask for it.
    pub unconfirmed_tools: Vec<String>,
    /// `LOG_USERNAMES`: whether lines of the log have usernames.
    pub log_usernames: bool,
    /// `AUDIT_ARGUMENTS`: whether the audit log has the arguments of tool calls.
    pub audit_arguments: bool,
    /// `RATE_LIMITS`: requests a minute from one address, or `None` for no limit.
    pub rate_limits: Option<RateLimits>,
    /// `ACCESS_TOKEN_LIFETIME`.
    pub access_token_lifetime: Duration,
    /// `REFRESH_TOKEN_LIFETIME`: the time since the last use of a refresh token.
    pub refresh_token_lifetime: Duration,
}

/// A configuration for tests, with these variables changed.
#[cfg(test)]
pub(crate) fn test_config(variables: &[(&str, &str)]) -> Config {
    let config = Config::parse(|name| {
        let changed = variables.iter().find(|(changed, _)| *changed == name).map(|(_, value)| *value);
        let value = changed.or(match name {
            "PUBLIC_URL" => Some("https://deputy.example"),
            "PINGONE_ISSUER" => Some("https://auth.pingone.eu/x/as"),
            "PINGONE_DV_POLICY_ID" => Some("8b560eda9614e47d163c8bb92750ac3b"),
            "API_IDENTIFIER" | "API_URL" => Some("https://todo.example"),
            "SERVER_KEY" => Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            "PINGONE_CLIENT_ID" | "PINGONE_CLIENT_SECRET" => Some("x"),
            _ => None,
        });
        value.map(str::to_owned)
    });
    config.expect("a valid configuration")
}

/// Every error of a configuration. It has the names of variables and no values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

/// The error of one variable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct ConfigError {
    /// The variable's name.
    pub name: Cow<'static, str>,
    /// The problem, and the value to set.
    pub problem: Cow<'static, str>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used, because of these variables (docs/configuration.md explains each):")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for ConfigErrors {}
