//! The protected API.

use url::Url;

use super::parse::{bare, secure};
use crate::oauth::Scopes;

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

pub(super) fn api_url(value: &str) -> Result<Url, &'static str> {
    let url = Url::parse(value).map_err(|_| "is not a URL")?;
    secure(&url)?;
    bare(&url)?;
    Ok(url)
}

pub(super) fn api_scopes(value: &str) -> Result<Scopes, &'static str> {
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

pub(super) fn default_scopes() -> Scopes {
    Scopes::of(["todo:read", "todo:write"])
}

pub(super) fn who_am_i_token(value: &str) -> Result<bool, &'static str> {
    match value {
        "claims" => Ok(false),
        "full" => Ok(true),
        _ => Err("must be claims or full"),
    }
}
