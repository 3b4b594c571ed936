//! The header in which a proxy names the client, behind bytes that the client wrote into it.
#![no_main]

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

// The files alone: they are private to their crate.
#[path = "../../crates/bounded-http/src/client_address.rs"]
#[allow(dead_code, reason = "the warning about an unconfigured proxy is not fuzzed")]
mod client_address;
#[path = "../../crates/bounded-http/src/forwarded.rs"]
mod forwarded;

const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const UNKNOWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

fuzz_target!(|written: &[u8]| {
    let list = HeaderName::from_static("x-forwarded-for");
    // The entry that the proxy appends counts, whatever precedes it.
    let appended = [written, b", 192.0.2.1"].concat();
    assert!(read(&list, &appended).is_none_or(|address| address == CLIENT));
    // No bytes make the request the proxy's own.
    assert!(read(&list, written).is_none_or(|address| address != PROXY));

    let forwarded = HeaderName::from_static("forwarded");
    assert!(read(&forwarded, written).is_none_or(|address| address != PROXY));
    // An open quote gives no address. No bytes give another address.
    for element in ["for=192.0.2.1", "for=\"192.0.2.1:5\"", "host=\"a;for=6.6.6.6\";for=\"192.0.2.1:5\""] {
        let appended = [written, b", ", element.as_bytes()].concat();
        assert!(read(&forwarded, &appended).is_none_or(|address| [CLIENT, UNKNOWN].contains(&address)));
    }
    // Nor do bytes that the proxy quotes.
    let host: Vec<u8> = written.iter().flat_map(|byte| quoted(*byte)).collect();
    for element in [
        [b"host=\"", &host[..], b"\";for=\"192.0.2.1:5\""].concat(),
        [b"for=192.0.2.1;host=\"", &host[..], b"\""].concat(),
    ] {
        assert!(read(&forwarded, &element).is_none_or(|address| address == CLIENT));
        let behind_a_quote = [b"for=\", ", &element[..]].concat();
        assert!(read(&forwarded, &behind_a_quote).is_none_or(|address| [CLIENT, UNKNOWN].contains(&address)));
    }
});

fn read(named: &HeaderName, value: &[u8]) -> Option<IpAddr> {
    let mut headers = HeaderMap::new();
    headers.append(named, HeaderValue::from_bytes(value).ok()?);
    Some(client_address::client_address(PROXY, &headers, Some(named)))
}

/// A byte of a quoted string (RFC 9110 §5.6.4).
fn quoted(byte: u8) -> Vec<u8> {
    if b"\"\\".contains(&byte) { vec![b'\\', byte] } else { vec![byte] }
}
