//! The parser of signed tokens and of key sets.
#![no_main]

use std::sync::LazyLock;

use deputy::oidc::KeySet;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// A key set with one key, and a token signed by that key.
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
    // As a token. Only the signed claims may verify.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let signed = SET.verify(TOKEN.trim()).expect("a valid token");
    if let Ok(claims) = SET.verify(text) {
        assert_eq!(Value::from(claims), Value::from(signed));
    }
});
