//! Errors of requests to `PingOne`.

use crate::{
    host::FetchError,
    oidc::{AccessTokenError, DiscoveryError, IdTokenError, PushError, TokenError, UserInfoError},
};

/// Why a request to `PingOne` failed, or its response is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum PingOneError {
    #[error("{0}")]
    AccessToken(AccessTokenError),
    #[error("{0}")]
    Discovery(DiscoveryError),
    #[error("PingOne: {0}")]
    Fetch(FetchError),
    #[error("{0}")]
    IdToken(IdTokenError),
    #[error("PingOne's keys cannot be read")]
    Keys,
    #[error("the token response has no ID token")]
    NoIdToken,
    #[error("PingOne's keys were fetched a moment ago and are not fetched again yet")]
    NotYet,
    #[error("{0}")]
    PushedRequest(PushError),
    #[error("{0}")]
    Token(TokenError),
    #[error("{0}")]
    UserInfo(UserInfoError),
}

impl PingOneError {
    /// Whether the same request may succeed later without a change of configuration.
    pub(crate) const fn is_transient(&self) -> bool {
        match self {
            Self::Fetch(_)
            | Self::Keys
            | Self::NotYet
            | Self::Discovery(DiscoveryError::Document(_))
            | Self::PushedRequest(PushError::Unavailable)
            | Self::Token(TokenError::Unavailable) => true,
            Self::AccessToken(error) => error.may_pass_with_other_keys(),
            Self::IdToken(error) => error.may_pass_with_other_keys(),
            Self::Discovery(_)
            | Self::NoIdToken
            | Self::PushedRequest(_)
            | Self::Token(_)
            | Self::UserInfo(_) => false,
        }
    }
}
