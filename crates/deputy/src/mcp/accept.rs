//! The media types that a client accepts.

use http::{HeaderMap, header};

use crate::http::{essence, list};

/// The media types that a client accepts. It must accept both (MCP 2025-03-26, Streamable HTTP); some clients name one
/// of them, `*/*` or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accept {
    Both,
    /// Only `text/event-stream`.
    Events,
    /// Only `application/json`.
    Json,
}

impl Accept {
    /// Reads `Accept`. `None`: it allows neither.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let types: Vec<_> = list(headers, &header::ACCEPT).map(essence).collect();
        // An empty header says as much as an absent one.
        if types.is_empty() {
            return Some(Self::Both);
        }
        let allows = |ranges: [&str; 3]| {
            types.iter().any(|named| ranges.iter().any(|range| named.eq_ignore_ascii_case(range.as_bytes())))
        };
        let json = allows(["application/json", "application/*", "*/*"]);
        let events = allows(["text/event-stream", "text/*", "*/*"]);
        match (json, events) {
            (true, true) => Some(Self::Both),
            (true, false) => Some(Self::Json),
            (false, true) => Some(Self::Events),
            (false, false) => None,
        }
    }
}
