//! The two eras of MCP: before and since 2026-07-28.

/// The revision by whose rules a request is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Era {
    /// A revision with an `initialize` handshake: the one that the request names, or the default.
    Handshake(String),
    /// A revision without a handshake: every request is self-contained. 2026-07-28 and later.
    Stateless(String),
}

impl Era {
    /// The date of the revision.
    pub fn version(&self) -> &str {
        match self {
            Self::Handshake(version) | Self::Stateless(version) => version,
        }
    }

    /// Whether requests are self-contained.
    pub const fn is_stateless(&self) -> bool {
        matches!(self, Self::Stateless(_))
    }
}
