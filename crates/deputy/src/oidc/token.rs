//! The token and revocation endpoints of `PingOne`.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::{CodeVerifier, Request, Response, json_response};
use crate::{
    config::{ClientAuth, PingOne},
    encoding::{base64_encode, base64url_encode},
    host::Timestamp,
    jose::{ClientKey, sign},
    seal::{Random, random_bytes},
    secret::Secret,
};

/// A successful token response (OpenID Connect Core §3.1.3.3, §12.2).
#[derive(Debug)]
pub struct TokenResponse {
    /// `access_token`
    pub access_token: Secret<String>,
    /// `expires_in` in seconds, if the response has it.
    pub expires_in: Option<u64>,
    /// `id_token`
    pub id_token: Option<Secret<String>>,
    /// `refresh_token`
    pub refresh_token: Option<Secret<String>>,
    /// `scope`. If it is missing, the requested scopes were granted (OAuth 2.1 §3.2.3).
    pub scope: Option<String>,
}

/// Why the token endpoint returned no tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Client authentication failed. `PingOne` returns the same error for a wrong secret and for a wrong method.
    #[error("{CLIENT_REFUSED}", CLIENT_REFUSED = super::CLIENT_REFUSED)]
    Client,
    /// The code or refresh token is used, expired or revoked. A retry cannot succeed.
    #[error("PingOne refuses the code or refresh token")]
    Grant,
    /// The application at `PingOne` does not allow the grant type.
    #[error(
        "PingOne refuses the grant type: the application PINGONE_CLIENT_ID needs Authorization Code and Refresh Token"
    )]
    GrantType,
    /// `PingOne` refuses the request for another reason, with this status.
    #[error("PingOne refuses the token request, with status {0}")]
    Refused(u16),
    /// `PingOne` fails or limits the rate of requests. A retry may succeed.
    #[error("PingOne is temporarily unavailable")]
    Unavailable,
    /// The response has status 200, and is not a valid token response.
    #[error("PingOne's token response is malformed")]
    Malformed,
}

/// The request that redeems a code (OpenID Connect Core §3.1.3.1).
pub fn code_request(
    endpoint: &Url,
    pingone: &PingOne,
    code: &Secret<String>,
    verifier: &CodeVerifier,
    redirect_uri: &str,
    proof: Proof<'_>,
) -> Request {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.expose()),
        ("code_verifier", verifier.as_str()),
        ("redirect_uri", redirect_uri),
    ];
    form_request(endpoint, pingone, &form, proof)
}

/// The request that refreshes the tokens (OpenID Connect Core §12.1).
pub fn refresh_request(endpoint: &Url, pingone: &PingOne, refresh_token: &str, proof: Proof<'_>) -> Request {
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    form_request(endpoint, pingone, &form, proof)
}

/// The request that revokes a refresh token (RFC 7009 §2.1).
pub fn revocation_request(endpoint: &Url, pingone: &PingOne, token: &str, proof: Proof<'_>) -> Request {
    form_request(endpoint, pingone, &[("token", token), ("token_type_hint", "refresh_token")], proof)
}

impl TokenResponse {
    /// Reads a response of the token endpoint.
    pub fn read(response: &Response) -> Result<Self, TokenError> {
        match response.status() {
            StatusCode::OK => {}
            status if status.is_server_error() => return Err(TokenError::Unavailable),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                return Err(TokenError::Unavailable);
            }
            _ => return Err(refusal(response)),
        }
        let members = json_response(response).ok_or(TokenError::Malformed)?;
        let text = |name| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let secret = |name| text(name).map(|text| Secret::new(text.to_owned()));
        if !text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(TokenError::Malformed);
        }
        Ok(Self {
            access_token: secret("access_token").ok_or(TokenError::Malformed)?,
            expires_in: members.get("expires_in").and_then(Value::as_u64),
            id_token: secret("id_token"),
            refresh_token: secret("refresh_token"),
            scope: text("scope").map(str::to_owned),
        })
    }
}

