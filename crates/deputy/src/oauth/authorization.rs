//! The authorization request (OAuth 2.1 §4.1.1).

use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};

use super::{Client, CodeChallenge, ErrorCode, Params, PkceError};
use crate::{
    config::Config,
    types::{ClientId, RedirectUri, ScopeError, Scopes},
};

/// A valid request of a registered client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// Where the answer goes.
    pub target: RedirectTarget,
    /// What is asked for.
    pub access: RequestedAccess,
}

/// A checked place for an answer. It exists only for a redirect URI that its client registered, so whoever holds one may
/// redirect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedirectTarget {
    client_id: ClientId,
    redirect_uri: RedirectUri,
    state: Option<String>,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedAccess {
    /// The scopes of the API, all of which this server can grant.
    pub scopes: Scopes,
    /// PKCE.
    pub code_challenge: CodeChallenge,
    /// `prompt=consent`: show the approval page even if it is remembered.
    pub ask_again: bool,
    /// `prompt=login` or `select_account`: let the person log in as someone else.
    pub log_in_again: bool,
}

/// Why a request is refused, and who may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorizeError {
    /// The person, on a page of ours: nothing proves that the redirect URI is the client's.
    Page(TargetError),
    /// The client, at its redirect URI.
    Redirect {
        /// Where.
        target: RedirectTarget,
        /// What.
        error: RequestError,
    },
}

/// Why there is no [`RedirectTarget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not one `client_id`.
    #[error("The link that brought you here does not say which application it is from.")]
    ClientId,
    /// A redirect URI that leads back to this server.
    #[error("This application asked to send you back to an address of this server itself.")]
    Ours,
    /// A private-use redirect URI that the operator does not admit.
    #[error(
        "This application asked to send you back to an address that the operator of this server does not admit."
    )]
    PrivateUse,
    /// Not one redirect URI that the client registered.
    #[error("This application asked to send you back to an address that it has not registered.")]
    RedirectUri,
}

/// What is wrong with the rest of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// PKCE is missing or malformed.
    #[error("{0}")]
    Pkce(PkceError),
    /// A parameter stands more than once.
    #[error("a parameter is repeated")]
    Repeated,
    /// A resource that is not ours.
    #[error("resource is not the MCP endpoint of this server")]
    Resource,
    /// A response mode other than `query`.
    #[error("response_mode must be query")]
    ResponseMode,
    /// A response type other than `code`.
    #[error("response_type must be code")]
    ResponseType,
    /// The scope is malformed, or nothing of it can be granted.
    #[error("{0}")]
    Scope(ScopeError),
    /// `state` is longer than 4096 bytes.
    #[error("state is too long")]
    State,
}

impl RequestError {
    /// The code on the wire.
    pub const fn code(&self) -> ErrorCode {
        match self {
            // RFC 7636 §4.4.1.
            Self::Pkce(_) | Self::Repeated | Self::ResponseMode | Self::State => ErrorCode::InvalidRequest,
            // RFC 8707 §2.
            Self::Resource => ErrorCode::InvalidTarget,
            Self::ResponseType => ErrorCode::UnsupportedResponseType,
            Self::Scope(_) => ErrorCode::InvalidScope,
        }
    }
}

impl AuthorizationRequest {
    /// The client that a request names, to be loaded.
    pub fn client_id(params: &Params) -> Result<&str, TargetError> {
        match params.one("client_id") {
            Ok(Some(id)) if id.len() <= 2048 => Ok(id),
            _ => Err(TargetError::ClientId),
        }
    }

    /// Reads a request of `client`.
    pub fn parse(params: &Params, client: &Client, config: &Config) -> Result<Self, AuthorizeError> {
        let mut target = RedirectTarget::parse(params, client, config).map_err(AuthorizeError::Page)?;
        match params.one("state") {
            Ok(state) if state.is_none_or(|state| state.len() <= 4096) => {
                target.state = state.map(str::to_owned);
            }
            Ok(_) => return Err(AuthorizeError::Redirect { target, error: RequestError::State }),
            Err(_) => return Err(AuthorizeError::Redirect { target, error: RequestError::Repeated }),
        }
        match RequestedAccess::parse(params, config) {
            Ok(access) => Ok(Self { target, access }),
            Err(error) => Err(AuthorizeError::Redirect { target, error }),
        }
    }
}

