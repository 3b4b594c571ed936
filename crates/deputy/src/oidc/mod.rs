//! The OpenID Connect client of `PingOne`: functions that build requests and verify responses. Nothing here waits,
//! reads a clock or draws randomness, and nothing depends on the authorization server in [`oauth`](crate::oauth).

mod access_token;
mod authentication;
mod claims;
mod discovery;
mod id_token;
mod pushed;
mod token;
mod userinfo;

use bytes::Bytes;

pub use crate::jose::{JwtError, KeySet};
pub use access_token::{AccessTokenClaims, AccessTokenError};
pub use authentication::{
    Authentication, AuthenticationRequest, CallbackError, CallbackParams, ClientAccess, CodeVerifier, MaxAge,
    Nonce,
};
pub use discovery::{Discovery, DiscoveryError};
pub use id_token::{IdTokenError, VerifiedIdToken, clocks_differ};
pub use pushed::{PushError, RequestUri};
pub(crate) use token::rotated_refresh_token;
pub use token::{
    Proof, TokenError, TokenResponse, code_request, form_request, refresh_request, revocation_request,
};
pub use userinfo::{UserInfo, UserInfoError};

/// A request to `PingOne`, which the host sends.
pub type Request = http::Request<Bytes>;
/// A response of `PingOne` with its whole body.
pub type Response = http::Response<Bytes>;

/// Builds a `GET` request for a URL from the discovery document.
pub(crate) fn get(url: &url::Url) -> Request {
    let mut request = http::Request::new(Bytes::new());
    // A `Url` with a host is a valid URI. The host would refuse the empty URI.
    *request.uri_mut() = url.as_str().parse().unwrap_or_default();
    request.headers_mut().insert(http::header::ACCEPT, http::HeaderValue::from_static("application/json"));
    request
}

/// An `error` code of `PingOne`, if it has the form of one, so that it can be logged.
pub(crate) fn error_code(text: &str) -> Option<&str> {
    let is_code = text.len() <= 40 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_code.then_some(text)
}

/// The members of the JSON object in a body. `None` for other content.
fn json_object(body: &[u8]) -> Option<serde_json::Map<String, serde_json::Value>> {
    serde_json::from_slice(body).ok()
}

/// The members of the JSON object in a response with status 200. `None` for another status or other content.
fn json_response(response: &Response) -> Option<serde_json::Map<String, serde_json::Value>> {
    json_object(response.body()).filter(|_| response.status() == http::StatusCode::OK)
}

/// `PingOne` returns the same error for a wrong secret and for a wrong method.
const CLIENT_REFUSED: &str = "PingOne refuses Deputy's client authentication: wrong PINGONE_CLIENT_SECRET or \
                              PINGONE_CLIENT_KEY, or wrong PINGONE_CLIENT_AUTH";
