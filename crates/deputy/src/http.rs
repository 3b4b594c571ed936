//! Answers, and reading requests.

pub(crate) mod remainder;

use std::{pin::pin, time::Duration};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{
    FutureExt as _,
    future::{Either, select},
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use serde::Serialize;

use crate::{
    host::Host,
    oauth::{ErrorCode, ErrorResponse},
};

/// An answer.
pub(crate) type Answer = Response<Body>;

/// A JSON document that must not be kept by a cache.
pub(crate) fn json(status: StatusCode, document: &impl Serialize) -> Answer {
    // Documents are made of strings, numbers, lists and maps with string keys.
    json_text(status, serde_json::to_string(document).unwrap_or_default())
}

/// A JSON document that is text already.
pub(crate) fn json_text(status: StatusCode, document: String) -> Answer {
    let mut response = Response::new(Body::from(document));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An error response (OAuth 2.1 §3.2.4).
pub(crate) fn error(status: StatusCode, error: ErrorCode, description: impl ToString) -> Answer {
    json(status, &ErrorResponse { error, error_description: description.to_string() })
}

/// An empty answer.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A redirect that makes a `GET` of whatever it answers (RFC 9700 §4.12).
pub(crate) fn redirect(location: &str) -> Answer {
    let mut response = empty(StatusCode::SEE_OTHER);
    let headers = response.headers_mut();
    // Locations are made of checked URIs and form-encoded parameters, which are visible ASCII.
    if let Ok(location) = HeaderValue::try_from(location) {
        headers.insert(header::LOCATION, location);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// The whole body, if it is no longer than `limit` bytes and arrives in time.
pub(crate) async fn body(host: &dyn Host, body: Body, limit: usize) -> Result<Bytes, BodyError> {
    counted_body(host, body, limit, |_| true).await
}

/// The same, for as long as `admits` takes the bytes that have come.
pub(crate) async fn counted_body(
    host: &dyn Host,
    body: Body,
    limit: usize,
    admits: impl FnMut(usize) -> bool,
) -> Result<Bytes, BodyError> {
    let mut whole = pin!(collect(body, limit, admits));
    // Most bodies are there.
    if let Some(read) = whole.as_mut().now_or_never() {
        return read;
    }
    match select(whole, host.sleep(TIME)).await {
        Either::Left((read, _)) => read,
        Either::Right(_) => Err(BodyError::Late),
    }
}

/// Copies the bytes: a body that comes in a million pieces takes no more than one that comes in one.
async fn collect(
    body: Body,
    limit: usize,
    mut admits: impl FnMut(usize) -> bool,
) -> Result<Bytes, BodyError> {
    let mut body = pin!(body);
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| BodyError::Broken)?;
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len() + data.len() > limit {
            return Err(BodyError::TooLarge);
        }
        if !admits(data.len()) {
            return Err(BodyError::TooMany);
        }
        bytes.extend_from_slice(data);
    }
    Ok(bytes.freeze())
}

/// How long a body may take, and then what remains of it. The native host gives it less.
const TIME: Duration = Duration::from_secs(20);

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// The connection broke, or the body's framing is wrong.
    #[error("the body did not arrive whole")]
    Broken,
    /// It took too long.
    #[error("the body did not arrive in time")]
    Late,
    /// Longer than allowed.
    #[error("the body is too large")]
    TooLarge,
    /// There are too many others.
    #[error("too many other bodies arrive")]
    TooMany,
}

impl BodyError {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

/// Whether the body's media type is `media_type`, whatever its parameters.
pub(crate) fn has_media_type(headers: &HeaderMap, media_type: &str) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| essence(value.as_bytes()).eq_ignore_ascii_case(media_type.as_bytes()))
}

/// Whether the body is JSON, by itself or as another format's syntax (RFC 6839 §3.1).
pub(crate) fn has_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        let essence = essence(value.as_bytes()).to_ascii_lowercase();
        essence == b"application/json" || essence.starts_with(b"application/") && essence.ends_with(b"+json")
    })
}