impl RedirectTarget {
    fn parse(params: &Params, client: &Client, config: &Config) -> Result<Self, TargetError> {
        let redirect_uri = match (params.one("redirect_uri"), client.redirect_uris.as_slice()) {
            (Ok(Some(uri)), _) => RedirectUri::parse(uri).map_err(|_| TargetError::RedirectUri)?,
            // OAuth 2.1 §4.1.1: it may be left out when there is one.
            (Ok(None), [only]) => only.clone(),
            _ => return Err(TargetError::RedirectUri),
        };
        if !client.redirect_uris.iter().any(|registered| redirect_uri.matches(registered)) {
            return Err(TargetError::RedirectUri);
        }
        // Our own pages, opened by our own answers, would seem to be asked by ourselves.
        if redirect_uri.has_origin(config.public_url.issuer()) {
            return Err(TargetError::Ours);
        }
        if redirect_uri.is_private_use() && !config.private_use_redirect_uris.contains(&redirect_uri) {
            return Err(TargetError::PrivateUse);
        }
        Ok(Self { client_id: client.id.clone(), redirect_uri, state: None })
    }

    /// The client that gets the answer.
    pub fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// Where it gets it.
    pub fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    /// The URL of the answer: `parameters`, then `state` and `iss` (OAuth 2.1 §4.1.2, RFC 9207 §2).
    pub fn response_url(&self, issuer: &str, parameters: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters);
        query.extend_pairs(self.state.as_deref().map(|state| ("state", state)));
        query.append_pair("iss", issuer);
        let uri = self.redirect_uri.as_str();
        let separator = match uri.find('?') {
            None => "?",
            Some(at) if at + 1 == uri.len() => "",
            Some(_) => "&",
        };
        format!("{uri}{separator}{}", query.finish())
    }
}

impl RequestedAccess {
    fn parse(params: &Params, config: &Config) -> Result<Self, RequestError> {
        let one = |name| params.one(name).map_err(|_| RequestError::Repeated);
        if one("response_type")? != Some("code") {
            return Err(RequestError::ResponseType);
        }
        if one("response_mode")?.is_some_and(|mode| mode != "query") {
            return Err(RequestError::ResponseMode);
        }
        let challenge = (one("code_challenge")?, one("code_challenge_method")?);
        let code_challenge = CodeChallenge::parse(challenge.0, challenge.1).map_err(RequestError::Pkce)?;
        if !resources_are_ours(params, config) {
            return Err(RequestError::Resource);
        }
        let prompt = one("prompt")?.unwrap_or_default();
        let prompts = |name| prompt.split(' ').any(|value| value == name);
        Ok(Self {
            scopes: Scopes::parse(one("scope")?.unwrap_or_default())
                .and_then(|asked| asked.granted(&config.api.scopes))
                .map_err(RequestError::Scope)?,
            code_challenge,
            ask_again: prompts("consent"),
            log_in_again: prompts("login") || prompts("select_account"),
        })
    }
}

/// Whether every `resource` (RFC 8707 §2) means our MCP endpoint. There is one resource, and clients spell it in several
/// ways: with a final slash, or as the bare origin.
pub(super) fn resources_are_ours(params: &Params, config: &Config) -> bool {
    params.all("resource").all(|resource| {
        let path = resource.strip_prefix(config.public_url.issuer());
        matches!(path, Some("" | "/" | "/mcp" | "/mcp/")) || {
            // The same, for a host in another case or a default port that is spelled out.
            resource.len() <= 2048
                && Url::parse(resource).is_ok_and(|url| {
                    url.origin().ascii_serialization() == config.public_url.issuer()
                        && matches!(url.path(), "/" | "/mcp" | "/mcp/")
                        && (url.query(), url.fragment(), url.username(), url.password())
                            == (None, None, "", None)
                })
        }
    })
}
