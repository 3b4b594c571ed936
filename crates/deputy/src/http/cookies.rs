//! Cookies (RFC 6265).

use http::{HeaderMap, HeaderValue, header};

use super::Response;

/// The cookies of a request, in order. Other applications of the same host may set cookies of any bytes. A cookie that
/// is not UTF-8 is skipped and does not affect the others.
///
/// Only ASCII white space around a name is removed. A browser lets a subdomain set a cookie named `__Host-…` after a
/// Unicode space, and that name must not become the name without it.
pub(crate) fn cookies(headers: &HeaderMap) -> Vec<(String, String)> {
    let lines = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    let cookies = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    let pairs = cookies.filter_map(|cookie| str::from_utf8(cookie.trim_ascii()).ok()?.split_once('='));
    pairs
        .map(|(name, value)| (name.trim_ascii_end().to_owned(), value.trim_ascii_start().to_owned()))
        .collect()
}

/// Sets a cookie that is sent to this host only, over TLS or on a loopback address, and that no script can read.
pub(crate) fn set_cookie(response: &mut Response, name: &str, value: &str, seconds: u64) {
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; Secure; SameSite=Lax");
    // Names and values are base64url and hexadecimal.
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&[u8]]) -> HeaderMap {
        lines.iter().map(|line| (header::COOKIE, HeaderValue::from_bytes(line).unwrap())).collect()
    }

    #[test]
    fn cookie_beside_foreign_bytes_is_read() {
        let ours = ("ours".to_owned(), "1".to_owned());
        for lines in [
            &["x=\u{e9}; ours=1".as_bytes()][..],
            &[b"x=\xe9; ours=1"],
            &[b"ours=1; \xff"],
            &[b"\xe9=\xff;ours=1;"],
            &[b"x=\xe9", b"ours=1"],
            &[b"; ;=; x; ours = 1 ;\x80"],
        ] {
            assert!(cookies(&headers(lines)).contains(&ours), "{lines:?}");
        }
    }

    #[test]
    fn cookie_name_behind_a_unicode_space_is_another_name() {
        for space in ["\u{85}", "\u{a0}", "\u{2000}", "\u{2028}", "\u{3000}", "\u{feff}"] {
            for cookie in [format!("{space}ours=1"), format!("x=1; {space}ours=1"), format!("ours{space}=1")]
            {
                let read = cookies(&headers(&[cookie.as_bytes()]));
                assert!(!read.iter().any(|(name, _)| name == "ours"), "{cookie:?}");
            }
        }
    }
}
