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
    let entry = last.rsplit(|byte| *byte == b',').next().unwrap_or_default();
    let entry = std::str::from_utf8(entry).unwrap_or_default().trim();
    let said = if name == "forwarded" { address(forwarded_for(entry)) } else { address(entry) };
    said.map(|address| address.to_canonical())
        .filter(|address| !address.is_loopback())
        .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// The node of `for` in an element of `Forwarded` (RFC 7239 §4).
fn forwarded_for(element: &str) -> &str {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut nodes = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for")).map(|(_, node)| node);
    nodes.next().unwrap_or_default().trim().trim_matches('"')
}

/// Whether who connects looks like a proxy: it is near, and names somebody else.
pub(super) fn speaks_for_others(peer: IpAddr, headers: &HeaderMap) -> bool {
    let names = [HeaderName::from_static("forwarded"), HeaderName::from_static("x-forwarded-for")];
    !is_public(peer) && names.iter().any(|name| headers.contains_key(name))
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
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
        let named = HeaderName::from_static("forwarded");
        let from = |value: &str| {
            let headers = HeaderMap::from_iter([(named.clone(), value.parse().unwrap())]);
            client_address([192, 0, 2, 9].into(), &headers, Some(&named)).to_string()
        };
        assert_eq!(from("for=192.0.2.43"), "192.0.2.43");
        assert_eq!(from("for=1.1.1.1, For=\"[2001:db8:cafe::17]:4711\""), "2001:db8:cafe::17");
        assert_eq!(from("for=192.0.2.60;proto=http;by=203.0.113.43"), "192.0.2.60");
        assert_eq!(from("proto=https"), "0.0.0.0");
        assert_eq!(from("for=_hidden"), "0.0.0.0");
    }
}
