//! The token request (OAuth 2.1 §3.2).

use super::{ErrorCode, Params, authorization::resources_are_ours};
use crate::{
    config::Config,
    secret::Secret,
    types::{ScopeError, Scopes},
};

/// A well-formed token request.
#[derive(Debug)]
pub enum TokenRequest {
    /// OAuth 2.1 §4.1.3.
    AuthorizationCode {
        /// The code.
        code: Secret<String>,
        /// PKCE.
        code_verifier: Secret<String>,
        /// As sent in the authorization request, where a client repeats it.
        redirect_uri: Option<String>,
    },
    /// OAuth 2.1 §4.3.
    RefreshToken {
        /// The refresh token.
        refresh_token: Secret<String>,
        /// Fewer scopes than granted, if the client wants so.
        scopes: Option<Scopes>,
    },
}

/// What is wrong with a token request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRequestError {
    /// A grant type that is not ours.
    #[error("grant_type must be authorization_code or refresh_token")]
    GrantType,
    /// A required parameter is absent.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A parameter stands more than once.
    #[error("a parameter is repeated")]
    Repeated,
    /// A resource that is not ours.
    #[error("resource is not the MCP endpoint of this server")]
    Resource,
    /// Not a list of scopes.
    #[error("{0}")]
    Scope(ScopeError),
}

impl TokenRequestError {
    /// The code on the wire.
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
    /// Reads the form of a token request.
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
        // Before anything is consumed (RFC 8707 §2.2).
        if resources_are_ours(params, config) { Ok(request) } else { Err(TokenRequestError::Resource) }
    }
}
