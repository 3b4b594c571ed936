//! `ALLOWED_ORIGINS`: origins whose pages may call the MCP endpoint.

use url::{Host, Url};

use super::{
    variable::{DefaultValue, Syntax, Variable},
    vars::SEPARATORS,
};

/// An origin, or every origin below a domain, as the `Origin` header names them (RFC 6454 §6.2).
///
/// ```
/// use deputy::config::AllowedOrigin;
///
/// let allowed = AllowedOrigin::parse("https://*.example.com")?;
/// assert!(allowed.admits("https://app.example.com"));
/// assert!(!allowed.admits("https://example.com"));
/// assert!(!allowed.admits("http://app.example.com"));
/// assert!(AllowedOrigin::parse("null").is_err());
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// `https://*.example.com`: every subdomain of any depth, and not the domain itself.
    Below {
        /// `.example.com`, and the port if it is not the scheme's own.
        suffix: String,
    },
    /// `https://app.example.com`, or the origin of an application with a scheme of its own: `chrome-extension://<id>`.
    Exactly(String),
}

impl AllowedOrigin {
    /// Reads one origin.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.eq_ignore_ascii_case("null") {
            return Err("null is the origin of every sandboxed page and every file, and cannot be admitted");
        }
        if text.contains('*') {
            return below(text).map(|suffix| Self::Below { suffix }).ok_or(WILDCARD);
        }
        let (scheme, rest) = text.split_once("://").ok_or(SCHEME)?;
        let scheme = scheme.to_ascii_lowercase();
        match scheme.as_str() {
            "http" | "https" => of_web(text).map(Self::Exactly),
            "file" => Err("pages of file:// have the origin null, which cannot be admitted"),
            "about" | "blob" | "data" | "ftp" | "javascript" | "ws" | "wss" => {
                Err("no page has an origin of this scheme")
            }
            _ => of_application(&scheme, rest).map(Self::Exactly),
        }
    }

    /// Whether this is, or is above, the origin of a request.
    pub fn admits(&self, origin: &str) -> bool {
        match self {
            Self::Exactly(admitted) => admitted == origin,
            Self::Below { suffix } => {
                let labels =
                    origin.strip_prefix("https://").and_then(|host| host.strip_suffix(suffix.as_str()));
                labels.is_some_and(|labels| labels.split('.').all(is_label))
            }
        }
    }
}

pub(super) static ALLOWED_ORIGINS: Variable = Variable {
    name: "ALLOWED_ORIGINS",
    former_name: None,
    summary: "origins besides Deputy's own whose pages may call the MCP endpoint",
    details: "Examples: `http://localhost:6274` is an MCP Inspector; `chrome-extension://<id>`, `app://obsidian.md` \
              and `tauri://localhost` are applications. `https://*.example.com` is every subdomain of `example.com`, \
              of any depth, without `example.com` itself. While `PUBLIC_URL` is on this computer, every page of this \
              computer may call the endpoint.",
    syntax: Syntax::Text("origins separated by spaces or commas, each with its scheme and without a path"),
    default: DefaultValue::Value(""),
    example: Some("http://localhost:6274 https://*.example.com"),
    on_workers: None,
    secret: false,
};

pub(super) fn origins(value: &str) -> Result<Vec<AllowedOrigin>, &'static str> {
    value.split(SEPARATORS).filter(|text| !text.is_empty()).map(AllowedOrigin::parse).collect()
}

/// The suffix after the asterisk of `https://*.example.com`.
fn below(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://*.")?;
    if !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let url = Url::parse(&format!("https://{rest}")).ok()?;
    let Some(Host::Domain(domain)) = url.host() else { return None };
    let more = (url.path(), url.query(), url.fragment(), url.username(), url.password());
    // All of a top-level domain is never one operator's.
    let owned = domain.contains('.') && domain.split('.').all(is_label);
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    (owned && more == ("/", None, None, "", None)).then(|| format!(".{domain}{port}"))
}

/// The origin that browsers send for pages at this address.
fn of_web(text: &str) -> Result<String, &'static str> {
    let url = Url::parse(text).map_err(|_| SCHEME)?;
    let more = (url.path(), url.query(), url.fragment(), url.username(), url.password());
    if more == ("/", None, None, "", None) { Ok(url.origin().ascii_serialization()) } else { Err(BARE) }
}

/// The origin of an application whose pages have a scheme of their own. Nothing but the scheme is without case.
fn of_application(scheme: &str, rest: &str) -> Result<String, &'static str> {
    let mut characters = scheme.bytes();
    let named = characters.next().is_some_and(|first| first.is_ascii_lowercase())
        && characters
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte));
    if !named {
        return Err(SCHEME);
    }
    let (host, port) = rest.split_once(':').unwrap_or((rest, "0"));
    let bare =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if bare && port.parse::<u16>().is_ok() { Ok(format!("{scheme}://{rest}")) } else { Err(BARE) }
}

