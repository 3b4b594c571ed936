//! The token and revocation endpoints of `PingOne`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::{CodeVerifier, Request, Response, object};
use crate::{
    config::{ClientAuth, PingOne},
    secret::Secret,
};

/// A token response that can be used (OpenID Connect Core §3.1.3.3, §12.2).
#[derive(Debug)]
pub struct TokenResponse {
    /// `access_token`
    pub access_token: Secret<String>,
    /// `expires_in`, in seconds, where it is given.
    pub expires_in: Option<u64>,
    /// `id_token`
    pub id_token: Option<Secret<String>>,
    /// `refresh_token`
    pub refresh_token: Option<Secret<String>>,
    /// `scope`; absent means: as asked (OAuth 2.1 §3.2.3).
    pub scope: Option<String>,
}

/// Why there are no tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Our registration: `PingOne` says the same for a wrong secret and for a wrong method.
    #[error("PingOne refuses our client: wrong PINGONE_CLIENT_SECRET, or wrong PINGONE_CLIENT_AUTH")]
    Client,
    /// The code or refresh token is spent, expired or revoked. Final.
    #[error("PingOne refuses the code or refresh token")]
    Grant,
    /// Our application may not use the grant type.
    #[error(
        "PingOne refuses the grant type: the application PINGONE_CLIENT_ID needs Authorization Code and Refresh Token"
    )]
    GrantType,
    /// Refused for another reason. Final for a code.
    #[error("PingOne refuses the token request, with status {0}")]
    Refused(u16),
    /// `PingOne` has trouble, or we ask too often. Trying again may help.
    #[error("PingOne is temporarily unavailable")]
    Unavailable,
    /// A `200` that is no token response.
    #[error("PingOne's token response cannot be used")]
    Unusable,
}

/// The request that exchanges a code (OpenID Connect Core §3.1.3.1).
pub fn code_request(
    endpoint: &Url,
    pingone: &PingOne,
    code: &Secret<String>,
    verifier: &CodeVerifier,
    redirect_uri: &str,
) -> Request {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.expose()),
        ("code_verifier", verifier.as_str()),
        ("redirect_uri", redirect_uri),
    ];
    post(endpoint, pingone, &form)
}

/// The request that renews an access token (OpenID Connect Core §12.1).
pub fn refresh_request(endpoint: &Url, pingone: &PingOne, refresh_token: &str) -> Request {
    post(endpoint, pingone, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)])
}

/// The request that revokes a token (RFC 7009 §2.1).
pub fn revocation_request(endpoint: &Url, pingone: &PingOne, token: &str) -> Request {
    post(endpoint, pingone, &[("token", token), ("token_type_hint", "refresh_token")])
}

impl TokenResponse {
    /// Judges an answer of the token endpoint.
    pub fn read(response: &Response) -> Result<Self, TokenError> {
        match response.status() {
            StatusCode::OK => {}
            status if status.is_server_error() => return Err(TokenError::Unavailable),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                return Err(TokenError::Unavailable);
            }
            _ => return Err(refusal(response)),
        }
        let members = object(response).ok_or(TokenError::Unusable)?;
        let text = |name| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let secret = |name| text(name).map(|text| Secret::new(text.to_owned()));
        if !text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(TokenError::Unusable);
        }
        Ok(Self {
            access_token: secret("access_token").ok_or(TokenError::Unusable)?,
            expires_in: members.get("expires_in").and_then(Value::as_u64),
            id_token: secret("id_token"),
            refresh_token: secret("refresh_token"),
            scope: text("scope").map(str::to_owned),
        })
    }
}

/// The refresh token in an answer of the token endpoint, whatever else is wrong with it: `PingOne` has rotated, and the
/// old one is spent.
pub(crate) fn rotated_refresh_token(response: &Response) -> Option<Secret<String>> {
    let token = object(response)?.get("refresh_token")?.as_str()?.to_owned();
    (!token.is_empty()).then(|| Secret::new(token))
}

fn refusal(response: &Response) -> TokenError {
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    match body["error"].as_str() {
        Some("invalid_client") => TokenError::Client,
        Some("unauthorized_client" | "unsupported_grant_type") => TokenError::GrantType,
        // RFC 6749 §5.2. With another status it is a proxy's, or nobody's.
        Some("invalid_grant") if response.status() == StatusCode::BAD_REQUEST => TokenError::Grant,
        Some("temporarily_unavailable") => TokenError::Unavailable,
        _ => TokenError::Refused(response.status().as_u16()),
    }
}

fn post(endpoint: &Url, pingone: &PingOne, form: &[(&str, &str)]) -> Request {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(form);
    let secret = pingone.client_secret.expose();
    let mut request = super::get(endpoint);
    *request.method_mut() = Method::POST;
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    match pingone.client_auth {
        ClientAuth::Basic => {
            // OAuth 2.1 §2.4.1: each half is form-encoded first.
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = zeroize::Zeroizing::new(format!("{}:{}", encode(&pingone.client_id), encode(secret)));
            // Base64 is visible ASCII.
            if let Ok(mut value) = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(&*pair))) {
                value.set_sensitive(true);
                headers.insert(header::AUTHORIZATION, value);
            }
        }
        ClientAuth::Post => {
            body.append_pair("client_id", &pingone.client_id).append_pair("client_secret", secret);
        }
    }
    *request.body_mut() = Bytes::from(body.finish());
    request
}
