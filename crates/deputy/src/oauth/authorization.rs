//! The authorization request (OAuth 2.1 §4.1.1).

use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};

use super::{AuthMethod, Client, CodeChallenge, ErrorCode, Params, PkceError};
use crate::{
    config::Config,
    types::{ApprovedTools, ClientId, LoginHint, RedirectUri, ScopeError, Scopes},
};

/// A valid authorization request of a known client (OAuth 2.1 §4.1.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// The client, and the redirect URI for the response.
    pub target: RedirectTarget,
    /// The access that the client requests.
    pub access: RequestedAccess,
}

/// A redirect URI that is known to belong to its client. Only a redirect URI that the client registered becomes a
/// target, so responses and errors can be sent to it (OAuth 2.1 §4.1.2.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedirectTarget {
    client_id: ClientId,
    redirect_uri: RedirectUri,
    state: Option<String>,
}

/// The access that a client requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedAccess {
    /// The scopes to grant: those of the request that this server offers, and that the user has not declined.
    pub scopes: Scopes,
    /// The other scopes of the request, which the user declined.
    #[serde(default)]
    pub declined: Scopes,
    /// The tools that the scopes open, as the approval page shows them. `None` in a record of an earlier version.
    #[serde(default)]
    pub approved_tools: Option<ApprovedTools>,
    /// `code_challenge` (RFC 7636 §4.3).
    pub code_challenge: CodeChallenge,
    /// `prompt=consent` without the scope `offline_access`: show the approval page even if the browser remembers the
    /// approval.
    pub ask_again: bool,
    /// Whether the client has to authenticate with a key for this access.
    #[serde(default)]
    pub needs_key: bool,
    /// `prompt=login` or `prompt=select_account`: let the user log in with another account.
    pub log_in_again: bool,
    /// `login_hint` (OpenID Connect Core §3.1.2.1), for the sign-on form of `PingOne`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_hint: Option<LoginHint>,
    /// `max_age` (OpenID Connect Core §3.1.2.1): the seconds since the user last logged in, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u64>,
}

/// Why an authorization request is refused, and where the error is reported (OAuth 2.1 §4.1.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorizeError {
    /// On a page of this server: the redirect URI is not known to belong to the client, so it must not be redirected
    /// to.
    Page(TargetError),
    /// At the redirect URI of the client.
    Redirect {
        /// The redirect URI.
        target: RedirectTarget,
        /// The error to report.
        error: RequestError,
    },
}

/// Why an authorization request has no valid [`RedirectTarget`]. The texts are shown to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum TargetError {
    /// `client_id` is missing, repeated or longer than [`ClientId::LONGEST`].
    #[error("The link that brought you here does not say which application it is from.")]
    ClientId,
    /// The host of the redirect URI is not one that the operator admits.
    #[error(
        "This application asked to send you back to an address that the operator of this server does not allow."
    )]
    Host,
    /// The redirect URI leads to this server.
    #[error("This application asked to send you back to an address of this server itself.")]
    OwnOrigin,
    /// The redirect URI has a private-use scheme, and the operator does not allow it.
    #[error(
        "This application asked to send you back to an address that the operator of this server does not allow."
    )]
    PrivateUse,
    /// `redirect_uri` is missing, repeated, malformed, or not one that the client registered.
    #[error("This application asked to send you back to an address that it has not registered.")]
    RedirectUri,
}

/// Why an authorization request with a valid [`RedirectTarget`] is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum RequestError {
    /// `login_hint` is longer than [`LoginHint::LONGEST`].
    #[error("login_hint is too long")]
    LoginHint,
    /// `max_age` is not a number of seconds.
    #[error("max_age must be a number of seconds")]
    MaxAge,
    /// `code_challenge` or `code_challenge_method` is missing or not acceptable.
    #[error("{0}")]
    Pkce(PkceError),
    /// A parameter is repeated (OAuth 2.1 §3.1: parameters must not be included more than once).
    #[error("a parameter is repeated")]
    Repeated,
    /// `resource` names another resource than the MCP endpoint.
    #[error("resource is not the MCP endpoint of this server")]
    Resource,
    /// `response_mode` is not `query`.
    #[error("response_mode must be query")]
    ResponseMode,
    /// `response_type` is not `code`.
    #[error("response_type must be code")]
    ResponseType,
    /// `scope` is malformed, or names only unknown scopes.
    #[error("{0}")]
    Scope(ScopeError),
    /// `state` is longer than 4096 bytes.
    #[error("state is too long")]
    State,
}

impl RequestError {
    /// The `error` code of the response.
    pub const fn code(&self) -> ErrorCode {
        match self {
            // RFC 7636 §4.4.1: `invalid_request` if the challenge is missing or its method is not supported.
            Self::LoginHint
            | Self::MaxAge
            | Self::Pkce(_)
            | Self::Repeated
            | Self::ResponseMode
            | Self::State => ErrorCode::InvalidRequest,
            // RFC 8707 §2: `invalid_target` for an unknown resource.
            Self::Resource => ErrorCode::InvalidTarget,
            Self::ResponseType => ErrorCode::UnsupportedResponseType,
            Self::Scope(_) => ErrorCode::InvalidScope,
        }
    }
}

