//! Error codes and the error response (OAuth 2.1 §3.2.4, §4.1.2.1).

use serde::Serialize;

/// An `error` code in a response to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The user or `PingOne` denied the request (OAuth 2.1 §4.1.2.1).
    AccessDenied,
    /// The access token lacks a scope (RFC 6750 §3.1).
    InsufficientScope,
    /// Client authentication failed (OAuth 2.1 §3.2.4).
    InvalidClient,
    /// The registration is not acceptable (RFC 7591 §3.2.2).
    InvalidClientMetadata,
    /// The code or refresh token is unknown, expired, used, or was issued to another client (OAuth 2.1 §3.2.4).
    InvalidGrant,
    /// A redirect URI of a registration is not acceptable (RFC 7591 §3.2.2).
    InvalidRedirectUri,
    /// A parameter is missing, repeated or malformed (OAuth 2.1 §3.2.4, §4.1.2.1).
    InvalidRequest,
    /// None of the scopes can be granted (OAuth 2.1 §3.2.4, §4.1.2.1).
    InvalidScope,
    /// The resource is unknown (RFC 8707 §2).
    InvalidTarget,
    /// The access token is unknown, expired or revoked (RFC 6750 §3.1).
    InvalidToken,
    /// An unexpected failure of this server or of `PingOne` (OAuth 2.1 §4.1.2.1).
    ServerError,
    /// `PingOne` or this server is overloaded or unavailable for now (OAuth 2.1 §4.1.2.1).
    TemporarilyUnavailable,
    /// The client did not register for this grant type (OAuth 2.1 §3.2.4).
    UnauthorizedClient,
    /// The grant type is neither `authorization_code` nor `refresh_token` (OAuth 2.1 §3.2.4).
    UnsupportedGrantType,
    /// The response type is not `code` (OAuth 2.1 §4.1.2.1).
    UnsupportedResponseType,
}

impl ErrorCode {
    /// The code as it is sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::InsufficientScope => "insufficient_scope",
            Self::InvalidClient => "invalid_client",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidToken => "invalid_token",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
        }
    }
}

/// The body of an error response (OAuth 2.1 §3.2.4, RFC 7591 §3.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorResponse {
    /// `error`
    pub error: ErrorCode,
    /// `error_description`: a text for the client's developer. It never repeats input.
    pub error_description: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_code_is_serialized_as_its_text() {
        for code in [ErrorCode::AccessDenied, ErrorCode::InvalidTarget, ErrorCode::UnsupportedResponseType] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
