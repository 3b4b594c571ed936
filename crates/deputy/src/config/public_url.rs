//! The URL at which clients reach Deputy.

use std::fmt;

use url::Url;

use super::{
    variable::{DefaultValue, Syntax, Variable},
    vars::secure,
};
use crate::types::is_loopback;

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

    /// The redirect URI to register at PingOne.
    pub fn callback(&self) -> String {
        self.at("/callback")
    }

    /// The page *Your agents*, to register at PingOne as the URI to return to after a sign-off.
    pub fn agents(&self) -> String {
        self.at("/agents")
    }

    /// The URL of `path`.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }

    /// The port, where it is not the scheme's own.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether only this computer can reach Deputy.
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

pub(super) static PUBLIC_URL: Variable = Variable {
    name: "PUBLIC_URL",
    former_name: None,
    summary: "URL at which browsers and MCP clients reach Deputy",
    details: "It is the issuer of Deputy's metadata and the base of every URL in it. Its `/callback` is the redirect \
              URI to register at PingOne, and its `/mcp` the address for MCP clients. A new value ends every login.",
    syntax: Syntax::Text(
        "an `https` origin in lower case, without path, query, user name or the scheme's own port; `http` is \
         accepted for this computer only",
    ),
    default: DefaultValue::Native("`http://localhost:<port>`, with the port of `LISTEN`"),
    example: Some("https://deputy.example.com"),
    on_workers: Some("required"),
    secret: false,
};

pub(super) fn public_url(value: &str) -> Result<PublicUrl, &'static str> {
    let url = Url::parse(value).map_err(|_| "is not a URL such as https://deputy.example.com")?;
    secure(&url)?;
    let origin = url.origin().ascii_serialization();
    if value.trim_end_matches('/') != origin {
        return Err(
            "must be an origin such as https://deputy.example.com: lower case, no path, no query, no user name, and \
             no port where it is the scheme's own",
        );
    }
    Ok(PublicUrl {
        loopback: url.host().is_some_and(|host| is_loopback(&host)),
        port: url.port(),
        text: origin,
    })
}
