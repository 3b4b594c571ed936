//! Variables about MCP clients.

use super::{
    variable::{DefaultValue, Syntax, Variable},
    vars::SEPARATORS,
};
use crate::types::RedirectUri;

/// `CLIENT_APPROVAL`: for which redirect URIs a browser remembers the user's approval for 30 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientApproval {
    /// For no redirect URI: the approval page is shown every time.
    Always,
    /// For loopback redirect URIs, where the code stays on this computer.
    Loopback,
    /// For all.
    Remember,
}

pub(super) static CLIENT_APPROVAL: Variable = Variable {
    name: "CLIENT_APPROVAL",
    former_name: None,
    summary: "approvals that the user's browser remembers for 30 days",
    details: "While an approval is remembered, the user is not asked again about the same client. `always` is for \
              computers that several people share; [SECURITY.md](../SECURITY.md#what-is-out-of-scope) has the risk \
              of `remember`. Users are asked every time about a client whose `client_id` is a URL, since anybody can \
              present it. A client can have its user asked with `prompt=consent`. Beside the scope `offline_access` that \
              value has no effect: many clients send both in each request, because OpenID Connect requires it.",
    syntax: Syntax::Choice(&[
        (
            "loopback",
            "approvals of clients with a loopback redirect URI, which are programs on the user's own computer",
        ),
        ("always", "no approvals: the user is asked every time"),
        ("remember", "approvals of every registered client"),
    ]),
    default: DefaultValue::Value("loopback"),
    example: Some("always"),
    on_workers: None,
    secret: false,
};

pub(super) fn client_approval(value: &str) -> Option<ClientApproval> {
    match value {
        "always" => Some(ClientApproval::Always),
        "loopback" => Some(ClientApproval::Loopback),
        "remember" => Some(ClientApproval::Remember),
        _ => None,
    }
}

pub(super) static CLIENT_ID_METADATA_DOCUMENTS: Variable = Variable {
    name: "CLIENT_ID_METADATA_DOCUMENTS",
    former_name: None,
    summary: "switch for clients whose `client_id` is the URL of their metadata",
    details: "Codex, Claude Code, GitHub Copilot CLI and others are such clients. Deputy fetches their metadata from \
              their publishers' sites, over port 443. If it has no way out to the Internet, they cannot connect, and the \
              log warns of that. With `off` the same clients register instead.",
    syntax: Syntax::Choice(&[("on", "Deputy fetches the metadata"), ("off", "every client has to register")]),
    default: DefaultValue::Value("on"),
    example: Some("off"),
    on_workers: None,
    secret: false,
};

pub(super) static PRIVATE_USE_REDIRECT_URIS: Variable = Variable {
    name: "PRIVATE_USE_REDIRECT_URIS",
    former_name: None,
    summary: "redirect URIs with an application's own scheme that clients may use",
    details: "Deputy accepts a redirect URI with such a scheme only if it is named here, since several programs on \
              the user's computer can claim one scheme (RFC 8252 §8.1). The example is Cursor's.",
    syntax: Syntax::Text("redirect URIs separated by spaces, with schemes other than `http` and `https`"),
    default: DefaultValue::Value(""),
    example: Some("cursor://anysphere.cursor-mcp/oauth/callback"),
    on_workers: None,
    secret: false,
};

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

pub(super) static UNCONFIRMED_TOOLS: Variable = Variable {
    name: "UNCONFIRMED_TOOLS",
    former_name: None,
    summary: "tools that may act without the user's confirmation where the client cannot ask for it",
    details: "A tool such as `delete_todo` asks the user through the client (MCP elicitation). Where a client cannot \
              ask, the tool does nothing and says so, unless it is named here.",
    syntax: Syntax::Text("names of tools separated by spaces or commas"),
    default: DefaultValue::Value(""),
    example: Some("delete_todo"),
    on_workers: None,
    secret: false,
};

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
