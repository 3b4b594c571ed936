//! Header fields: lists and media types (RFC 9110).

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Whether the body's media type is `media_type`, with any parameters.
pub(crate) fn has_media_type(headers: &HeaderMap, media_type: &str) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| essence(value.as_bytes()).eq_ignore_ascii_case(media_type.as_bytes()))
}

/// Whether the body is JSON, or of a format with JSON syntax (RFC 6839 §3.1).
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

/// The members of a list field, of all its lines (RFC 9110 §5.6.1). They are bytes, so that a member that is not ASCII
/// does not affect the others.
pub(crate) fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    lines.flat_map(members).map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// Splits a line at commas outside of quotes. A quote that is not closed does not count as one.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, lines: &[&[u8]]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), HeaderValue::from_bytes(line).unwrap())).collect()
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
    fn media_type_is_read_with_any_parameters() {
        for value in [&b"application/json"[..], b"Application/JSON ; x=\xe9", b"application/json;"] {
            let headers = headers(header::CONTENT_TYPE, &[value]);
            assert!(has_media_type(&headers, "application/json") && has_json(&headers), "{value:?}");
        }
        let headers = headers(header::CONTENT_TYPE, &[b"application/x+json;x=\xe9"]);
        assert!(!has_media_type(&headers, "application/json") && has_json(&headers));
    }
}