/// A label of a domain, in lower case as browsers send it.
fn is_label(label: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    !label.is_empty() && label.bytes().all(valid)
}

const SCHEME: &str = "must be origins separated by spaces, each with its scheme: https://app.example.com, or \
                      chrome-extension://<id>";
const BARE: &str = "an origin has no path, query or user name: https://app.example.com";
const WILDCARD: &str = "an asterisk stands for every subdomain of an https origin and nothing else: \
                        https://*.example.com";

#[cfg(test)]
mod tests {
    use super::*;

    fn exactly(text: &str) -> AllowedOrigin {
        AllowedOrigin::Exactly(text.to_owned())
    }

    #[test]
    fn origins_of_applications_are_admitted_as_they_are() {
        for origin in [
            "app://obsidian.md",
            "capacitor://localhost",
            "chrome-extension://mhjfbmdgcfjbbpaeojofohoefgiehjai",
            "moz-extension://2f1e9c4a-5a8c-4a0e-9c0e-0d3f6b1a2c3d",
            "safari-web-extension://00F9C5AD-9D3A-4D3B-8A2F-5D8D5D3C2B1A",
            "tauri://localhost",
            "vscode-file://vscode-app",
            "vscode-webview://1u9k3v5t7a",
            "http://localhost:6274",
            "http://[::1]:6274",
            "https://app.example.com:8443",
        ] {
            assert_eq!(AllowedOrigin::parse(origin), Ok(exactly(origin)));
            assert_eq!(
                AllowedOrigin::parse(&format!("{origin}/")),
                Ok(exactly(origin)),
                "with a final slash"
            );
            assert!(AllowedOrigin::parse(origin).is_ok_and(|allowed| allowed.admits(origin)));
        }
    }

    #[test]
    fn other_spellings_of_an_origin_become_what_browsers_send() {
        for (written, sent) in [
            ("HTTPS://App.Example.COM", "https://app.example.com"),
            ("https://app.example.com:443/", "https://app.example.com"),
            ("https://b\u{fc}cher.example", "https://xn--bcher-kva.example"),
            ("Chrome-Extension://abc", "chrome-extension://abc"),
        ] {
            assert_eq!(AllowedOrigin::parse(written), Ok(exactly(sent)), "{written}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_with_the_right_form() {
        for (text, problem) in [
            ("app.example.com", SCHEME),
            ("localhost:6274", SCHEME),
            ("https://", SCHEME),
            ("://x", SCHEME),
            ("https://app.example.com/page", BARE),
            ("https://app.example.com?a=b", BARE),
            ("https://user@app.example.com", BARE),
            ("chrome-extension://", SCHEME),
            ("chrome-extension://:80", BARE),
            ("chrome-extension://id/popup.html", BARE),
            ("app://a,app://b", BARE),
            ("*", WILDCARD),
            ("https://*", WILDCARD),
            ("https://*.com", WILDCARD),
            ("https://*.192.168.1.1", WILDCARD),
            ("https://*.example.com/page", WILDCARD),
            ("https://app.*.com", WILDCARD),
            ("https://app*.example.com", WILDCARD),
            ("https://*.*.example.com", WILDCARD),
            ("http://*.example.com", WILDCARD),
            ("http://localhost:*", WILDCARD),
            ("chrome-extension://*", WILDCARD),
        ] {
            assert_eq!(AllowedOrigin::parse(text), Err(problem), "{text}");
        }
        for text in ["null", "NULL", "file://", "file:///", "data://x", "ws://app.example.com"] {
            assert!(AllowedOrigin::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn wildcard_admits_subdomains_and_nothing_that_resembles_them() {
        let allowed = AllowedOrigin::parse("https://*.Example.com").expect("a wildcard");
        for origin in ["https://a.example.com", "https://a.b.example.com", "https://a-1.example.com"] {
            assert!(allowed.admits(origin), "{origin}");
        }
        for origin in [
            "https://example.com",
            "https://.example.com",
            "https://evil-example.com",
            "https://evilexample.com",
            "https://a..example.com",
            "https://a.example.com.evil.example",
            "https://evil.example/.example.com",
            "https://evil.example#a.example.com",
            "https://user@a.example.com",
            "https://a.example.com:8443",
            "https://A.example.com",
            "http://a.example.com",
            "null",
        ] {
            assert!(!allowed.admits(origin), "{origin}");
        }
        let with_port = AllowedOrigin::parse("https://*.example.com:8443").expect("a wildcard");
        assert!(with_port.admits("https://a.example.com:8443") && !with_port.admits("https://a.example.com"));
    }
}
