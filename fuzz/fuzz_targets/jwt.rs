//! A token in place of one that PingOne signed, and keys in place of PingOne's.
#![no_main]

use std::sync::LazyLock;

use deputy::oidc::KeySet;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// A key of a test, and a token that it signed.
const KEYS: &str = include_str!("../fixtures/keys.json");
const TOKEN: &str = include_str!("../fixtures/token.txt");

static SET: LazyLock<KeySet> = LazyLock::new(|| keys(KEYS.as_bytes()).expect("a key set"));

fn keys(body: &[u8]) -> Option<KeySet> {
    KeySet::read(&http::Response::new(bytes::Bytes::copy_from_slice(body)))
}

fuzz_target!(|bytes: &[u8]| {
    // As a key set.
    if let Some(set) = keys(bytes) {
        let _ = set.verify(TOKEN.trim());
    }
    // As a token. The only claims that can be believed are those that were signed.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let good = SET.verify(TOKEN.trim()).expect("a good token");
    if let Ok(claims) = SET.verify(text) {
        assert_eq!(Value::from(claims), Value::from(good));
    }
});
