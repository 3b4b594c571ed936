//! The user of a grant.

use serde::{Deserialize, Serialize};

/// A person, from the ID token and the `UserInfo` response (OpenID Connect Core §5.1). Only `sub` is always there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The person's identifier at `PingOne`.
    pub sub: String,
    /// Full name.
    pub name: Option<String>,
    /// `preferred_username`.
    pub username: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
}
