//! From variables to [`Config`].

use std::cell::RefCell;

use url::{Host, Url};

use super::{
    ClientApproval, ClientAuth, Config, ConfigError, ConfigErrors, PingOne, RateLimits,
    api::{Api, api_scopes, api_url, default_scopes, who_am_i_token},
    clients::{client_approval, private_use, tools},
    keys::keys,
    lifetimes::{HOUR, MONTH, lifetime},
    origins::origins,
    pingone::{client_auth, pingone_issuer, policy_id},
    public_url::public_url,
    rate_limits::rate_limits,
};
use crate::{oauth::is_loopback, secret::Secret};

impl Config {
    /// Reads every variable through `lookup`. A variable that is empty counts as absent.
    pub fn parse(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let vars = Vars { lookup: &lookup, errors: RefCell::default() };
        let public_url = vars.required("PUBLIC_URL", public_url);
        let issuer = vars.required("PINGONE_ISSUER", pingone_issuer);
        let policy_id = vars.required("PINGONE_DV_POLICY_ID", policy_id);
        let client_id = vars.required("MCP_SERVER_CLIENT_ID", unpadded);
        let client_secret = vars.required("MCP_SERVER_CLIENT_SECRET", unpadded).map(Secret::new);
        let client_auth = vars.optional("MCP_SERVER_CLIENT_AUTH", ClientAuth::Basic, client_auth);
        let send_resource = vars.optional("PINGONE_SEND_RESOURCE", true, on_or_off);
        let identifier = vars.required("API_IDENTIFIER", unpadded);
        let url = vars.required("API_URL", api_url);
        let scopes = vars.optional("API_SCOPES", default_scopes(), api_scopes);
        let reveal_token = vars.optional("WHO_AM_I_TOKEN", false, who_am_i_token);
        let keys = vars.required("COOKIE_ENCRYPTION_KEY", keys);
        let client_approval = vars.optional("CLIENT_APPROVAL", ClientApproval::Loopback, client_approval);
        let client_id_metadata_documents = vars.optional("CLIENT_ID_METADATA_DOCUMENTS", true, on_or_off);
        let private_use_redirect_uris = vars.optional("PRIVATE_USE_REDIRECT_URIS", Vec::new(), private_use);
        let allowed_origins = vars.optional("ALLOWED_ORIGINS", Vec::new(), origins);
        let unconfirmed_tools = vars.optional("UNCONFIRMED_TOOLS", Vec::new(), tools);
        let rate_limits = vars.optional("RATE_LIMITS", Some(RateLimits::default()), rate_limits);
        let access_token_lifetime = vars.optional("ACCESS_TOKEN_LIFETIME", HOUR, lifetime);
        let refresh_token_lifetime = vars.optional("REFRESH_TOKEN_LIFETIME", MONTH, lifetime);
        let refresh_token_lifetime = refresh_token_lifetime.and_then(|refresh| {
            let outlived = access_token_lifetime.is_some_and(|access| access > refresh);
            let text = "must not be shorter than ACCESS_TOKEN_LIFETIME";
            vars.checked("REFRESH_TOKEN_LIFETIME", if outlived { Err(text) } else { Ok(refresh) })
        });

        let config = (|| {
            Some(Self {
                public_url: public_url?,
                upstream: PingOne {
                    issuer: issuer?,
                    policy_id: policy_id?,
                    client_id: client_id?,
                    client_secret: client_secret?,
                    client_auth: client_auth?,
                    send_resource: send_resource?,
                },
                api: Api { identifier: identifier?, url: url?, scopes: scopes?, reveal_token: reveal_token? },
                keys: keys?,
                client_approval: client_approval?,
                client_id_metadata_documents: client_id_metadata_documents?,
                private_use_redirect_uris: private_use_redirect_uris?,
                allowed_origins: allowed_origins?,
                unconfirmed_tools: unconfirmed_tools?,
                rate_limits: rate_limits?,
                access_token_lifetime: access_token_lifetime?,
                refresh_token_lifetime: refresh_token_lifetime?,
            })
        })();
        config.ok_or_else(|| ConfigErrors(vars.errors.into_inner()))
    }
}

/// Collects every mistake instead of stopping at the first.
struct Vars<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    errors: RefCell<Vec<ConfigError>>,
}

impl Vars<'_> {
    fn required<T>(&self, name: &'static str, parse: Parse<T>) -> Option<T> {
        match self.value(name) {
            Some(value) => self.checked(name, parse(&value)),
            None => self.checked(name, Err("is not set")),
        }
    }

    fn optional<T>(&self, name: &'static str, default: T, parse: Parse<T>) -> Option<T> {
        match self.value(name) {
            Some(value) => self.checked(name, parse(&value)),
            None => Some(default),
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    fn checked<T>(&self, name: &'static str, parsed: Result<T, &'static str>) -> Option<T> {
        let report = |problem: &'static str| {
            self.errors.borrow_mut().push(ConfigError { name: name.into(), problem: problem.into() });
        };
        parsed.map_err(report).ok()
    }
}

type Parse<T> = fn(&str) -> Result<T, &'static str>;

fn unpadded(value: &str) -> Result<String, &'static str> {
    match value.trim() {
        "" => Err("is blank"),
        trimmed if trimmed == value => Ok(value.to_owned()),
        _ => Err("begins or ends with white space"),
    }
}

fn on_or_off(value: &str) -> Result<bool, &'static str> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be on or off"),
    }
}

/// An address and nothing more.
pub(super) fn bare(url: &Url) -> Result<(), &'static str> {
    let more = (url.query(), url.fragment(), url.username(), url.password()) != (None, None, "", None);
    if more { Err("must have no query, fragment or user name") } else { Ok(()) }
}

/// Tokens and secrets travel over TLS, or do not leave this computer.
pub(super) fn secure(url: &Url) -> Result<(), &'static str> {
    match (url.scheme(), url.host()) {
        ("https", Some(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_))) => Ok(()),
        ("http", Some(host)) if is_loopback(&host) => Ok(()),
        ("http", _) => Err("must be https (http is for localhost only)"),
        _ => Err("must be an https URL"),
    }
}

/// Lists of what can have neither in it are read with either.
pub(super) const SEPARATORS: [char; 5] = [' ', '\t', '\r', '\n', ','];

#[cfg(test)]
mod tests;
