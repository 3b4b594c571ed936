//! The header in which a proxy says for whom it speaks, behind whatever a stranger wrote into it.
#![no_main]

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

// The file alone: the rest of the native host would have to be built too.
#[path = "../../crates/bounded-http/src/client_address.rs"]
#[allow(dead_code, reason = "whether a proxy is missed is not asked here")]
mod address;

const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const NOBODY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

fuzz_target!(|written: &[u8]| {
    let list = HeaderName::from_static("x-forwarded-for");
    // What the proxy appends counts, whatever was there before.
    let appended = [written, b", 192.0.2.1"].concat();
    assert!(read(&list, &appended).is_none_or(|address| address == CLIENT));
    // And whatever is there, the request is never the proxy's own.
    assert!(read(&list, written).is_none_or(|address| address != PROXY));

    let forwarded = HeaderName::from_static("forwarded");
    assert!(read(&forwarded, written).is_none_or(|address| address != PROXY));
    // A quote that was left open names nobody; nothing names somebody else.
    for element in ["for=192.0.2.1", "for=\"192.0.2.1:5\"", "host=\"a;for=6.6.6.6\";for=\"192.0.2.1:5\""] {
        let appended = [written, b", ", element.as_bytes()].concat();
        assert!(read(&forwarded, &appended).is_none_or(|address| [CLIENT, NOBODY].contains(&address)));
    }
    // Nor does what the stranger has the proxy quote.
    let host: Vec<u8> = written.iter().flat_map(|byte| quoted(*byte)).collect();
    for element in [
        [b"host=\"", &host[..], b"\";for=\"192.0.2.1:5\""].concat(),
        [b"for=192.0.2.1;host=\"", &host[..], b"\""].concat(),
    ] {
        assert!(read(&forwarded, &element).is_none_or(|address| address == CLIENT));
        let behind_a_quote = [b"for=\", ", &element[..]].concat();
        assert!(read(&forwarded, &behind_a_quote).is_none_or(|address| [CLIENT, NOBODY].contains(&address)));
    }
});

fn read(named: &HeaderName, value: &[u8]) -> Option<IpAddr> {
    let mut headers = HeaderMap::new();
    headers.append(named, HeaderValue::from_bytes(value).ok()?);
    Some(address::client_address(PROXY, &headers, Some(named)))
}

/// A byte of a quoted string (RFC 9110 §5.6.4).
fn quoted(byte: u8) -> Vec<u8> {
    if b"\"\\".contains(&byte) { vec![b'\\', byte] } else { vec![byte] }
}
