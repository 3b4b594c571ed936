//! The client of `PingOne`: OpenID Connect as requests to send and answers to judge. Nothing here waits, reads a clock or
//! draws randomness, and nothing here knows the authorization server.

mod access_token;
mod authentication;
mod claims;
mod discovery;
mod id_token;
mod jwt;
mod token;
mod userinfo;

use bytes::Bytes;

pub use access_token::{AccessTokenClaims, AccessTokenError};
pub use authentication::{
    Authentication, AuthenticationRequest, CallbackError, CallbackParams, CodeVerifier, Nonce,
};
pub use discovery::{Discovery, DiscoveryError};
pub(crate) use id_token::clocks_differ;
pub use id_token::{IdTokenError, VerifiedIdToken};
pub use jwt::{JwtError, KeySet};
pub(crate) use token::rotated_refresh_token;
pub use token::{TokenError, TokenResponse, code_request, refresh_request, revocation_request};
pub use userinfo::{UserInfo, UserInfoError};

/// A request to `PingOne`, to be sent by the host.
pub type Request = http::Request<Bytes>;
/// What `PingOne` answered, whole.
pub type Response = http::Response<Bytes>;

/// A `GET` of `url`, which discovery has checked.
pub(crate) fn get(url: &url::Url) -> Request {
    let mut request = http::Request::new(Bytes::new());
    // A `Url` with scheme and host is a URI; an empty one is refused by the host.
    *request.uri_mut() = url.as_str().parse().unwrap_or_default();
    request.headers_mut().insert(http::header::ACCEPT, http::HeaderValue::from_static("application/json"));
    request
}

/// The error code that `PingOne` gives instead of what was asked for, if it is one. Fit for a log.
pub(crate) fn error_code(text: &str) -> Option<&str> {
    let is_code = text.len() <= 40 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_code.then_some(text)
}

/// The members of a JSON object in a `200` answer. Other answers, and other JSON, are nothing.
fn object(response: &Response) -> Option<serde_json::Map<String, serde_json::Value>> {
    match serde_json::from_slice(response.body()) {
        Ok(serde_json::Value::Object(members)) if response.status() == http::StatusCode::OK => Some(members),
        _ => None,
    }
}
