//! The header `Forwarded` (RFC 7239).

/// The node of `for` in the last element of a `Forwarded` field, unless the element is malformed or names it twice.
///
/// A client can write elements before the proxy's, and end them within a quoted string. The first quote of the proxy then
/// ends that string, and the last element is malformed or its last string unclosed.
pub(crate) fn last_for(field: &[u8]) -> Option<Vec<u8>> {
    let element = split(field, b',')?.pop()?;
    let mut node = None;
    for text in split(element, b';')?.into_iter().map(<[u8]>::trim_ascii).filter(|text| !text.is_empty()) {
        let (name, value) = pair(text)?;
        // RFC 7239 §4: each parameter MUST NOT occur more than once.
        if name.eq_ignore_ascii_case(b"for") && node.replace(value).is_some() {
            return None;
        }
    }
    node
}

/// Splits `text` at separators outside of quoted strings. `None`: a quoted string is not closed.
fn split(text: &[u8], separator: u8) -> Option<Vec<&[u8]>> {
    let (mut quoted, mut escaped) = (false, false);
    let separates = |byte: &u8| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            byte => return !quoted && *byte == separator,
        }
        false
    };
    let parts = text.split(separates).collect();
    (!quoted).then_some(parts)
}

/// Name and unquoted value of a `forwarded-pair` (RFC 7239 §4).
fn pair(text: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    let (name, value) = text.split_at(text.iter().position(|byte| *byte == b'=')?);
    let value = match &value[1..] {
        [b'"', rest @ ..] => unquoted(rest)?,
        // Many proxies leave out the quotes that a port or an IPv6 address needs.
        plain if consists_of(plain, |byte| is_tchar(byte) || b":[]".contains(&byte)) => plain.to_vec(),
        _ => return None,
    };
    consists_of(name, is_tchar).then_some((name, value))
}

/// Content of a quoted string (RFC 9110 §5.6.4), given from behind its first quote. `text` must end with its last quote.
fn unquoted(text: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let mut bytes = text.iter();
    loop {
        match *bytes.next()? {
            b'"' => return bytes.as_slice().is_empty().then_some(content),
            b'\\' => content.push(*bytes.next()?),
            byte => content.push(byte),
        }
    }
}

fn consists_of(text: &[u8], kind: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.iter().all(|byte| kind(*byte))
}

/// RFC 9110 §5.6.2.
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use crate::client_address::client_address;

    #[test]
    fn forwarded_is_parsed_as_in_rfc_7239() {
        assert_eq!(forwarded(b"for=192.0.2.43"), "192.0.2.43");
        assert_eq!(forwarded(b"for=1.1.1.1, For=\"[2001:db8:cafe::17]:4711\""), "2001:db8:cafe::17");
        assert_eq!(forwarded(b"for=192.0.2.60;proto=http;by=203.0.113.43"), "192.0.2.60");
        assert_eq!(forwarded(b"proto=https; for=192.0.2.60:80;"), "192.0.2.60");
        assert_eq!(forwarded(b"for=\"192\\.0.2.60\""), "192.0.2.60");
        for no_address in [
            &b"proto=https"[..],
            b"for=_hidden",
            b"for=unknown",
            b"for=\"_gazonk\"",
            b"for=\"192.0.2.43:_port\"",
            b"for=192.0.2.43, for=unknown",
            b"for=192.0.2.43,",
            b"for=192.0.2.43;for=192.0.2.44",
            b"for=192.0.2.43;FOR=_hidden",
            b"for =192.0.2.43",
            b"for= 192.0.2.43",
            b"for=",
            b"for=\"\"",
            b"for=\" 192.0.2.43\"",
            b"for=\"192.0.2.43\"x",
            b"for=192.0.2.43;host",
            b"for=192.0.2.43;host=a b",
            b"for=192.0.2.43;host=\xff",
            b"for=\"192.0.2.43",
            b"for=\"192.0.2.43\\\"",
            b"192.0.2.43",
        ] {
            assert_eq!(forwarded(no_address), "0.0.0.0", "{}", no_address.escape_ascii());
        }
    }

    #[test]
    fn address_in_a_string_that_the_proxy_quotes_is_ignored() {
        let proxys = |host: &str| {
            format!("for=1.1.1.1, proto=https;host=\"{host}\";for=\"203.0.113.9:5\"").into_bytes()
        };
        for host in ["a;for=6.6.6.6:1", "a, for=6.6.6.6", r#"a\", for=6.6.6.6;x=\""#, r"a\\", "\u{e9}"] {
            assert_eq!(forwarded(&proxys(host)), "203.0.113.9", "{host}");
        }
    }

    #[test]
    fn unclosed_quote_of_a_client_gives_no_address() {
        let elements = [
            "for=203.0.113.9",
            r#"for="203.0.113.9:5""#,
            r#"host=",for=6.6.6.6;x=";for="203.0.113.9:5""#,
            r#"host=",for=6.6.6.6;x=";for=203.0.113.9"#,
            r#"host="\",for=6.6.6.6;x=\"";for=203.0.113.9"#,
            r#"for=203.0.113.9;host=",for=6.6.6.6;x=\"""#,
            r#"for=203.0.113.9;host=",for=6.6.6.6""#,
            r#"for=203.0.113.9;host="\"x,for=6.6.6.6""#,
        ];
        for element in elements {
            assert_eq!(forwarded(element.as_bytes()), "203.0.113.9", "{element}");
            for written in ["\"", "for=\"", "for=\"6.6.6.6", "for=\"6.6.6.6\\", "for=6.6.6.6;x=\"\\\""] {
                assert_eq!(
                    forwarded(format!("{written}, {element}").as_bytes()),
                    "0.0.0.0",
                    "{written}, {element}"
                );
            }
        }
    }

    #[test]
    fn closed_strings_of_a_client_do_not_change_the_address() {
        for written in [
            &b"\xff"[..],
            b"for=\"6.6.6.6, x\"",
            b"for=\"\\\"\"",
            b"\"\"\"\"",
            b"\\",
            b";;==,,",
            b"\"\xff\\\\\"",
        ] {
            let field = [written, b", for=\"203.0.113.9:5\""].concat();
            assert_eq!(forwarded(&field), "203.0.113.9", "{}", field.escape_ascii());
        }
    }

    fn forwarded(value: &[u8]) -> String {
        let header = HeaderName::from_static("forwarded");
        let headers = HeaderMap::from_iter([(header.clone(), HeaderValue::from_bytes(value).unwrap())]);
        client_address([192, 0, 2, 9].into(), &headers, Some(&header)).to_string()
    }
}
