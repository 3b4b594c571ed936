//! Where a request comes from, also through a proxy.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

/// The address of whoever sent a request: the connection's, or what the header `named` says, which the operator's proxy
/// sets. Only its last entry is the proxy's own; what stands before it, the sender may have written.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, named: Option<&HeaderName>) -> IpAddr {
    let last = named.and_then(|name| headers.get_all(name).iter().next_back());
    let entry = last.and_then(|value| value.to_str().ok()).and_then(|value| value.rsplit(',').next());
    entry.and_then(|entry| address(entry.trim())).unwrap_or(peer)
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
    fn the_last_address_in_the_header_counts_and_without_one_the_connections() {
        let named = HeaderName::from_static("x-forwarded-for");
        let from = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(&named, value.parse().unwrap());
            }
            client_address([192, 0, 2, 9].into(), &headers, Some(&named)).to_string()
        };
        assert_eq!(from(&[]), "192.0.2.9");
        assert_eq!(from(&["192.0.2.1"]), "192.0.2.1");
        assert_eq!(from(&["1.1.1.1, 192.0.2.1"]), "192.0.2.1");
        assert_eq!(from(&["1.1.1.1", "192.0.2.1:4711"]), "192.0.2.1");
        assert_eq!(from(&["2001:db8::1"]), "2001:db8::1");
        assert_eq!(from(&["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(from(&["192.0.2.1, unknown"]), "192.0.2.9");
        let mut headers = HeaderMap::new();
        headers.insert(&named, "192.0.2.1".parse().unwrap());
        assert_eq!(client_address([192, 0, 2, 9].into(), &headers, None).to_string(), "192.0.2.9");
    }
}
