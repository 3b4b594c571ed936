//! Redirect URIs: syntax, schemes, and comparison (OAuth 2.1 §2.3, RFC 8252 §7).

use std::fmt;

use serde::{Deserialize, Serialize};
use url::{Host, Url, form_urlencoded};

/// A redirect URI as its client wrote it. Redirect URIs are compared as text; only the port of a loopback URI may
/// differ (OAuth 2.1 §2.3, RFC 8252 §7.3).
///
/// ```
/// use deputy::types::{RedirectUri, RedirectUriError};
///
/// let registered = RedirectUri::parse("http://127.0.0.1/callback")?;
/// assert!(RedirectUri::parse("http://127.0.0.1:50123/callback")?.matches(&registered));
/// assert!(!RedirectUri::parse("http://127.0.0.1:50123/other")?.matches(&registered));
///
/// assert_eq!(RedirectUri::parse("http://client.example/callback"), Err(RedirectUriError::Insecure));
/// assert_eq!(RedirectUri::parse("javascript:alert(1)"), Err(RedirectUriError::Script));
/// # Ok::<(), RedirectUriError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RedirectUri(String);

/// Why a redirect URI is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectUriError {
    /// It has a character that is not allowed in a URI (RFC 3986 §2).
    #[error("a redirect URI must consist of the characters that RFC 3986 allows")]
    Characters,
    /// It has a fragment, which OAuth 2.1 §2.3 forbids.
    #[error("a redirect URI must not have a fragment")]
    Fragment,
    /// The scheme is `http`, and the host is not a loopback address (RFC 8252 §7.3).
    #[error("a redirect URI with http must go to localhost, 127.0.0.1 or [::1]")]
    Insecure,
    /// Its query has a parameter of an authorization response. The response would have it twice, which OAuth 2.1 §3.1
    /// forbids.
    #[error(
        "a redirect URI must not have code, state, iss or error parameters in its query: the response adds its own"
    )]
    ResponseParameter,
    /// It is longer than 2048 bytes.
    #[error("a redirect URI must not be longer than 2048 bytes")]
    Length,
    /// It is not an absolute URI (OAuth 2.1 §2.3).
    #[error("a redirect URI must be an absolute URI, with a number for its port if it has one")]
    Relative,
    /// The browser itself handles the scheme, or it does not lead to an application of OAuth.
    #[error("this scheme cannot be used in a redirect URI")]
    Scheme,
    /// The scheme runs script.
    #[error("a redirect URI must not have a scheme that runs script")]
    Script,
    /// It has a user name or password.
    #[error("a redirect URI must not have a user name")]
    UserInfo,
}

