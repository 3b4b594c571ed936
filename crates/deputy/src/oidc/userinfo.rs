//! The `UserInfo` endpoint (OpenID Connect Core §5.3).

use http::{HeaderValue, header};
use url::Url;

use super::{
    Request, Response,
    claims::{full_name, shown},
    get, object,
};
use crate::secret::Secret;

/// What `UserInfo` says of a person. Everything but `sub` may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserInfo {
    /// `name`
    pub name: Option<String>,
    /// `preferred_username`
    pub preferred_username: Option<String>,
    /// `email`
    pub email: Option<String>,
}

/// Why `UserInfo` is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserInfoError {
    /// OpenID Connect Core §5.3.2: `sub` must be the ID token's. Otherwise this is somebody else.
    #[error("UserInfo is about another person than the ID token")]
    Subject,
    /// No JSON object with status 200 and a `sub`. The login can do without.
    #[error("UserInfo did not answer with a JSON object that has a sub")]
    Unusable,
}

impl UserInfo {
    /// The request.
    pub fn request(endpoint: &Url, access_token: &Secret<String>) -> Request {
        let mut request = get(endpoint);
        // A token that cannot stand in a header gets a request without one, and a refusal.
        if let Ok(mut value) = HeaderValue::try_from(format!("Bearer {}", access_token.expose())) {
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        request
    }

    /// Judges the answer for the person `sub`.
    pub fn read(response: &Response, sub: &str) -> Result<Self, UserInfoError> {
        let claims = object(response).ok_or(UserInfoError::Unusable)?;
        // Without `sub` it is about nobody, and not used (§5.3.2).
        let about = claims.get("sub").and_then(|value| value.as_str()).filter(|about| !about.is_empty());
        if about.ok_or(UserInfoError::Unusable)? != sub {
            return Err(UserInfoError::Subject);
        }
        Ok(Self {
            name: full_name(&claims),
            preferred_username: shown(&claims, "preferred_username"),
            email: shown(&claims, "email"),
        })
    }
}
