//! From variables to [`Config`].

use std::{cell::RefCell, time::Duration};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use url::{Host, Url};
use zeroize::Zeroizing;

use super::{
    AllowedOrigin, Api, ClientApproval, ClientAuth, Config, ConfigError, ConfigErrors, Keys, PublicUrl,
    RateLimits, Upstream,
};
use crate::{
    oauth::{RedirectUri, Scopes, is_loopback},
    secret::Secret,
};

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
                upstream: Upstream {
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

fn public_url(value: &str) -> Result<PublicUrl, &'static str> {
    let url = Url::parse(value).map_err(|_| "is not a URL")?;
    secure(&url)?;
    let origin = url.origin().ascii_serialization();
    if value.trim_end_matches('/') != origin {
        return Err(
            "must be an origin such as https://deputy.example.com: lower case, no path, no query, no user name, and no \
             port where it is the scheme's own",
        );
    }
    Ok(PublicUrl {
        loopback: url.host().is_some_and(|host| is_loopback(&host)),
        port: url.port(),
        text: origin,
    })
}

fn pingone_issuer(value: &str) -> Result<String, &'static str> {
    let url = Url::parse(value).map_err(|_| "is not a URL")?;
    secure(&url)?;
    bare(&url)?;
    if value.contains("/.well-known/") {
        return Err(
            "is the address of the discovery document; the issuer is what stands before /.well-known/",
        );
    }
    if value.ends_with('/') {
        return Err("must not end with a slash");
    }
    if !value.ends_with("/as") {
        return Err("must end with /as: https://auth.pingone.<region>/<environment id>/as");
    }
    Ok(value.to_owned())
}

fn policy_id(value: &str) -> Result<String, &'static str> {
    let hexadecimal = value.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if value.len() == 32 && hexadecimal {
        return Ok(value.to_owned());
    }
    if value.len() == 36 && value.contains('-') {
        return Err(
            "looks like the id of something else; a DaVinci flow policy id is 32 hexadecimal digits without dashes",
        );
    }
    Err("must be the id of a DaVinci flow policy: 32 hexadecimal digits in lower case")
}

fn unpadded(value: &str) -> Result<String, &'static str> {
    match value.trim() {
        "" => Err("is blank"),
        trimmed if trimmed == value => Ok(value.to_owned()),
        _ => Err("begins or ends with white space"),
    }
}

fn client_auth(value: &str) -> Result<ClientAuth, &'static str> {
    match value {
        "client_secret_basic" => Ok(ClientAuth::Basic),
        "client_secret_post" => Ok(ClientAuth::Post),
        _ => Err("must be client_secret_basic or client_secret_post"),
    }
}

fn on_or_off(value: &str) -> Result<bool, &'static str> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be on or off"),
    }
}

fn api_url(value: &str) -> Result<Url, &'static str> {
    let url = Url::parse(value).map_err(|_| "is not a URL")?;
    secure(&url)?;
    bare(&url)?;
    Ok(url)
}

fn api_scopes(value: &str) -> Result<Scopes, &'static str> {
    let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
    let scopes = Scopes::parse(&value).map_err(|_| "must be scopes separated by spaces")?;
    if scopes.iter().any(|scope| scope.contains(',')) {
        return Err("must be scopes separated by spaces, without commas");
    }
    if scopes.iter().any(|scope| ["openid", "profile", "email", "offline_access"].contains(&scope)) {
        return Err("is for the API's own scopes; openid, profile, email and offline_access are PingOne's");
    }
    if scopes.is_empty() { Err("must name at least one scope") } else { Ok(scopes) }
}

fn default_scopes() -> Scopes {
    Scopes::of(["todo:read", "todo:write"])
}

fn who_am_i_token(value: &str) -> Result<bool, &'static str> {
    match value {
        "claims" => Ok(false),
        "full" => Ok(true),
        _ => Err("must be claims or full"),
    }
}

fn client_approval(value: &str) -> Result<ClientApproval, &'static str> {
    match value {
        "always" => Ok(ClientApproval::Always),
        "loopback" => Ok(ClientApproval::Loopback),
        "remember" => Ok(ClientApproval::Remember),
        _ => Err("must be loopback, always or remember"),
    }
}