impl RedirectUri {
    /// Parses a redirect URI of a registration or an authorization request.
    pub fn parse(text: &str) -> Result<Self, RedirectUriError> {
        if runs_script(text) {
            return Err(RedirectUriError::Script);
        }
        if text.len() > 2048 {
            return Err(RedirectUriError::Length);
        }
        // Browsers remove or rewrite some other characters before they read the scheme, and some are markup.
        if !text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b)) {
            return Err(RedirectUriError::Characters);
        }
        if text.contains('#') {
            return Err(RedirectUriError::Fragment);
        }
        let url = Url::parse(text).map_err(|_| RedirectUriError::Relative)?;
        if matches!(url.scheme(), "http" | "https") {
            // The user must read the same host that the browser goes to: no `https:/host`, no empty user name.
            let (_, rest) = text.split_once("://").ok_or(RedirectUriError::Relative)?;
            let authority = rest.split(['/', '?']).next().unwrap_or_default();
            if text.find(':') != text.find("://") || authority.is_empty() {
                return Err(RedirectUriError::Relative);
            }
            if authority.contains('@') {
                return Err(RedirectUriError::UserInfo);
            }
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RedirectUriError::UserInfo);
        }
        let mut parameters = form_urlencoded::parse(url.query().unwrap_or_default().as_bytes());
        if parameters.any(|(name, _)| RESPONSE_PARAMETERS.contains(&&*name)) {
            return Err(RedirectUriError::ResponseParameter);
        }
        match url.scheme() {
            "https" => Ok(Self(text.to_owned())),
            "http" if url.host().is_some_and(|host| is_loopback(&host)) => Ok(Self(text.to_owned())),
            "http" => Err(RedirectUriError::Insecure),
            scheme if NOT_FOR_APPLICATIONS.contains(&scheme) => Err(RedirectUriError::Scheme),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// The text as the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has a private-use scheme (RFC 8252 §7.1). Any application can claim such a scheme, so the operator
    /// has to allow the URI.
    pub fn is_private_use(&self) -> bool {
        self.url().is_none_or(|url| !matches!(url.scheme(), "http" | "https"))
    }

    /// Whether it leads to a loopback address, where any program on the user's computer can listen. A private-use
    /// scheme leads to an application, whatever the host is.
    pub fn is_loopback(&self) -> bool {
        !self.is_private_use()
            && self.url().is_some_and(|url| url.host().is_some_and(|host| is_loopback(&host)))
    }

    /// Whether its origin is `origin`, in ASCII serialization (RFC 6454 §6.2).
    pub fn has_origin(&self, origin: &str) -> bool {
        self.url().is_some_and(|url| url.origin().ascii_serialization() == origin)
    }

    /// The part that a user should read first: the host, or the scheme if that is for private use.
    pub fn host(&self) -> String {
        let Some(url) = self.url() else { return String::new() };
        match url.host() {
            Some(host) if !self.is_private_use() => host.to_string(),
            _ => format!("{}:", url.scheme()),
        }
    }

    /// Whether a request may use this URI if the client registered `registered`: the same text (OAuth 2.1 §2.3), or an
    /// `http` loopback URI that differs in its port only (RFC 8252 §7.3).
    pub fn matches(&self, registered: &Self) -> bool {
        if self == registered {
            return true;
        }
        match (self.without_loopback_port(), registered.without_loopback_port()) {
            (Some(this), Some(that)) => this == that,
            _ => false,
        }
    }

    /// The text before and after the port of an `http` loopback URI. It is cut from the text, so that everything else
    /// is compared as text.
    fn without_loopback_port(&self) -> Option<(&str, &str)> {
        let rest = self.0.strip_prefix("http://")?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let host_end = match authority.rfind(']') {
            Some(bracket) => bracket + 1,
            None => authority.find(':').unwrap_or(authority.len()),
        };
        let (host, port) = authority.split_at(host_end);
        let good_port = port.is_empty() || port.strip_prefix(':').is_some_and(|p| p.parse::<u16>().is_ok());
        let loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        (loopback && good_port).then_some((host, tail))
    }

    fn url(&self) -> Option<Url> {
        Url::parse(&self.0).ok()
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a host is `127.0.0.1`, `[::1]` (RFC 8252 §7.3) or `localhost` (§8.3).
pub fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(domain) => domain.as_ref() == "localhost",
        Host::Ipv4(address) => address.octets() == [127, 0, 0, 1],
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Whether a browser that opens `text` could run script in it. Browsers skip spaces and control characters before a
/// scheme, and tabs and line breaks inside it.
fn runs_script(text: &str) -> bool {
    let start =
        text.trim_start_matches(|c: char| c <= ' ').chars().filter(|c| !matches!(c, '\t' | '\n' | '\r'));
    let scheme: String = start.take(LONGEST_SCRIPT + 1).collect::<String>().to_ascii_lowercase();
    scheme.split_once(':').is_some_and(|(scheme, _)| SCRIPT.contains(&scheme))
}

/// Schemes that run script, or open a document with script.
const SCRIPT: [&str; 9] =
    ["blob", "data", "filesystem", "jar", "javascript", "livescript", "mocha", "vbscript", "view-source"];
const LONGEST_SCRIPT: usize = "view-source".len();

/// Schemes that browsers or operating systems handle themselves, so that no client can receive the response.
const NOT_FOR_APPLICATIONS: [&str; 12] = [
    "about",
    "chrome",
    "chrome-extension",
    "file",
    "ftp",
    "gopher",
    "intent",
    "mailto",
    "resource",
    "tel",
    "ws",
    "wss",
];

/// The parameters of an authorization response (OAuth 2.1 §4.1.2, RFC 9207 §2).
const RESPONSE_PARAMETERS: [&str; 6] = ["code", "error", "error_description", "error_uri", "iss", "state"];

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> RedirectUri {
        RedirectUri::parse(text).unwrap()
    }

    #[test]
    fn scheme_that_runs_script_or_opens_a_file_is_refused() {
        for text in [
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            " javascript:alert(1)",
            "\u{1}\tjava\tscript\n:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "blob:https://a/b",
            "view-source:https://a",
        ] {
            assert_eq!(RedirectUri::parse(text), Err(RedirectUriError::Script), "{text:?}");
        }
        for text in ["file:///etc/passwd", "about:blank", "ws://a/b", "ftp://a/b", "chrome-extension://a/b"] {
            assert_eq!(RedirectUri::parse(text), Err(RedirectUriError::Scheme), "{text}");
        }
        for text in ["https://a/\r\nb", "https://a\\@b/", "https://a/?x=\"><b>"] {
            assert_eq!(RedirectUri::parse(text), Err(RedirectUriError::Characters), "{text:?}");
        }
    }

    #[test]
    fn query_with_a_response_parameter_is_refused() {
        for query in ["code=x", "a=b&state", "iss=https://a", "error=x", "%63ode=x", "error_description="] {
            for uri in [format!("https://a.example/cb?{query}"), format!("myapp:/cb?{query}")] {
                assert_eq!(RedirectUri::parse(&uri), Err(RedirectUriError::ResponseParameter), "{uri}");
            }
        }
        assert!(RedirectUri::parse("http://localhost/cb?server_name=code&codes=1&State=2").is_ok());
    }

    #[test]
    fn private_use_scheme_with_a_loopback_host_is_not_loopback() {
        assert!(!uri("myapp://localhost/cb").is_loopback());
        assert!(uri("http://localhost:1/cb").is_loopback() && uri("https://[::1]/cb").is_loopback());
        assert!(!uri("https://localhost.example/cb").is_loopback());
    }

    #[test]
    fn http_to_another_host_than_loopback_is_refused() {
        for text in
            ["http://a.example/", "http://localhost.attacker/", "http://0.0.0.0/", "http://169.254.169.254/"]
        {
            assert_eq!(RedirectUri::parse(text), Err(RedirectUriError::Insecure), "{text}");
        }
        assert_eq!(RedirectUri::parse("http://localhost@attacker/"), Err(RedirectUriError::UserInfo));
        assert_eq!(RedirectUri::parse("https://a/#"), Err(RedirectUriError::Fragment));
        for text in
            ["/callback", "https:/a.example/", "https:callback", "https:///a.example/", "http:localhost/cb"]
        {
            assert_eq!(RedirectUri::parse(text), Err(RedirectUriError::Relative), "{text}");
        }
        assert_eq!(RedirectUri::parse("https://@a.example/"), Err(RedirectUriError::UserInfo));
    }

    #[test]
    fn redirect_uri_of_a_known_client_is_accepted() {
        for text in [
            "https://claude.ai/api/mcp/auth_callback",
            "http://localhost/callback",
            "http://127.0.0.1:33418/",
            "http://[::1]:9/cb",
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "com.example.app:/callback",
        ] {
            assert_eq!(uri(text).as_str(), text);
        }
    }

    #[test]
    fn loopback_redirect_uri_matches_with_any_port() {
        for (asked, registered) in [
            ("http://127.0.0.1:5000/cb", "http://127.0.0.1/cb"),
            ("http://127.0.0.1:5000/cb", "http://127.0.0.1:33418/cb"),
            ("http://localhost/cb", "http://localhost:1/cb"),
            ("http://[::1]:5/cb?a=b", "http://[::1]/cb?a=b"),
        ] {
            assert!(uri(asked).matches(&uri(registered)), "{asked}");
        }
    }

    #[test]
    fn other_redirect_uri_matches_only_the_same_text() {
        for (asked, registered) in [
            ("http://127.0.0.1:5000/other", "http://127.0.0.1/cb"),
            ("http://localhost:5000/cb", "http://127.0.0.1/cb"),
            ("http://127.0.0.1:5000/cb?x", "http://127.0.0.1/cb"),
            ("https://localhost:5000/cb", "https://localhost/cb"),
            ("https://a.example/cb/", "https://a.example/cb"),
            ("https://a.example:443/cb", "https://a.example/cb"),
            ("https://A.example/cb", "https://a.example/cb"),
            ("https://a.example/cb?x=1", "https://a.example/cb"),
            ("https://a.example.evil/cb", "https://a.example/cb"),
            ("https://a.example/%63b", "https://a.example/cb"),
            ("https://a.example/x/../cb", "https://a.example/cb"),
        ] {
            assert!(!uri(asked).matches(&uri(registered)), "{asked}");
        }
        for bad in ["http://127.0.0.1:99999/cb", "http://127.0.0.2:5000/cb", "http://user@127.0.0.1/cb"] {
            assert!(
                RedirectUri::parse(bad).is_err() || !uri(bad).matches(&uri("http://127.0.0.1/cb")),
                "{bad}"
            );
        }
    }

    #[test]
    fn redirect_uri_host_is_where_the_browser_goes() {
        assert_eq!(uri("https://claude.ai/x").host(), "claude.ai");
        assert_eq!(uri("cursor://anysphere.cursor-mcp/x").host(), "cursor:");
    }
}
