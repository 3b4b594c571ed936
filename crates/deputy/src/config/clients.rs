//! Variables about MCP clients.

use serde::Deserialize;
use serde_json::Value;

use super::{
    variable::{DefaultValue, Syntax, Variable},
    vars::SEPARATORS,
};
use crate::{
    encoding::unhex,
    host::Digest,
    jose::{ClientKeys, has_private_key},
    types::{ConfiguredId, RedirectUri},
};

/// The clients that can connect, as far as their redirect URIs are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// `CLIENT_ID_METADATA_DOCUMENTS`: whether a `client_id` may be the URL of the client's metadata.
    pub metadata_documents: bool,
    /// `DYNAMIC_CLIENT_REGISTRATION`: whether clients can register (RFC 7591).
    pub registration: bool,
    /// `CLIENTS`: clients that the operator registers.
    pub clients: Vec<ConfiguredClient>,
}

/// The redirect URIs that clients may have, unless the operator configured the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedirectPolicy {
    /// `PRIVATE_USE_REDIRECT_URIS`: accepted redirect URIs with an application's own scheme (RFC 8252 §7.1).
    pub private_use: Vec<RedirectUri>,
    /// `CLIENT_HOSTS`.
    pub hosts: ClientHosts,
}

impl RedirectPolicy {
    /// Whether a client may have this redirect URI.
    pub fn allows(&self, uri: &RedirectUri) -> bool {
        if uri.is_private_use() { self.private_use.contains(uri) } else { self.hosts.admits(&uri.host()) }
    }

    /// Whether a redirect URI with this host, as [`RedirectUri::host`] returns it, may be one that is allowed.
    pub fn admits_host(&self, host: &str) -> bool {
        if host.ends_with(':') {
            self.private_use.iter().any(|uri| uri.host() == host)
        } else {
            self.hosts.admits(host)
        }
    }
}

/// `CLIENT_HOSTS`: the hosts of redirect URIs and of metadata documents that clients may have. The default is every host.
///
/// ```
/// use deputy::config::ClientHosts;
///
/// let hosts = ClientHosts::parse("claude.ai *.example.com localhost")?;
/// assert!(hosts.admits("claude.ai") && hosts.admits("app.example.com") && hosts.admits("localhost"));
/// assert!(!hosts.admits("example.com") && !hosts.admits("claude.ai.evil.example"));
/// assert!(ClientHosts::default().admits("any.example"));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHosts(Option<Vec<String>>);

impl ClientHosts {
    /// Parses hosts, and domains whose subdomains are meant, such as `*.example.com`. A single `*` is every host.
    pub fn parse(value: &str) -> Result<Self, &'static str> {
        if value == "*" {
            return Ok(Self(None));
        }
        let hosts = value.split(SEPARATORS).filter(|host| !host.is_empty());
        let hosts: Option<Vec<_>> = hosts
            .map(|host| {
                let name = host.strip_prefix("*.").unwrap_or(host);
                // The URL parser writes hosts in their one form.
                let is_normal = |parsed: &url::Host| !name.contains('*') && parsed.to_string() == name;
                let parsed = url::Host::parse(name).ok().filter(is_normal);
                parsed.map(|_| host.to_owned())
            })
            .collect();
        hosts.map(|hosts| Self(Some(hosts))).ok_or(
            "must be host names in lower case separated by spaces, such as claude.ai *.example.com localhost, or *",
        )
    }

    /// Whether a client may have this host.
    pub fn admits(&self, host: &str) -> bool {
        self.0.as_ref().is_none_or(|admitted| {
            admitted.iter().any(|entry| match entry.strip_prefix('*') {
                Some(domain) => host.len() > domain.len() && host.ends_with(domain),
                None => entry == host,
            })
        })
    }
}

/// A client in `CLIENTS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredClient {
    /// `client_id`.
    pub id: ConfiguredId,
    /// `client_name`.
    pub name: String,
    /// `redirect_uris`.
    pub redirect_uris: Vec<RedirectUri>,
    /// `client_secret_sha256`: SHA-256 of the secret of a confidential client.
    pub secret_sha256: Option<Digest>,
    /// `jwks` or `jwks_uri`: the keys of a client that signs assertions.
    pub keys: Option<ClientKeys>,
}

pub(super) static CLIENTS: Variable = Variable {
    name: "CLIENTS",
    former_name: None,
    summary: "clients that the operator registers",
    details: "Each has a `client_id` that begins with `client-`, a `client_name`, its `redirect_uris` and, if it has a \
              secret, `client_secret_sha256`, the SHA-256 of the secret in hexadecimal. A client that signs assertions \
              (`private_key_jwt`) has its public keys in `jwks`, or their URL in `jwks_uri`. [clients.md](clients.md) has \
              examples, and a command that makes a secret. `PRIVATE_USE_REDIRECT_URIS` and `CLIENT_HOSTS` do not \
              restrict these clients.",
    syntax: Syntax::Text("a JSON list of objects"),
    default: DefaultValue::Value("[]"),
    example: Some(
        r#"[{"client_id":"client-mastra","client_name":"Mastra","redirect_uris":["https://app.example.com/callback"]}]"#,
    ),
    on_workers: Some(
        "the list itself may be in the `vars` of `wrangler.jsonc`, without quotation marks around it",
    ),
    secret: false,
};

/// A client as the operator writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    client_id: String,
    client_name: String,
    redirect_uris: Vec<String>,
    client_secret_sha256: Option<String>,
    jwks: Option<Value>,
    jwks_uri: Option<String>,
}

