//! Client identifiers that are URLs (draft-ietf-oauth-client-id-metadata-document-00 §3).

use url::{Host, Url};

/// A URL that identifies a client and leads to its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdUrl {
    text: String,
    host: String,
}

/// Why a URL-shaped `client_id` is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientIdUrlError {
    /// Not `https`.
    #[error("a client_id that is a URL must begin with https://")]
    Scheme,
    /// It could be written in another way, or has what a client's URL must not have.
    #[error(
        "a client_id that is a URL must be in its plain form, with a path, and without user name, query, fragment and dot segments"
    )]
    Form,
    /// An address instead of a name, or a name that means something on some networks only.
    #[error("a client_id that is a URL must have a host name of the public Internet")]
    Host,
    /// More than 512 bytes.
    #[error("a client_id that is a URL must not be longer than 512 bytes")]
    Length,
}

impl ClientIdUrl {
    /// Whether a `client_id` looks like a URL. Those that this server gives do not.
    pub fn looks_like_url(client_id: &str) -> bool {
        client_id.contains(':') || client_id.contains('/')
    }

    /// Reads a `client_id`, before anything is fetched.
    pub fn parse(text: &str) -> Result<Self, ClientIdUrlError> {
        if text.len() > 512 {
            return Err(ClientIdUrlError::Length);
        }
        if !text.starts_with("https://") {
            return Err(ClientIdUrlError::Scheme);
        }
        let url = Url::parse(text).map_err(|_| ClientIdUrlError::Form)?;
        // What a parser would change, another one might change in another way: dot segments, escapes, numbers as hosts.
        let plain = url.as_str() == text && text.bytes().all(|byte| byte.is_ascii_graphic());
        let surplus = url.query().is_some() || url.fragment().is_some() || text.contains('@');
        if !plain || surplus || url.path() == "/" || hides_dots(url.path()) {
            return Err(ClientIdUrlError::Form);
        }
        match url.host() {
            Some(Host::Domain(name)) if is_public_name(name) => {
                Ok(Self { text: text.to_owned(), host: name.to_owned() })
            }
            _ => Err(ClientIdUrlError::Host),
        }
    }

    /// The `client_id`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host, which the client has proven to control: what a user should read first.
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// Dot segments that are escaped, which some servers resolve.
fn hides_dots(path: &str) -> bool {
    path.to_ascii_lowercase().replace("%2e", ".").split('/').any(|segment| matches!(segment, "." | ".."))
}

/// Whether a name can be one of the public Internet (RFC 6761, RFC 6762, RFC 8375, RFC 9476; `.internal`).
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
    fn a_plain_https_url_with_a_path_identifies_a_client() {
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
    fn other_schemes_are_refused() {
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
    fn what_could_be_read_in_two_ways_is_refused() {
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
    fn hosts_that_are_not_names_of_the_public_internet_are_refused() {
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
    fn a_url_beyond_512_bytes_is_refused() {
        let text = format!("https://client.example/{}", "a".repeat(512));
        assert_eq!(ClientIdUrl::parse(&text), Err(ClientIdUrlError::Length));
    }
}
