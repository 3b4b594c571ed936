//! The error responses of the API.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{
    backend::TodosError,
    todos::{MAX_TEXT_CHARACTERS, MAX_TODOS},
    token::TokenError,
};

/// Why a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// The body is larger than [`MAX_BODY_BYTES`].
    BodyTooLarge,
    /// The list is full.
    Full,
    /// The body has another form than the expected one, which is given.
    Malformed(&'static str),
    /// `Content-Type` is not JSON.
    MediaType,
    /// The path does not support the method.
    Method,
    /// There is no such path, or the user has no such todo. The text says which.
    NotFound(&'static str),
    /// The token lacks this scope.
    Scope(&'static str),
    /// Storage failed.
    Storage,
    /// The text of a todo is empty, too long, or not one line.
    Text,
    /// The token is refused.
    Token(TokenError),
    /// The request has no token.
    Unauthenticated,
    /// The issuer's keys cannot be fetched at the moment.
    Unavailable,
}

impl ApiError {
    /// The status and the code of the JSON body.
    const fn code(self) -> (StatusCode, &'static str) {
        match self {
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
            Self::Full => (StatusCode::CONFLICT, "too_many_todos"),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::Scope(_) => (StatusCode::FORBIDDEN, "insufficient_scope"),
            Self::Storage => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
            Self::Text => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_text"),
            Self::Token(_) => (StatusCode::UNAUTHORIZED, "invalid_token"),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
        }
    }

    fn message(self) -> String {
        match self {
            Self::BodyTooLarge => format!("the body is larger than {MAX_BODY_BYTES} bytes"),
            Self::Full => format!("there are {MAX_TODOS} todos already; delete one first"),
            Self::Malformed(expected) => format!("the body must be {expected}"),
            Self::MediaType => "the body must be JSON, with Content-Type: application/json".to_owned(),
            Self::Method => "this path does not support this method; see the Allow header".to_owned(),
            Self::NotFound(what) => what.to_owned(),
            Self::Scope(scope) => format!("the token does not have the scope {scope}"),
            Self::Storage => "the todos cannot be read or written at the moment".to_owned(),
            Self::Text => {
                format!("the text must be one line of 1 to {MAX_TEXT_CHARACTERS} characters")
            }
            Self::Token(error) => error.to_string(),
            Self::Unauthenticated => "send an access token: Authorization: Bearer <token>".to_owned(),
            Self::Unavailable => "tokens cannot be verified at the moment; try again later".to_owned(),
        }
    }

    /// `WWW-Authenticate` (RFC 6750 §3). It has no `error` if the request has no token (§3.1).
    fn challenge(self) -> Option<String> {
        match self {
            Self::Scope(scope) => Some(format!(r#"Bearer error="insufficient_scope", scope="{scope}""#)),
            Self::Token(error) => {
                Some(format!(r#"Bearer error="invalid_token", error_description="{error}""#))
            }
            Self::Unauthenticated => Some("Bearer".to_owned()),
            _ => None,
        }
    }
}

impl From<TodosError> for ApiError {
    fn from(error: TodosError) -> Self {
        match error {
            TodosError::Full => Self::Full,
            TodosError::Storage(error) => {
                tracing::error!(%error, "storage failed");
                Self::Storage
            }
            TodosError::Unknown => Self::NotFound("there is no todo with this id"),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            error: &'static str,
            message: String,
        }
        let (status, error) = self.code();
        let mut response = json(status, &Body { error, message: self.message() });
        let challenge = self.challenge().and_then(|challenge| HeaderValue::try_from(challenge).ok());
        if let Some(challenge) = challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if self == Self::Unavailable {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

/// A response with a JSON body and `Cache-Control: no-store`.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // All bodies are strings, numbers, booleans, and lists and structs of them, which always serialize.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, body).into_response()
}

/// The size limit of request bodies: enough for the longest text with every character escaped.
pub(crate) const MAX_BODY_BYTES: usize = 16 * 1024;