fn keys(value: &str) -> Result<Keys, &'static str> {
    let secrets: Vec<Zeroizing<Vec<u8>>> = value
        .split([',', ' '])
        .filter(|part| !part.is_empty())
        .map(|part| {
            let decoded = STANDARD
                .decode(part)
                .or_else(|_| STANDARD_NO_PAD.decode(part))
                .or_else(|_| URL_SAFE_NO_PAD.decode(part));
            decoded.map(Zeroizing::new).map_err(|_| "is not base64; make one with: openssl rand -base64 32")
        })
        .collect::<Result<_, _>>()?;
    if secrets.is_empty() || secrets.iter().any(|secret| secret.len() < 32) {
        return Err("must be at least 32 bytes in base64; make one with: openssl rand -base64 32");
    }
    if secrets.len() > 2 {
        return Err("takes two values at most: the new one first, then the one it replaces");
    }
    Ok(Keys::derive(&secrets))
}

fn private_use(value: &str) -> Result<Vec<RedirectUri>, &'static str> {
    value
        .split_whitespace()
        .map(|uri| {
            let uri = Some(uri).filter(|uri| !uri.contains(',')).and_then(|uri| RedirectUri::parse(uri).ok());
            let uri = uri.ok_or("must be redirect URIs separated by spaces")?;
            if uri.is_private_use() { Ok(uri) } else { Err("is for schemes other than http and https") }
        })
        .collect()
}

fn origins(value: &str) -> Result<Vec<AllowedOrigin>, &'static str> {
    value.split(SEPARATORS).filter(|text| !text.is_empty()).map(AllowedOrigin::parse).collect()
}

/// Names of tools (MCP 2025-11-25, Tools, Tool Names).
fn tools(value: &str) -> Result<Vec<String>, &'static str> {
    let names = value.split(SEPARATORS).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let valid = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte));
            if valid { Ok(name.to_owned()) } else { Err("must be names of tools separated by spaces") }
        })
        .collect()
}

fn rate_limits(value: &str) -> Result<Option<RateLimits>, &'static str> {
    const PROBLEM: &str = "must be on, off, or numbers of requests a minute from one address, such as \
                           authorize=120,register=60,token=600";
    let mut limits = RateLimits::default();
    match value {
        "on" => return Ok(Some(limits)),
        "off" => return Ok(None),
        _ => {}
    }
    for part in value.split(',') {
        let (name, number) = part.trim().split_once('=').ok_or(PROBLEM)?;
        let limit = match name {
            "authorize" => &mut limits.authorize,
            "register" => &mut limits.register,
            "token" => &mut limits.token,
            _ => return Err(PROBLEM),
        };
        *limit = number.parse().map_err(|_| PROBLEM)?;
    }
    Ok(Some(limits))
}

fn lifetime(value: &str) -> Result<Duration, &'static str> {
    match value.parse::<u64>() {
        Ok(seconds @ 60..=31_536_000) => Ok(Duration::from_secs(seconds)),
        _ => Err("must be seconds, from 60 to 31536000"),
    }
}

/// An address and nothing more.
fn bare(url: &Url) -> Result<(), &'static str> {
    let more = (url.query(), url.fragment(), url.username(), url.password()) != (None, None, "", None);
    if more { Err("must have no query, fragment or user name") } else { Ok(()) }
}

/// Tokens and secrets travel over TLS, or do not leave this computer.
fn secure(url: &Url) -> Result<(), &'static str> {
    match (url.scheme(), url.host()) {
        ("https", Some(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_))) => Ok(()),
        ("http", Some(host)) if is_loopback(&host) => Ok(()),
        ("http", _) => Err("must be https (http is for localhost only)"),
        _ => Err("must be an https URL"),
    }
}

/// Lists of what can have neither in it are read with either.
const SEPARATORS: [char; 5] = [' ', '\t', '\r', '\n', ','];
const HOUR: Duration = Duration::from_hours(1);
const MONTH: Duration = Duration::from_hours(30 * 24);

#[cfg(test)]
mod tests;
