//! The user of a grant.

use serde::{Deserialize, Serialize};

/// The user's claims, from the ID token and the `UserInfo` response (OpenID Connect Core §5.1). Only `sub` is always
/// present.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// `sub`: the identifier of the user at `PingOne`.
    pub sub: String,
    /// `name`, or the given and the family name.
    pub name: Option<String>,
    /// `preferred_username`.
    pub username: Option<String>,
    /// `email`.
    pub email: Option<String>,
}
