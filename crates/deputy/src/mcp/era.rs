//! The two eras of MCP.

/// The rules of a request and its response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Era {
    /// A revision with an `initialize` handshake: the one that was negotiated, as far as the request says.
    Handshake(String),
    /// A revision in which every request stands for itself: 2026-07-28 and later.
    Stateless(String),
}

impl Era {
    /// The revision.
    pub fn version(&self) -> &str {
        match self {
            Self::Handshake(version) | Self::Stateless(version) => version,
        }
    }

    /// Whether every request stands for itself.
    pub const fn is_stateless(&self) -> bool {
        matches!(self, Self::Stateless(_))
    }
}
