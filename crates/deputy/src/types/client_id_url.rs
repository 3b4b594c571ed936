//! Client identifiers that are URLs (draft-ietf-oauth-client-id-metadata-document-00 §3).

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// A URL that identifies a client, and at which its metadata document is published. It is `https`, has a path and the
/// host name of a public server, and is written as a URL parser writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientIdUrl {
    text: String,
    host: String,
}

/// Why a URL-shaped `client_id` is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientIdUrlError {
    /// The scheme is not `https`.
    #[error("a client_id that is a URL must begin with https://")]
    Scheme,
    /// It is not in its normal form, has no path, or has a user name, a query, a fragment or dot segments.
    #[error(
        "a client_id that is a URL must be in its normal form, with a path, and without user name, query, fragment and dot \
         segments"
    )]
    Form,
    /// The host is an IP address, or a name that is not resolved on the public Internet.
    #[error("a client_id that is a URL must have a host name of the public Internet")]
    Host,
    /// It is longer than 512 bytes.
    #[error("a client_id that is a URL must not be longer than 512 bytes")]
    Length,
}

impl ClientIdUrl {
    /// Whether a `client_id` looks like a URL. Identifiers that this server issues do not.
    pub fn looks_like_url(client_id: &str) -> bool {
        client_id.contains(':') || client_id.contains('/')
    }

    /// Parses a `client_id` before the document is fetched (draft-ietf-oauth-client-id-metadata-document-00 §3:
    /// `https`, with a path, without user name, fragment and dot segments). This server also rejects queries and
    /// private hosts.
    pub fn parse(text: &str) -> Result<Self, ClientIdUrlError> {
        if text.len() > 512 {
            return Err(ClientIdUrlError::Length);
        }
        if !text.starts_with("https://") {
            return Err(ClientIdUrlError::Scheme);
        }
        let url = Url::parse(text).map_err(|_| ClientIdUrlError::Form)?;
        // Two parsers may disagree about a URL that is not in its normal form: dot segments, escapes, numbers as hosts.
        let is_normal = url.as_str() == text && text.bytes().all(|byte| byte.is_ascii_graphic());
        let has_forbidden_part = url.query().is_some() || url.fragment().is_some() || text.contains('@');
        if !is_normal || has_forbidden_part || url.path() == "/" || has_escaped_dot_segments(url.path()) {
            return Err(ClientIdUrlError::Form);
        }
        match url.host() {
            Some(Host::Domain(name)) if is_public_name(name) => {
                Ok(Self { text: text.to_owned(), host: name.to_owned() })
            }
            _ => Err(ClientIdUrlError::Host),
        }
    }

    /// The URL, as the client sends it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host. Only its owner can publish the document, so it is the part that a user can trust.
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl TryFrom<String> for ClientIdUrl {
    type Error = ClientIdUrlError;

    fn try_from(text: String) -> Result<Self, ClientIdUrlError> {
        Self::parse(&text)
    }
}

impl From<ClientIdUrl> for String {
    fn from(url: ClientIdUrl) -> Self {
        url.text
    }
}

/// Whether a path has dot segments that are percent-encoded. Some servers resolve them.
fn has_escaped_dot_segments(path: &str) -> bool {
    path.to_ascii_lowercase().replace("%2e", ".").split('/').any(|segment| matches!(segment, "." | ".."))
}

/// Whether a name can be resolved on the public Internet. The names that cannot are reserved by RFC 6761, RFC 6762, RFC
/// 8375, RFC 9476, and by ICANN for `.internal`.
fn is_public_name(name: &str) -> bool {
    let labels: Vec<_> = name.split('.').collect();
    let last = labels.last().copied().unwrap_or_default();
    labels.len() >= 2
        && labels.iter().all(|label| !label.is_empty())
        && !["alt", "internal", "invalid", "lan", "local", "localdomain", "localhost", "onion"]
            .contains(&last)
        && !name.ends_with(".home.arpa")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_url_with_a_path_identifies_a_client() {
        for text in [
            "https://client.example/metadata.json",
            "https://claude.ai/oauth/mcp-oauth-client-metadata",
            "https://a.b.example:8443/x/",
        ] {
            assert_eq!(ClientIdUrl::parse(text).map(|url| url.as_str().to_owned()).as_deref(), Ok(text));
        }
        assert_eq!(ClientIdUrl::parse("https://a.b.example:8443/x").unwrap().host(), "a.b.example");
    }

    #[test]
    fn client_id_url_with_another_scheme_is_refused() {
        for text in [
            "http://client.example/x",
            "file:///etc/passwd",
            "gopher://client.example/x",
            "HTTPS://client.example/x",
            "urn:x",
        ] {
            assert_eq!(ClientIdUrl::parse(text), Err(ClientIdUrlError::Scheme), "{text}");
        }
    }

    #[test]
    fn client_id_url_that_parsers_read_differently_is_refused() {
        for text in [
            "https://client.example",
            "https://client.example/",
            "https://client.example/a#b",
            "https://client.example/a?b",
            "https://client.example/a/../b",
            "https://client.example/./b",
            "https://client.example/%2e%2e/b",
            "https://client.example/.%2E/b",
            "https://user@client.example/a",
            "https://@client.example/a",
            "https://u:p@client.example/a",
            "https://client.example/a b",
            "https://client.example\\a",
            "https://client.example/a\n",
            "https://client.example:443/a",
            "https://Client.example/a",
            "https:///a",
            "https://client.example/é",
            "https://2130706433/a",
            "https://0x7f.1/a",
            "https://0177.0.0.1/a",
            "https://127.1/a",
        ] {
            assert_eq!(ClientIdUrl::parse(text), Err(ClientIdUrlError::Form), "{text}");
        }
    }

    #[test]
    fn client_id_url_without_a_public_host_name_is_refused() {
        for text in [
            "https://127.0.0.1/a",
            "https://169.254.169.254/latest",
            "https://8.8.8.8/a",
            "https://[::1]/a",
            "https://[::ffff:7f00:1]/a",
            "https://[fd00::1]/a",
            "https://0.0.0.0/a",
            "https://localhost/a",
            "https://a.localhost/a",
            "https://metadata.google.internal/a",
            "https://printer.local/a",
            "https://router.lan/a",
            "https://nas.home.arpa/a",
            "https://intranet/a",
            "https://client.example./a",
        ] {
            assert_eq!(ClientIdUrl::parse(text), Err(ClientIdUrlError::Host), "{text}");
        }
    }

    #[test]
    fn client_id_url_beyond_512_bytes_is_refused() {
        let text = format!("https://client.example/{}", "a".repeat(512));
        assert_eq!(ClientIdUrl::parse(&text), Err(ClientIdUrlError::Length));
    }
}
