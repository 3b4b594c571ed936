//! Where a request comes from, also through a proxy.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use deputy::host::is_public;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The address of whoever sent a request: the connection's, or where the operator names a header, what their proxy says in
/// it. Only its last entry is the proxy's own; what stands before it, the sender may have written, in whatever bytes.
///
/// Where the proxy says nothing that is an address of somebody else's, the sender is nobody in particular. They are not
/// the proxy, that is this computer or one that speaks for all: senders have ways to make proxies say nothing.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, named: Option<&HeaderName>) -> IpAddr {
    let Some(name) = named else { return peer };
    let last = headers.get_all(name).iter().next_back().map(HeaderValue::as_bytes).unwrap_or_default();
    let said = if name == "forwarded" {
        forwarded_for(last).and_then(|node| address(&node))
    } else {
        last.rsplit(|byte| *byte == b',').next().and_then(|entry| address(entry.trim_ascii()))
    };
    said.map(|address| address.to_canonical())
        .filter(|address| !address.is_loopback())
        .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// The node of `for` in the last element of a `Forwarded` (RFC 7239 §4), if that element says one thing.
///
/// What a stranger wrote before it may end within a quoted string; the proxy's own quotes then end that one and begin
/// another. The last element is then none that parses, or the string has no end.
fn forwarded_for(field: &[u8]) -> Option<Vec<u8>> {
    let element = parts(field, b',')?.pop()?;
    let mut node = None;
    for text in parts(element, b';')?.into_iter().map(<[u8]>::trim_ascii).filter(|text| !text.is_empty()) {
        let (name, value) = pair(text)?;
        // RFC 7239 §4: each parameter MUST NOT occur more than once.
        if name.eq_ignore_ascii_case(b"for") && node.replace(value).is_some() {
            return None;
        }
    }
    node
}

/// The parts of `text` between separators that are not in a quoted string, unless a quoted string has no end.
fn parts(text: &[u8], separator: u8) -> Option<Vec<&[u8]>> {
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

/// A name, and the value that it is given, without quotes.
fn pair(text: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    let (name, value) = text.split_at(text.iter().position(|byte| *byte == b'=')?);
    let value = match &value[1..] {
        [b'"', rest @ ..] => unquoted(rest)?,
        // Many proxies write a port, or an IPv6 address, without the quotes that it needs.
        plain if is_made_of(plain, |byte| is_tchar(byte) || b":[]".contains(&byte)) => plain.to_vec(),
        _ => return None,
    };
    is_made_of(name, is_tchar).then_some((name, value))
}

/// What a quoted string says (RFC 9110 §5.6.4), from behind its first quote to its last, where `text` has to end.
fn unquoted(text: &[u8]) -> Option<Vec<u8>> {
    let mut said = Vec::new();
    let mut bytes = text.iter();
    loop {
        match *bytes.next()? {
            b'"' => return bytes.as_slice().is_empty().then_some(said),
            b'\\' => said.push(*bytes.next()?),
            byte => said.push(byte),
        }
    }
}

fn is_made_of(text: &[u8], kind: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.iter().all(|byte| kind(*byte))
}

/// RFC 9110 §5.6.2.
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether who connects looks like a proxy: it is near, and names somebody else.
pub(super) fn speaks_for_others(peer: IpAddr, headers: &HeaderMap) -> bool {
    let names = [HeaderName::from_static("forwarded"), HeaderName::from_static("x-forwarded-for")];
    !is_public(peer) && names.iter().any(|name| headers.contains_key(name))
}

/// An address, with or without a port.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_address_in_the_header_counts_and_without_one_nobodys() {
        let named = HeaderName::from_static("x-forwarded-for");
        let from = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(&named, HeaderValue::from_bytes(value).unwrap());
            }
            client_address([192, 0, 2, 9].into(), &headers, Some(&named)).to_string()
        };
        assert_eq!(from(&[]), "0.0.0.0");
        assert_eq!(from(&[b"192.0.2.1"]), "192.0.2.1");
        assert_eq!(from(&[b"1.1.1.1, 192.0.2.1"]), "192.0.2.1");
        assert_eq!(from(&[b"1.1.1.1", b"192.0.2.1:4711"]), "192.0.2.1");
        assert_eq!(from(&[b"2001:db8::1"]), "2001:db8::1");
        assert_eq!(from(&[b"[2001:db8::1]:443"]), "2001:db8::1");
        // What strangers write before it need not be text.
        assert_eq!(from(&[b"\xff, 192.0.2.1"]), "192.0.2.1");
        for no_address in [
            &b"192.0.2.1, unknown"[..],
            b"",
            b"\xff",
            b"192.0.2.1,",
            b"192.0.2.1, 127.0.0.1",
            b"::ffff:127.0.0.1",
        ] {
            assert_eq!(from(&[no_address]), "0.0.0.0");
        }
        let mut headers = HeaderMap::new();
        headers.insert(&named, "192.0.2.1".parse().unwrap());
        assert_eq!(client_address([192, 0, 2, 9].into(), &headers, None).to_string(), "192.0.2.9");
    }

    #[test]
    fn forwarded_is_read_as_its_document_says() {
        assert_eq!(forwarded(b"for=192.0.2.43"), "192.0.2.43");
        assert_eq!(forwarded(b"for=1.1.1.1, For=\"[2001:db8:cafe::17]:4711\""), "2001:db8:cafe::17");
        assert_eq!(forwarded(b"for=192.0.2.60;proto=http;by=203.0.113.43"), "192.0.2.60");
        assert_eq!(forwarded(b"proto=https; for=192.0.2.60:80;"), "192.0.2.60");
        assert_eq!(forwarded(b"for=\"192\\.0.2.60\""), "192.0.2.60");
        for nobody in [
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
            assert_eq!(forwarded(nobody), "0.0.0.0", "{}", nobody.escape_ascii());
        }
    }

    #[test]
    fn what_a_proxy_quotes_names_nobody() {
        let proxys = |host: &str| {
            format!("for=1.1.1.1, proto=https;host=\"{host}\";for=\"203.0.113.9:5\"").into_bytes()
        };
        for host in ["a;for=6.6.6.6:1", "a, for=6.6.6.6", r#"a\", for=6.6.6.6;x=\""#, r"a\\", "\u{e9}"] {
            assert_eq!(forwarded(&proxys(host)), "203.0.113.9", "{host}");
        }
    }

    #[test]
    fn a_quote_that_a_stranger_left_open_names_nobody_instead_of_them() {
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
    fn what_a_stranger_wrote_in_whole_strings_changes_nothing() {
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
        let named = HeaderName::from_static("forwarded");
        let headers = HeaderMap::from_iter([(named.clone(), HeaderValue::from_bytes(value).unwrap())]);
        client_address([192, 0, 2, 9].into(), &headers, Some(&named)).to_string()
    }
}
