//! What MCP clients may do.

use super::parse::SEPARATORS;
use crate::oauth::RedirectUri;

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

pub(super) fn client_approval(value: &str) -> Result<ClientApproval, &'static str> {
    match value {
        "always" => Ok(ClientApproval::Always),
        "loopback" => Ok(ClientApproval::Loopback),
        "remember" => Ok(ClientApproval::Remember),
        _ => Err("must be loopback, always or remember"),
    }
}

pub(super) fn private_use(value: &str) -> Result<Vec<RedirectUri>, &'static str> {
    value
        .split_whitespace()
        .map(|uri| {
            let uri = Some(uri).filter(|uri| !uri.contains(',')).and_then(|uri| RedirectUri::parse(uri).ok());
            let uri = uri.ok_or("must be redirect URIs separated by spaces")?;
            if uri.is_private_use() { Ok(uri) } else { Err("is for schemes other than http and https") }
        })
        .collect()
}

/// Names of tools (MCP 2025-11-25, Tools, Tool Names).
pub(super) fn tools(value: &str) -> Result<Vec<String>, &'static str> {
    let names = value.split(SEPARATORS).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let valid = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte));
            if valid { Ok(name.to_owned()) } else { Err("must be names of tools separated by spaces") }
        })
        .collect()
}
