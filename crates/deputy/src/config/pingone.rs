//! Deputy's client at `PingOne`.

use url::Url;

use super::parse::{bare, secure};
use crate::secret::Secret;

/// Our registration at `PingOne`, and what we ask of it.
#[derive(Clone, Debug)]
pub struct PingOne {
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

pub(super) fn pingone_issuer(value: &str) -> Result<String, &'static str> {
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

pub(super) fn policy_id(value: &str) -> Result<String, &'static str> {
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

pub(super) fn client_auth(value: &str) -> Result<ClientAuth, &'static str> {
    match value {
        "client_secret_basic" => Ok(ClientAuth::Basic),
        "client_secret_post" => Ok(ClientAuth::Post),
        _ => Err("must be client_secret_basic or client_secret_post"),
    }
}
