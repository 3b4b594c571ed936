//! Pushed authorization requests (RFC 9126): `PingOne` gets the parameters directly, and the browser a reference to them.

use http::StatusCode;
use serde_json::Value;
use url::Url;

use super::{
    AuthenticationRequest, CallbackError, Discovery, Proof, Request, Response, form_request, json_object,
};
use crate::config::Config;

/// Why the pushed authorization request endpoint returned no `request_uri`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// Client authentication failed.
    #[error("{CLIENT_REFUSED}", CLIENT_REFUSED = super::CLIENT_REFUSED)]
    Client,
    /// The response has status 201, and no `request_uri` that can be used.
    #[error("PingOne's response to a pushed authorization request is malformed")]
    Malformed,
    /// `PingOne` refuses the parameters, for the reason that it would give at its authorization endpoint.
    #[error("{0}")]
    Request(CallbackError),
    /// `PingOne` refuses the request for another reason, with this status.
    #[error("PingOne refuses the pushed authorization request, with status {0}")]
    Refused(u16),
    /// `PingOne` fails or limits the rate of requests. A retry may succeed.
    #[error("PingOne is temporarily unavailable")]
    Unavailable,
}

/// The reference of a pushed authorization request, which `PingOne` accepts once (RFC 9126 §2.2).
#[derive(Debug, PartialEq, Eq)]
pub struct RequestUri(String);

impl RequestUri {
    /// The request that pushes an authentication request to `endpoint` (RFC 9126 §2.1).
    pub fn request(
        endpoint: &Url,
        pushed: &AuthenticationRequest<'_>,
        config: &Config,
        proof: Proof<'_>,
    ) -> Request {
        let parameters = pushed.parameters(config);
        let form: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        form_request(endpoint, &config.pingone, &form, proof)
    }

    /// Reads the response (RFC 9126 §2.2, §2.3).
    pub fn read(response: &Response) -> Result<Self, PushError> {
        match response.status() {
            StatusCode::CREATED | StatusCode::OK => {}
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                return Err(PushError::Unavailable);
            }
            status if status.is_server_error() => return Err(PushError::Unavailable),
            _ => return Err(push_refusal(response)),
        }
        let members = json_object(response.body()).ok_or(PushError::Malformed)?;
        let uri = members.get("request_uri").and_then(Value::as_str).unwrap_or_default();
        // It becomes a part of a redirect.
        let is_usable = (1..=LONGEST).contains(&uri.len()) && uri.bytes().all(|byte| byte.is_ascii_graphic());
        if is_usable { Ok(Self(uri.to_owned())) } else { Err(PushError::Malformed) }
    }

    /// The URL to redirect the browser to (RFC 9126 §4).
    pub fn url(&self, discovery: &Discovery, config: &Config) -> Url {
        let mut url = discovery.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("client_id", &config.pingone.client_id)
            .append_pair("request_uri", &self.0);
        url
    }
}

fn push_refusal(response: &Response) -> PushError {
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    match body["error"].as_str() {
        Some("invalid_client") => PushError::Client,
        Some("temporarily_unavailable") => PushError::Unavailable,
        Some(code) if response.status() == StatusCode::BAD_REQUEST => {
            PushError::Request(CallbackError::from_code(code))
        }
        _ => PushError::Refused(response.status().as_u16()),
    }
}

/// Bytes of a `request_uri`. That of `PingOne` has less than 100.
const LONGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn read(status: u16, body: &str) -> Result<RequestUri, PushError> {
        let mut response = http::Response::new(Bytes::from(body.to_owned()));
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        RequestUri::read(&response)
    }

    #[test]
    fn request_uri_is_read_from_a_created_response() {
        let body = r#"{"request_uri":"urn:ietf:params:oauth:request_uri:6esc","expires_in":60}"#;
        assert_eq!(read(201, body), Ok(RequestUri("urn:ietf:params:oauth:request_uri:6esc".to_owned())));
    }

    #[test]
    fn response_without_a_usable_request_uri_is_malformed() {
        let long = format!(r#"{{"request_uri":"{}"}}"#, "x".repeat(LONGEST + 1));
        for body in ["", "[]", "{}", r#"{"request_uri":7}"#, r#"{"request_uri":"a b"}"#, &long] {
            assert_eq!(read(201, body), Err(PushError::Malformed), "{body}");
        }
    }

    #[test]
    fn error_of_the_pushed_request_names_its_cause() {
        let invalid = |code: &str| format!(r#"{{"error":"{code}"}}"#);
        for (status, body, expected) in [
            (400, invalid("invalid_scope"), PushError::Request(CallbackError::Scope)),
            (400, invalid("new_code"), PushError::Request(CallbackError::Other)),
            (401, invalid("invalid_client"), PushError::Client),
            (403, "<html>".to_owned(), PushError::Refused(403)),
            (429, String::new(), PushError::Unavailable),
            (503, invalid("invalid_scope"), PushError::Unavailable),
            (302, String::new(), PushError::Refused(302)),
        ] {
            assert_eq!(read(status, &body), Err(expected), "{status} {body}");
        }
    }
}