impl AuthorizationRequest {
    /// The `client_id` of a request, to look the client up.
    pub fn client_id(params: &Params) -> Result<&str, TargetError> {
        match params.one("client_id") {
            Ok(Some(id)) if id.len() <= ClientId::LONGEST => Ok(id),
            _ => Err(TargetError::ClientId),
        }
    }

    /// Parses an authorization request of `client`.
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
            Ok(access) => {
                let needs_key = client.auth_method == AuthMethod::PrivateKeyJwt;
                Ok(Self { target, access: RequestedAccess { needs_key, ..access } })
            }
            Err(error) => Err(AuthorizeError::Redirect { target, error }),
        }
    }
}

impl RequestedAccess {
    /// Keeps only the scopes in `kept`, as the user chose, and only the tools that these scopes open. `false` if no scope
    /// would be left; then nothing is changed.
    #[must_use]
    pub fn keep_scopes(&mut self, kept: &Scopes, opened_by: impl FnOnce(&Scopes) -> ApprovedTools) -> bool {
        let scopes = self.scopes.intersection(kept);
        if scopes.is_empty() {
            return false;
        }
        let declined = self.scopes.iter().filter(|scope| !kept.contains(scope));
        self.declined = Scopes::of(self.declined.iter().chain(declined));
        if !self.declined.is_empty() {
            self.approved_tools =
                self.approved_tools.take().map(|shown| shown.intersection(&opened_by(&scopes)));
        }
        self.scopes = scopes;
        true
    }
}

impl RequestedAccess {
    /// Lets the user log in with another account than that of the browser's session at `PingOne`.
    pub fn use_another_account(&mut self) {
        self.log_in_again = true;
        // The hint of the client is about the account that it expects.
        self.login_hint = None;
    }
}

impl RedirectTarget {
    fn parse(params: &Params, client: &Client, config: &Config) -> Result<Self, TargetError> {
        let redirect_uri = match (params.one("redirect_uri"), client.redirect_uris.as_slice()) {
            (Ok(Some(uri)), _) => RedirectUri::parse(uri).map_err(|_| TargetError::RedirectUri)?,
            // OAuth 2.1 §4.1.1: a client with one registered redirect URI may omit the parameter.
            (Ok(None), [only]) => only.clone(),
            _ => return Err(TargetError::RedirectUri),
        };
        if !client.redirect_uris.iter().any(|registered| redirect_uri.matches(registered)) {
            return Err(TargetError::RedirectUri);
        }
        // A redirect to a page of this server would look like a navigation within this server.
        if redirect_uri.has_origin(config.public_url.issuer()) {
            return Err(TargetError::OwnOrigin);
        }
        // The operator chose the redirect URIs of a configured client.
        if !config.redirect_policy.allows(&redirect_uri) && !matches!(client.id, ClientId::Configured(_)) {
            let is_private_use = redirect_uri.is_private_use();
            return Err(if is_private_use { TargetError::PrivateUse } else { TargetError::Host });
        }
        Ok(Self { client_id: client.id.clone(), redirect_uri, state: None })
    }

    /// The client that gets the response.
    pub fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// The redirect URI at which it gets the response.
    pub fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    /// The URL of an authorization response: `parameters`, then `state` as the client sent it (OAuth 2.1 §4.1.2), and
    /// `iss`, the issuer (RFC 9207 §2).
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
        if !names_this_resource(params, config) {
            return Err(RequestError::Resource);
        }
        let prompt = one("prompt")?.unwrap_or_default();
        let prompts = |name| prompt.split(' ').any(|value| value == name);
        let login_hint = match one("login_hint")? {
            Some(hint) => Some(LoginHint::parse(hint).ok_or(RequestError::LoginHint)?),
            None => None,
        };
        let max_age = one("max_age")?.map(str::parse::<u32>).transpose().map_err(|_| RequestError::MaxAge)?;
        let scope = one("scope")?.unwrap_or_default();
        // Clients add `prompt=consent` to each request for `offline_access`, because OpenID Connect Core §11 requires it.
        // It is then no wish of the client.
        let needs_consent = scope.split(' ').any(|scope| scope == "offline_access");
        Ok(Self {
            scopes: Scopes::parse(scope)
                .and_then(|requested| requested.granted(&config.api.scopes))
                .map_err(RequestError::Scope)?,
            declined: Scopes::default(),
            needs_key: false,
            approved_tools: None,
            code_challenge,
            ask_again: prompts("consent") && !needs_consent,
            log_in_again: prompts("login") || prompts("select_account"),
            login_hint,
            max_age: max_age.map(u64::from),
        })
    }
}

/// Whether every `resource` parameter (RFC 8707 §2) names the MCP endpoint, the only resource of this server. Clients
/// write its URL in several ways: with a final slash, or as the origin alone.
pub(super) fn names_this_resource(params: &Params, config: &Config) -> bool {
    params.all("resource").all(|resource| {
        let path = resource.strip_prefix(config.public_url.issuer());
        matches!(path, Some("" | "/" | "/mcp" | "/mcp/")) || {
            // The same URLs, with a host in upper case or with the default port.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_hint_is_redacted_in_debug_output() {
        let hint = LoginHint::parse("zoe@example.com").expect("a hint");
        assert_eq!((format!("{hint:?}"), hint.as_str()), ("[redacted]".to_owned(), "zoe@example.com"));
    }
}
