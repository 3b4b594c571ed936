//! The hint of a client about the user who logs in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `login_hint` (OpenID Connect Core §3.1.2.1): the username or the email address of a user, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoginHint(String);

impl LoginHint {
    /// Bytes: an email address has 254 at most.
    pub const LONGEST: usize = 320;

    /// Takes a text. `None` if it is longer than [`Self::LONGEST`].
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() <= Self::LONGEST).then(|| Self(text.to_owned()))
    }

    /// The text for `PingOne`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for LoginHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
