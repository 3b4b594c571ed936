//! The protected API.

use url::Url;

use super::{
    variable::{DefaultValue, Syntax, Variable},
    vars::{Vars, bare, secure, unpadded},
};
use crate::types::Scopes;

/// The protected API.
#[derive(Clone, Debug)]
pub struct Api {
    /// `API_IDENTIFIER`: the `aud` of its access tokens.
    pub identifier: String,
    /// `API_URL`: the URL below which tools call it.
    pub url: Url,
    /// `API_SCOPES`: the scopes that can be granted.
    pub scopes: Scopes,
    /// `WHO_AM_I_TOKEN=full`: tools may reveal the access token.
    pub reveal_token: bool,
}

impl Api {
    pub(super) fn read(vars: &Vars<'_>) -> Option<Self> {
        let identifier = vars.read(&IDENTIFIER, unpadded);
        let url = vars.read(&URL, api_url);
        let scopes = vars.read(&SCOPES, api_scopes);
        let reveal_token = vars.choose(&WHO_AM_I_TOKEN, who_am_i_token);
        Some(Self { identifier: identifier?, url: url?, scopes: scopes?, reveal_token: reveal_token? })
    }
}

pub(super) static IDENTIFIER: Variable = Variable {
    name: "API_IDENTIFIER",
    former_name: None,
    summary: "audience of the API's access tokens, which is its resource at PingOne",
    details: "Deputy asks PingOne for tokens with this audience, and accepts an access token only if its `aud` \
              contains it.",
    syntax: Syntax::Text("text without white space around it"),
    default: DefaultValue::Required,
    example: Some("https://todo.example.com"),
    on_workers: None,
    secret: false,
};

pub(super) static URL: Variable = Variable {
    name: "API_URL",
    former_name: None,
    summary: "URL below which the tools call the API",
    details: "Unless `WHO_AM_I_TOKEN` is `full`, PingOne's access tokens are sent only here and to PingOne.",
    syntax: Syntax::Text(
        "an `https` URL without query, fragment or user name; `http` is accepted for this computer only",
    ),
    default: DefaultValue::Required,
    example: Some("https://todo.example.com"),
    on_workers: None,
    secret: false,
};

fn api_url(value: &str) -> Result<Url, &'static str> {
    let url = Url::parse(value).map_err(|_| "is not a URL such as https://todo.example.com")?;
    secure(&url)?;
    bare(&url)?;
    Ok(url)
}

pub(super) static SCOPES: Variable = Variable {
    name: "API_SCOPES",
    former_name: None,
    summary: "scopes of the API that clients can be granted",
    details: "They are scopes of the resource `API_IDENTIFIER` at PingOne, and Deputy's application needs all of \
              them. A client that asks for no scope gets these.",
    syntax: Syntax::Text(
        "1 to 64 scopes separated by spaces, without `openid`, `profile`, `email` and `offline_access`",
    ),
    default: DefaultValue::Value("todo:read todo:write"),
    example: Some("calendar.read calendar.write"),
    on_workers: None,
    secret: false,
};

fn api_scopes(value: &str) -> Result<Scopes, &'static str> {
    let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
    let scopes = Scopes::parse(&value).map_err(|_| "must be at most 64 scopes, separated by spaces")?;
    if scopes.iter().any(|scope| scope.contains(',')) {
        return Err("must be scopes separated by spaces, without commas");
    }
    if scopes.iter().any(|scope| ["openid", "profile", "email", "offline_access"].contains(&scope)) {
        return Err(
            "is for the API's own scopes; openid, profile, email and offline_access are PingOne's, leave them out",
        );
    }
    if scopes.is_empty() { Err("must name at least one scope") } else { Ok(scopes) }
}

pub(super) static WHO_AM_I_TOKEN: Variable = Variable {
    name: "WHO_AM_I_TOKEN",
    former_name: None,
    summary: "part of the user's PingOne access token that the tool `who_am_i` shows to the client",
    details: "With `full` a PingOne token leaves Deputy towards a client, and the approval page says so. Nothing \
              else lets that happen. The demo sets `full`.",
    syntax: Syntax::Choice(&[("claims", "its claims"), ("full", "its claims and the token itself")]),
    default: DefaultValue::Value("claims"),
    example: Some("full"),
    on_workers: None,
    secret: false,
};

fn who_am_i_token(value: &str) -> Option<bool> {
    match value {
        "claims" => Some(false),
        "full" => Some(true),
        _ => None,
    }
}