/// The refresh token in a response of the token endpoint, even if the rest of the response is malformed: `PingOne`
/// rotated the refresh token, and the old one can no longer be used.
pub(crate) fn rotated_refresh_token(response: &Response) -> Option<Secret<String>> {
    let token = json_response(response)?.get("refresh_token")?.as_str()?.to_owned();
    (!token.is_empty()).then(|| Secret::new(token))
}

fn refusal(response: &Response) -> TokenError {
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    match body["error"].as_str() {
        Some("invalid_client") => TokenError::Client,
        Some("unauthorized_client" | "unsupported_grant_type") => TokenError::GrantType,
        // RFC 6749 §5.2: `invalid_grant` has status 400. With another status it may come from a proxy.
        Some("invalid_grant") if response.status() == StatusCode::BAD_REQUEST => TokenError::Grant,
        Some("temporarily_unavailable") => TokenError::Unavailable,
        _ => TokenError::Refused(response.status().as_u16()),
    }
}

/// A request with this form, and with Deputy's client authentication (OpenID Connect Core §9).
pub fn form_request(endpoint: &Url, pingone: &PingOne, form: &[(&str, &str)], proof: Proof<'_>) -> Request {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(form);
    // The parameters of a pushed request have it already (RFC 9126 §2.1).
    if !matches!(pingone.client_auth, ClientAuth::Basic(_))
        && form.iter().all(|(name, _)| *name != "client_id")
    {
        body.append_pair("client_id", &pingone.client_id);
    }
    let mut request = super::get(endpoint);
    *request.method_mut() = Method::POST;
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    match &pingone.client_auth {
        ClientAuth::Basic(secret) => {
            // OAuth 2.1 §2.4.1: the client id and the secret are form-encoded before they are joined.
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let (id, secret) = (encode(&pingone.client_id), encode(secret.expose()));
            let pair = zeroize::Zeroizing::new(format!("{id}:{secret}"));
            // Base64 is a valid header value.
            if let Ok(mut value) = HeaderValue::try_from(format!("Basic {}", base64_encode(pair.as_bytes())))
            {
                value.set_sensitive(true);
                headers.insert(header::AUTHORIZATION, value);
            }
        }
        ClientAuth::Post(secret) => {
            body.append_pair("client_secret", secret.expose());
        }
        ClientAuth::Key(key) => {
            // PingOne refuses a request without an assertion. The log then names the setting.
            if let Some(assertion) = proof.assertion(endpoint, &pingone.client_id, key) {
                body.append_pair("client_assertion_type", JWT_BEARER)
                    .append_pair("client_assertion", assertion.expose());
            }
        }
    }
    *request.body_mut() = Bytes::from(body.finish());
    request
}

/// The things that make each client assertion another one.
#[derive(Clone, Copy)]
pub struct Proof<'a> {
    /// The time of the request.
    pub now: Timestamp,
    /// For `jti`.
    pub random: Random<'a>,
}

impl Proof<'_> {
    /// An assertion for a request to `endpoint` (RFC 7523 §3), which is valid for a few minutes. `PingOne` takes the endpoint
    /// that is called as `aud`; RFC 7523 §3 lets it.
    fn assertion(&self, endpoint: &Url, client_id: &str, key: &ClientKey) -> Option<Secret<String>> {
        let claims = json!({
            "iss": client_id,
            "sub": client_id,
            "aud": endpoint.as_str(),
            "iat": self.now.0,
            "exp": self.now.plus(ASSERTION_LIFETIME).0,
            "jti": base64url_encode(&random_bytes::<16>(self.random)),
        });
        sign(&claims, key)
    }
}

/// `client_assertion_type` (RFC 7523 §2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Seconds: more than the clocks may differ by, and less than the hour that PingOne accepts.
const ASSERTION_LIFETIME: u64 = 300;
