//! Records as bytes, in KV and in the calls of objects: version and expiry, eight bytes each, and the value.

use deputy::host::{Record, Timestamp, Version};

pub(crate) fn encode(value: &[u8], version: Version, expires_at: Timestamp) -> Vec<u8> {
    [&version.0.to_be_bytes()[..], &expires_at.0.to_be_bytes(), value].concat()
}

/// The record, or `None` if the bytes are too few.
pub(crate) fn decode(bytes: &[u8]) -> Option<Record> {
    let (version, rest) = bytes.split_first_chunk()?;
    let (expires_at, value) = rest.split_first_chunk()?;
    Some(Record {
        value: value.to_vec(),
        version: Version(u64::from_be_bytes(*version)),
        expires_at: Timestamp(u64::from_be_bytes(*expires_at)),
    })
}