pub(super) fn configured_clients(value: &str) -> Result<Vec<ConfiguredClient>, &'static str> {
    let entries: Vec<Entry> = serde_json::from_str(value).map_err(|_| {
        "must be a JSON list of objects with client_id, client_name, redirect_uris and maybe client_secret_sha256, jwks \
         or jwks_uri, and without other members"
    })?;
    let mut clients: Vec<ConfiguredClient> = Vec::new();
    for Entry { client_id, client_name, redirect_uris, client_secret_sha256, jwks, jwks_uri } in entries {
        let id = ConfiguredId::parse(&client_id).ok_or(
            "has a client_id that is not client- and 1 to 57 letters, digits, hyphens, underscores or dots",
        )?;
        if clients.iter().any(|client| client.id == id) {
            return Err("has a client_id twice");
        }
        if client_name.trim().is_empty() {
            return Err("has an empty client_name");
        }
        let redirect_uris: Result<Vec<_>, _> =
            redirect_uris.iter().map(|uri| RedirectUri::parse(uri)).collect();
        let redirect_uris = redirect_uris.ok().filter(|uris| !uris.is_empty()).ok_or(
            "has a client without redirect_uris, or with one that is not https, http to localhost, or of an own scheme",
        )?;
        let secret_sha256 = client_secret_sha256
            .map(|digest| {
                unhex(digest.as_bytes())
                    .map(Digest)
                    .ok_or("has a client_secret_sha256 that is not 64 hexadecimal digits in lower case")
            })
            .transpose()?;
        let has_keys = jwks.is_some() || jwks_uri.is_some();
        if secret_sha256.is_some() && has_keys || jwks.is_some() && jwks_uri.is_some() {
            return Err("has a client with more than one of client_secret_sha256, jwks and jwks_uri");
        }
        if jwks.as_ref().is_some_and(has_private_key) {
            return Err("has a jwks with a private key. Give the client that key, and Deputy the public one");
        }
        let keys = ClientKeys::read(jwks.as_ref(), jwks_uri.as_deref());
        if has_keys && keys.is_none() {
            return Err(
                "has a jwks without a key for RS256 or ES256, or a jwks_uri that is no https URL with a public host and a path",
            );
        }
        clients.push(ConfiguredClient { id, name: client_name, redirect_uris, secret_sha256, keys });
    }
    Ok(clients)
}

pub(super) static CLIENT_HOSTS: Variable = Variable {
    name: "CLIENT_HOSTS",
    former_name: None,
    summary: "hosts that the redirect URIs and the metadata documents of clients may have",
    details: "A client needs a redirect URI at one of these hosts, and the URL of its metadata document too. The rule \
              applies at once, also to clients that registered before. `localhost`, `127.0.0.1` and `[::1]` stand for \
              programs on the computers of users. Redirect URIs with an application's own scheme have a list of their \
              own, `PRIVATE_USE_REDIRECT_URIS`.",
    syntax: Syntax::Text(
        "host names separated by spaces, `*.` before a domain for its subdomains, or `*` for every host",
    ),
    default: DefaultValue::Value("*"),
    example: Some("claude.ai claude.com chatgpt.com localhost 127.0.0.1"),
    on_workers: None,
    secret: false,
};

pub(super) static DYNAMIC_CLIENT_REGISTRATION: Variable = Variable {
    name: "DYNAMIC_CLIENT_REGISTRATION",
    former_name: None,
    summary: "switch for clients that register themselves",
    details: "With `off`, clients that registered before cannot be used either. Together with \
              `CLIENT_ID_METADATA_DOCUMENTS=off` it admits only the clients in `CLIENTS`.",
    syntax: Syntax::Choice(&[
        ("on", "every client can register (RFC 7591)"),
        ("off", "no client can register, and the metadata does not offer it"),
    ]),
    default: DefaultValue::Value("on"),
    example: Some("off"),
    on_workers: None,
    secret: false,
};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_client_with_a_mistake_is_refused() {
        let good = r#"{"client_id":"client-a","client_name":"A","redirect_uris":["https://a.example/cb"]}"#;
        assert_eq!(configured_clients(&format!("[{good}]")).map(|clients| clients.len()), Ok(1));
        let digest = "0".repeat(64);
        let both =
            format!(",\"jwks_uri\":\"https://a.example/jwks.json\",\"client_secret_sha256\":\"{digest}\"}}");
        for (from, to) in [
            ("client-a", "a"),
            ("client-a", "client-"),
            ("\"A\"", "\" \""),
            ("https:", "javascript:"),
            ("https:", "http:"),
            ("[\"https://a.example/cb\"]", "[]"),
            ("\"client_name\":\"A\",", ""),
            ("}", ",\"client_secret\":\"x\"}"),
            ("}", ",\"client_secret_sha256\":\"x\"}"),
            ("}", ",\"client_secret_sha256\":7}"),
            ("}", ",\"jwks\":{\"keys\":[]}}"),
            ("}", ",\"jwks\":{\"keys\":[{\"kty\":\"oct\",\"k\":\"x\"}]}}"),
            ("}", ",\"jwks_uri\":\"http://a.example/jwks.json\"}"),
            ("}", ",\"jwks_uri\":7}"),
            ("}", &both),
        ] {
            let bad = good.replace(from, to);
            assert!(bad != good && configured_clients(&format!("[{bad}]")).is_err(), "{bad}");
        }
        for bad in ["", "{}", "null", good, &format!("[{good},{good}]")] {
            assert!(configured_clients(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn client_host_that_no_url_has_is_refused() {
        for bad in
            ["Claude.ai", "https://claude.ai", "claude.ai:443", "a b/c", "*.", "* claude.ai", "a.*.example"]
        {
            assert!(ClientHosts::parse(bad).is_err(), "{bad}");
        }
        for (entry, host) in [
            ("[::1]", "[::1]"),
            ("127.0.0.1", "127.0.0.1"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert!(ClientHosts::parse(entry).unwrap().admits(host), "{entry}");
        }
    }
}
