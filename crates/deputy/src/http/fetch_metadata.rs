//! The origin of a request as the browser reports it (Fetch Metadata Request Headers, §2).
//!
//! A page cannot forge these headers. A program can send any of them, and an older browser sends none.

use http::HeaderMap;

/// The initiator of a request, from `Sec-Fetch-Site`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Initiator {
    /// A page of another site.
    OtherSite,
    /// A page of this server.
    ThisServer,
    /// The header is absent or has another value.
    Unknown,
    /// The user, or a program on their computer that opened the browser.
    User,
}

impl Initiator {
    /// Reads the header.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        match headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes) {
            Some(b"cross-site" | b"same-site") => Self::OtherSite,
            Some(b"none") => Self::User,
            Some(b"same-origin") => Self::ThisServer,
            _ => Self::Unknown,
        }
    }
}

/// Whether a page of another site sent this by anything but a top-level navigation: a script, a frame or a prefetch.
/// A login never begins that way. A header that is absent proves nothing.
pub(crate) fn is_in_background(headers: &HeaderMap) -> bool {
    let differs = |name, value| headers.get(name).is_some_and(|said| said != value);
    Initiator::of(headers) == Initiator::OtherSite
        && (differs("sec-fetch-mode", "navigate")
            || differs("sec-fetch-dest", "document")
            || headers.contains_key("sec-purpose"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn background_request_of_another_site_is_recognized() {
        let told = |said: &[(&'static str, &'static str)]| {
            let said = said.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            let headers: HeaderMap = said.collect();
            (Initiator::of(&headers) == Initiator::OtherSite, is_in_background(&headers))
        };
        let said = |site, mode, dest| {
            told(&[("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)])
        };
        for site in ["cross-site", "same-site"] {
            assert_eq!(said(site, "navigate", "document"), (true, false));
            assert_eq!(said(site, "navigate", "iframe"), (true, true));
            assert_eq!(said(site, "no-cors", "empty"), (true, true));
            assert_eq!(said(site, "no-cors", "document"), (true, true));
            assert_eq!(told(&[("sec-fetch-site", site)]), (true, false));
            assert_eq!(
                told(&[("sec-fetch-site", site), ("sec-purpose", "prefetch;prerender")]),
                (true, true)
            );
        }
        for site in ["none", "same-origin", "", "other"] {
            assert_eq!(said(site, "cors", "empty"), (false, false), "{site}");
        }
        // As sent by fetch() of Node.
        assert_eq!(told(&[("sec-fetch-mode", "cors")]), (false, false));
    }
}