/// A media type without its parameters (RFC 9110 §8.3.1).
pub(crate) fn essence(media_type: &[u8]) -> &[u8] {
    media_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

/// The members of a header that is a list, of all its lines (RFC 9110 §5.6.1). They are bytes: one member that is not
/// ASCII says nothing about the others.
pub(crate) fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    lines.flat_map(members).map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// A comma inside of quotes is part of its member. A quote that is not closed is a character like any other.
fn members(line: &[u8]) -> Vec<&[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let is_outside = |byte: &u8| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        *byte == b',' && !quoted
    };
    let members: Vec<_> = line.split(is_outside).collect();
    if quoted { line.split(|byte| *byte == b',').collect() } else { members }
}

/// The cookies of a request, in order. Other applications of the same host set cookies too, with any bytes: each cookie
/// is judged by itself, and one that is not UTF-8 is not ours.
///
/// Blanks and tabs around a name are not part of it, and no others are cut: a browser lets a subdomain set a cookie named
/// `__Host-…` behind a space of Unicode, which must not become the name without it.
pub(crate) fn cookies(headers: &HeaderMap) -> Vec<(String, String)> {
    let lines = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    let cookies = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    let pairs = cookies.filter_map(|cookie| str::from_utf8(cookie.trim_ascii()).ok()?.split_once('='));
    pairs
        .map(|(name, value)| (name.trim_ascii_end().to_owned(), value.trim_ascii_start().to_owned()))
        .collect()
}

/// Sets a cookie that only this host gets, over TLS (or on this computer), and no script sees.
pub(crate) fn set_cookie(response: &mut Answer, name: &str, value: &str, seconds: u64) {
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; Secure; SameSite=Lax");
    // Names and values are base64url and hexadecimal.
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, lines: &[&[u8]]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), HeaderValue::from_bytes(line).unwrap())).collect()
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
            assert!(cookies(&headers(header::COOKIE, lines)).contains(&ours), "{lines:?}");
        }
    }

    #[test]
    fn cookie_name_behind_a_unicode_space_is_another_name() {
        for space in ["\u{85}", "\u{a0}", "\u{2000}", "\u{2028}", "\u{3000}", "\u{feff}"] {
            for cookie in [format!("{space}ours=1"), format!("x=1; {space}ours=1"), format!("ours{space}=1")]
            {
                let read = cookies(&headers(header::COOKIE, &[cookie.as_bytes()]));
                assert!(!read.iter().any(|(name, _)| name == "ours"), "{cookie:?}");
            }
        }
    }

    #[test]
    fn list_member_of_foreign_bytes_leaves_the_others() {
        let of = |lines: &[&[u8]]| {
            let headers = headers(header::ACCEPT, lines);
            list(&headers, &header::ACCEPT).map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        assert_eq!(of(&[b"a/\xe9, b/c;q=1"]), [&b"a/\xe9"[..], b"b/c;q=1"]);
        assert_eq!(of(&[b"a/b;x=\"1,\\\"2\",", b", c/d"]), [&b"a/b;x=\"1,\\\"2\""[..], b"c/d"]);
        assert_eq!(of(&[b"a\"/b, c/d"]), [&b"a\"/b"[..], b"c/d"]);
        assert_eq!(of(&[b" ,, "]), [b""; 0]);
    }

    #[test]
    fn media_type_is_read_whatever_its_parameters() {
        for value in [&b"application/json"[..], b"Application/JSON ; x=\xe9", b"application/json;"] {
            let headers = headers(header::CONTENT_TYPE, &[value]);
            assert!(has_media_type(&headers, "application/json") && has_json(&headers), "{value:?}");
        }
        let headers = headers(header::CONTENT_TYPE, &[b"application/x+json;x=\xe9"]);
        assert!(!has_media_type(&headers, "application/json") && has_json(&headers));
    }
}
