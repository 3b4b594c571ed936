//! The token request (OAuth 2.1 §3.2).

use super::{ErrorCode, Params, authorization::names_this_resource};
use crate::{
    config::Config,
    secret::Secret,
    types::{ScopeError, Scopes},
};

/// A well-formed token request (OAuth 2.1 §3.2.2).
#[derive(Debug)]
pub enum TokenRequest {
    /// `grant_type=authorization_code` (OAuth 2.1 §4.1.3).
    AuthorizationCode {
        /// `code`
        code: Secret<String>,
        /// `code_verifier` (RFC 7636 §4.5)
        code_verifier: Secret<String>,
        /// `redirect_uri`, if the client sent it. OAuth 2.0 required it.
        redirect_uri: Option<String>,
    },
    /// `grant_type=refresh_token` (OAuth 2.1 §4.3).
    RefreshToken {
        /// `refresh_token`
        refresh_token: Secret<String>,
        /// `scope`: fewer scopes than granted, for the new access token. Without it, all granted scopes are meant.
        scopes: Option<Scopes>,
    },
}

/// Why a token request is malformed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRequestError {
    /// `grant_type` is neither `authorization_code` nor `refresh_token`.
    #[error("grant_type must be authorization_code or refresh_token")]
    GrantType,
    /// A required parameter is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A parameter is repeated (OAuth 2.1 §3.2: parameters must not be included more than once).
    #[error("a parameter is repeated")]
    Repeated,
    /// `resource` names another resource than the MCP endpoint.
    #[error("resource is not the MCP endpoint of this server")]
    Resource,
    /// `scope` is malformed.
    #[error("{0}")]
    Scope(ScopeError),
}

impl TokenRequestError {
    /// The `error` code of the response (OAuth 2.1 §3.2.4, RFC 8707 §2).
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::GrantType => ErrorCode::UnsupportedGrantType,
            Self::Missing(_) | Self::Repeated => ErrorCode::InvalidRequest,
            Self::Resource => ErrorCode::InvalidTarget,
            Self::Scope(_) => ErrorCode::InvalidScope,
        }
    }
}

impl TokenRequest {
    /// Parses the form of a token request.
    pub fn parse(params: &Params, config: &Config) -> Result<Self, TokenRequestError> {
        let one = |name| params.one(name).map_err(|_| TokenRequestError::Repeated);
        let required = |name| one(name)?.ok_or(TokenRequestError::Missing(name));
        let secret = |name| required(name).map(|value| Secret::new(value.to_owned()));
        let request = match required("grant_type")? {
            "authorization_code" => Self::AuthorizationCode {
                code: secret("code")?,
                code_verifier: secret("code_verifier")?,
                redirect_uri: one("redirect_uri")?.map(str::to_owned),
            },
            "refresh_token" => Self::RefreshToken {
                refresh_token: secret("refresh_token")?,
                scopes: one("scope")?.map(Scopes::parse).transpose().map_err(TokenRequestError::Scope)?,
            },
            _ => return Err(TokenRequestError::GrantType),
        };
        // RFC 8707 §2.2: the client may name the resource again. A wrong one is refused before the code is used.
        if names_this_resource(params, config) { Ok(request) } else { Err(TokenRequestError::Resource) }
    }
}
