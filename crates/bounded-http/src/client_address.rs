//! The address of a client, also behind a proxy.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::forwarded;

/// Address of the client that sent a request: `peer` or, if `header` is named, the last entry of that header. The proxy
/// wrote the last entry; the client may have written any bytes before it.
///
/// Without a usable entry the address is `0.0.0.0`, never that of the proxy: clients can make a proxy leave it out, and a
/// proxy on a loopback address is exempt from quotas.
pub(crate) fn client_address(peer: IpAddr, headers: &HeaderMap, header: Option<&HeaderName>) -> IpAddr {
    let Some(name) = header else { return peer };
    let last = headers.get_all(name).iter().next_back().map(HeaderValue::as_bytes).unwrap_or_default();
    let named = if name == "forwarded" {
        forwarded::last_for(last).and_then(|node| address(&node))
    } else {
        last.rsplit(|byte| *byte == b',').next().and_then(|entry| address(entry.trim_ascii()))
    };
    named
        .map(|address| address.to_canonical())
        .filter(|address| !address.is_loopback())
        .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// Whether `peer` looks like a proxy: it is on a private network and names a client.
pub(crate) fn is_unconfigured_proxy(peer: IpAddr, headers: &HeaderMap) -> bool {
    let names = [HeaderName::from_static("forwarded"), HeaderName::from_static("x-forwarded-for")];
    is_private(peer.to_canonical()) && names.iter().any(|name| headers.contains_key(name))
}

/// Whether an address is of this computer or of a private network (RFC 1918, 3927, 4193, 4291, 6598).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
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
    fn last_address_in_the_header_is_the_clients() {
        let header = HeaderName::from_static("x-forwarded-for");
        let from = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(&header, HeaderValue::from_bytes(value).unwrap());
            }
            client_address([192, 0, 2, 9].into(), &headers, Some(&header)).to_string()
        };
        assert_eq!(from(&[]), "0.0.0.0");
        assert_eq!(from(&[b"192.0.2.1"]), "192.0.2.1");
        assert_eq!(from(&[b"1.1.1.1, 192.0.2.1"]), "192.0.2.1");
        assert_eq!(from(&[b"1.1.1.1", b"192.0.2.1:4711"]), "192.0.2.1");
        assert_eq!(from(&[b"2001:db8::1"]), "2001:db8::1");
        assert_eq!(from(&[b"[2001:db8::1]:443"]), "2001:db8::1");
        // The client's own entries need not be text.
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
        headers.insert(&header, "192.0.2.1".parse().unwrap());
        assert_eq!(client_address([192, 0, 2, 9].into(), &headers, None).to_string(), "192.0.2.9");
    }

    #[test]
    fn private_peer_that_names_a_client_is_an_unconfigured_proxy() {
        let header = HeaderName::from_static("x-forwarded-for");
        let headers = HeaderMap::from_iter([(header, HeaderValue::from_static("192.0.2.1"))]);
        let is_proxy =
            |peer: &str, headers: &HeaderMap| is_unconfigured_proxy(peer.parse().unwrap(), headers);
        for peer in ["127.0.0.1", "10.0.0.1", "::ffff:172.17.0.1", "100.64.0.1", "::1", "fd00::1", "fe80::1"]
        {
            assert!(is_proxy(peer, &headers), "{peer}");
            assert!(!is_proxy(peer, &HeaderMap::new()), "{peer}");
        }
        for peer in ["1.1.1.1", "100.128.0.1", "2606:4700::1"] {
            assert!(!is_proxy(peer, &headers), "{peer}");
        }
    }
}
