//! A record as bytes, as KV keeps it and as objects pass it: its version and its expiry, eight bytes each, and its value.

use deputy::host::{Record, Timestamp, Version};

/// The bytes of a record.
pub(crate) fn pack(value: &[u8], version: Version, expires_at: Timestamp) -> Vec<u8> {
    [&version.0.to_be_bytes()[..], &expires_at.0.to_be_bytes(), value].concat()
}

/// The record of such bytes.
pub(crate) fn record(packed: &[u8]) -> Option<Record> {
    let (version, rest) = packed.split_first_chunk()?;
    let (expires_at, value) = rest.split_first_chunk()?;
    Some(Record {
        value: value.to_vec(),
        version: Version(u64::from_be_bytes(*version)),
        expires_at: Timestamp(u64::from_be_bytes(*expires_at)),
    })
}
