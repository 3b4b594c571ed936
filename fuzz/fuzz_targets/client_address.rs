//! The header in which a proxy says for whom it speaks, behind whatever a stranger wrote into it.
#![no_main]

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

// The file alone: the rest of the native host would have to be built too.
#[path = "../../hosts/native/src/http_server/address.rs"]
#[allow(dead_code, reason = "whether a proxy is missed is not asked here")]
mod address;

const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fuzz_target!(|written: &[u8]| {
    let named = HeaderName::from_static("x-forwarded-for");
    let read = |value: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.append(&named, HeaderValue::from_bytes(value).ok()?);
        Some(address::client_address(PROXY, &headers, Some(&named)))
    };
    // What the proxy appends counts, whatever was there before.
    let appended = [written, b", 192.0.2.1"].concat();
    assert!(read(&appended).is_none_or(|address| address == IpAddr::from([192, 0, 2, 1])));
    // And whatever is there, the request is never the proxy's own.
    assert!(read(written).is_none_or(|address| address != PROXY));
});
