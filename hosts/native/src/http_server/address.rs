//! Where a request comes from, also through a proxy.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use deputy::host::is_public;
use http::{HeaderMap, HeaderName};

/// The address of whoever sent a request: the connection's, or what the header `named` says, which the operator's proxy
/// sets. Only its last entry is the proxy's own; what stands before it, the sender may have written, in whatever bytes.
///
/// Where the last entry is no address, the sender is nobody in particular, but never the proxy: that is this computer, or
/// one that speaks for all.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, named: Option<&HeaderName>) -> IpAddr {
    let Some(last) = named.and_then(|name| headers.get_all(name).iter().next_back()) else { return peer };
    let entry = last.as_bytes().rsplit(|byte| *byte == b',').next().unwrap_or_default();
    let entry = std::str::from_utf8(entry).ok().and_then(|entry| address(entry.trim()));
    entry.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
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
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_last_address_in_the_header_counts_and_without_one_the_connections() {
        let named = HeaderName::from_static("x-forwarded-for");
        let from = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(&named, HeaderValue::from_bytes(value).unwrap());
            }
            client_address([192, 0, 2, 9].into(), &headers, Some(&named)).to_string()
        };
        assert_eq!(from(&[]), "192.0.2.9");
        assert_eq!(from(&[b"192.0.2.1"]), "192.0.2.1");
        assert_eq!(from(&[b"1.1.1.1, 192.0.2.1"]), "192.0.2.1");
        assert_eq!(from(&[b"1.1.1.1", b"192.0.2.1:4711"]), "192.0.2.1");
        assert_eq!(from(&[b"2001:db8::1"]), "2001:db8::1");
        assert_eq!(from(&[b"[2001:db8::1]:443"]), "2001:db8::1");
        // What strangers write before it need not be text.
        assert_eq!(from(&[b"\xff, 192.0.2.1"]), "192.0.2.1");
        for no_address in [&b"192.0.2.1, unknown"[..], b"", b"\xff", b"192.0.2.1,"] {
            assert_eq!(from(&[no_address]), "0.0.0.0");
        }
        let mut headers = HeaderMap::new();
        headers.insert(&named, "192.0.2.1".parse().unwrap());
        assert_eq!(client_address([192, 0, 2, 9].into(), &headers, None).to_string(), "192.0.2.9");
    }
}
