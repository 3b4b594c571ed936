//! The `UserInfo` endpoint (OpenID Connect Core §5.3).

use http::{HeaderValue, header};
use url::Url;

use super::{
    Request, Response,
    claims::{displayable_claim, full_name},
    get, json_response,
};
use crate::secret::Secret;

/// The claims of a `UserInfo` response, each if the response has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserInfo {
    /// `name`
    pub name: Option<String>,
    /// `preferred_username`
    pub preferred_username: Option<String>,
    /// `email`
    pub email: Option<String>,
}

/// Why a `UserInfo` response is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserInfoError {
    /// `sub` is not that of the ID token (OpenID Connect Core §5.3.2: the claims must not be used then).
    #[error("sub of the UserInfo response is not that of the ID token")]
    Subject,
    /// The response is not a JSON object with status 200 and a `sub`. The login goes on without it.
    #[error("the UserInfo response is not a JSON object with a sub")]
    Malformed,
}

impl UserInfo {
    /// The request with `access_token` as bearer token (OpenID Connect Core §5.3.1).
    pub fn request(endpoint: &Url, access_token: &Secret<String>) -> Request {
        let mut request = get(endpoint);
        // A token that is not a valid header value is left out, and `PingOne` refuses the request.
        if let Ok(mut value) = HeaderValue::try_from(format!("Bearer {}", access_token.expose())) {
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        request
    }

    /// Reads the response about the user `sub`.
    pub fn read(response: &Response, sub: &str) -> Result<Self, UserInfoError> {
        let claims = json_response(response).ok_or(UserInfoError::Malformed)?;
        // §5.3.2: `sub` must always be present.
        let about = claims.get("sub").and_then(|value| value.as_str()).filter(|about| !about.is_empty());
        if about.ok_or(UserInfoError::Malformed)? != sub {
            return Err(UserInfoError::Subject);
        }
        Ok(Self {
            name: full_name(&claims),
            preferred_username: displayable_claim(&claims, "preferred_username"),
            email: displayable_claim(&claims, "email"),
        })
    }
}
