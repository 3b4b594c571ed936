//! A login at `PingOne`, from the approval to the redirect back to the client.

use std::borrow::Cow;

use super::Failure;
use crate::{
    app::{App, Trail},
    host::{Decision, GrantId, LoginStep, Timestamp},
    http::{Response, redirect, set_cookie},
    metrics,
    oauth::{AuthorizationRequest, ErrorCode, Handle, RedirectTarget, login_cookie},
    oidc::{
        Authentication, AuthenticationRequest, CallbackError, ClientAccess, IdTokenError, MaxAge, PushError,
        clocks_differ,
    },
    pages::{self, Ending, ReturnPage},
    pingone::{LoginUrl, PingOneError},
    records::{self, Login, LoginPurpose, RecordError},
    secret::Secret,
};

/// Why a login fails. A client gets an error at its redirect URI (OAuth 2.1 §4.1.2.1). The log has the cause.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum LoginError {
    /// `PingOne` sent the browser back without a code.
    #[error("{error}")]
    Callback { error: CallbackError, said: Option<String>, correlation: Option<String> },
    /// The user denied the client on the approval page.
    #[error("the user denied the client")]
    Denied,
    /// `PingOne` issued an access token that has expired, and no refresh token.
    #[error("PingOne issued an expired token and no refresh token")]
    ExpiredToken,
    /// A failure of this server. The client is not told.
    #[error(transparent)]
    #[strum(transparent)]
    Failure(Failure),
    /// `PingOne` granted none of the requested scopes.
    #[error("PingOne granted none of the requested scopes")]
    NoScopes,
    /// A request to `PingOne` failed, or its tokens cannot be accepted.
    #[error(transparent)]
    #[strum(transparent)]
    PingOne(#[from] PingOneError),
}

impl From<RecordError> for LoginError {
    fn from(error: RecordError) -> Self {
        Self::Failure(error.into())
    }
}

impl LoginError {
    /// The error code and its description, without details of this server's configuration.
    fn for_client(&self) -> (ErrorCode, Cow<'static, str>) {
        const NOT_ACCEPTED: &str =
            "the identity provider's response could not be accepted; the server's log says why";
        let (code, text) = match self {
            Self::Callback { error, .. } => callback_error_for_client(*error),
            Self::Denied => (ErrorCode::AccessDenied, "the user denied the request"),
            Self::ExpiredToken | Self::Failure(_) => (ErrorCode::ServerError, NOT_ACCEPTED),
            Self::NoScopes => {
                (ErrorCode::AccessDenied, "the identity provider granted none of the requested scopes")
            }
            Self::PingOne(PingOneError::IdToken(IdTokenError::Clock(ahead))) => {
                return (ErrorCode::ServerError, clocks_differ(*ahead).into());
            }
            Self::PingOne(PingOneError::PushedRequest(PushError::Request(error))) => {
                callback_error_for_client(*error)
            }
            Self::PingOne(error) if !error.is_transient() => (ErrorCode::ServerError, NOT_ACCEPTED),
            Self::PingOne(PingOneError::AccessToken(_) | PingOneError::IdToken(_)) => (
                ErrorCode::TemporarilyUnavailable,
                "the identity provider's tokens cannot be verified at the moment; try again in a minute",
            ),
            Self::PingOne(_) => (
                ErrorCode::TemporarilyUnavailable,
                "the identity provider is not available at the moment; try again later",
            ),
        };
        (code, text.into())
    }

    /// The error in metrics.
    fn kind(&self) -> &'static str {
        match self {
            Self::Callback { error, .. } => error.into(),
            error => error.into(),
        }
    }

    /// Logs a login that failed at `step`, and records it for the audit.
    pub(crate) fn record(&self, app: &App, trail: &Trail, step: LoginStep) {
        match self {
            Self::Callback { error, said, correlation } => {
                tracing::warn!(%error, said, correlation, "login refused");
            }
            Self::Denied | Self::NoScopes => {
                tracing::warn!(error = %self, "login refused");
            }
            Self::ExpiredToken | Self::Failure(_) | Self::PingOne(_) => {
                tracing::error!(error = %self, "login failed");
            }
        }
        app.login_refused(trail, step, self.kind(), self.to_string());
    }
}

/// The error code and its description for an error of `PingOne`.
const fn callback_error_for_client(error: CallbackError) -> (ErrorCode, &'static str) {
    match error {
        CallbackError::Denied => (ErrorCode::AccessDenied, "the user declined at the identity provider"),
        CallbackError::Interaction | CallbackError::NotLoggedIn => {
            (ErrorCode::AccessDenied, "the login at the identity provider was not completed")
        }
        CallbackError::Failed | CallbackError::Other => (
            ErrorCode::ServerError,
            "the identity provider ended the login with an error; the server's log says which",
        ),
        CallbackError::Request
        | CallbackError::ResponseType
        | CallbackError::Scope
        | CallbackError::Target
        | CallbackError::UnauthorizedClient => (
            ErrorCode::ServerError,
            "the identity provider refuses this server's request; the server's log says why",
        ),
        CallbackError::Unavailable => (
            ErrorCode::TemporarilyUnavailable,
            "the identity provider is temporarily unavailable; try again later",
        ),
    }
}

/// Records an approval.
pub(crate) fn note_approval(app: &App, trail: &Trail, request: &AuthorizationRequest, remembered: bool) {
    app.login_step(trail, Decision::LoginApproved { scopes: request.access.scopes.to_string(), remembered });
}

/// Begins the login `id` for a client's access, and sends the browser to `PingOne` (OpenID Connect Core §3.1.2.1).
pub(crate) async fn begin(
    app: &App,
    id: GrantId,
    trail: &Trail,
    request: AuthorizationRequest,
    client_name: Option<String>,
    now: Timestamp,
) -> Result<Response, LoginError> {
    let log_in_again = request.access.log_in_again;
    let purpose = LoginPurpose::Authorize { request: Box::new(request), client_name };
    let response = send_to_pingone(app, id, trail, purpose, log_in_again, now).await?;
    metrics::login(LoginStep::Pingone, "ok");
    Ok(response)
}

/// Begins the login `id` to *Your agents*. It has no client, and needs no approval.
pub(crate) async fn begin_to_manage(
    app: &App,
    id: GrantId,
    trail: &Trail,
    log_in_again: bool,
    now: Timestamp,
) -> Result<Response, LoginError> {
    send_to_pingone(app, id, trail, LoginPurpose::Manage, log_in_again, now).await
}

async fn send_to_pingone(
    app: &App,
    id: GrantId,
    trail: &Trail,
    purpose: LoginPurpose,
    log_in_again: bool,
    now: Timestamp,
) -> Result<Response, LoginError> {
    let state = records::new_handle::<Login>(app.host(), id, &app.config.keys, now);
    let mut authentication = Authentication::generate(&app.random());
    let redirect_host;
    let (access, login_hint) = match &purpose {
        LoginPurpose::Authorize { request, client_name } => {
            let requested = &request.access;
            let max_age = requested.max_age.map(|seconds| MaxAge { seconds, requested_at: now });
            authentication.max_age = max_age;
            redirect_host = request.target.redirect_uri().host();
            let client_name = client_name.as_deref();
            let access =
                ClientAccess { scopes: &requested.scopes, client_name, redirect_host: &redirect_host };
            (Some(access), requested.login_hint.as_ref())
        }
        LoginPurpose::Manage => (None, None),
    };
    let request = AuthenticationRequest {
        authentication: &authentication,
        state: state.as_str(),
        access,
        log_in_again,
        login_hint,
    };
    let LoginUrl { url, is_pushed } = app.pingone.login_url(app.host(), &app.config, &request).await?;
    // A browser cannot remove `prompt=login` from a pushed request.
    authentication.logged_in_since = (log_in_again && !is_pushed).then_some(now);
    let mut response = redirect(url.as_str());
    let (name, value) = login_cookie(state.as_str(), &app.config.keys);
    set_cookie(&mut response, &name, &value, Handle::LIFETIME);
    records::put_ticket(app.host(), &state, &Login { purpose, authentication }, now).await?;
    app.login_step(trail, Decision::LoginSent);
    Ok(response)
}

/// Sends the browser back to the client with a code (OAuth 2.1 §4.1.2).
pub(crate) fn return_code(
    app: &App,
    trail: &Trail,
    target: &RedirectTarget,
    client_name: Option<&str>,
    code: &Secret<String>,
) -> Response {
    metrics::login(LoginStep::Callback, "ok");
    return_to_client(app, trail, target, &[("code", code.expose())], Ending::Connected(client_name))
}

/// Sends the browser back to the client with an error (OAuth 2.1 §4.1.2.1). Returns a failure of this server instead,
/// since the client is not told.
pub(crate) fn return_error(
    app: &App,
    trail: &Trail,
    target: &RedirectTarget,
    step: LoginStep,
    error: LoginError,
) -> Result<Response, Failure> {
    metrics::login(step, error.kind());
    let (code, text) = error.for_client();
    let ending = Ending::Refused(if matches!(error, LoginError::Denied) { "you denied it" } else { &text });
    match error {
        LoginError::Failure(failure) => return Err(failure),
        LoginError::Denied => app.login_step(trail, Decision::LoginDenied),
        _ => error.record(app, trail, step),
    }
    Ok(return_error_code(app, trail, target, code, &text, ending))
}

/// Sends the browser back to the client with this error code and its description.
pub(crate) fn return_error_code(
    app: &App,
    trail: &Trail,
    target: &RedirectTarget,
    code: ErrorCode,
    text: &str,
    ending: Ending<'_>,
) -> Response {
    let description = trail.with_reference(text);
    let parameters = [("error", code.as_str()), ("error_description", &description)];
    return_to_client(app, trail, target, &parameters, ending)
}

/// The authorization response: a redirect, or a page that opens the application behind a private-use scheme.
fn return_to_client(
    app: &App,
    trail: &Trail,
    target: &RedirectTarget,
    parameters: &[(&str, &str)],
    ending: Ending<'_>,
) -> Response {
    let url = target.response_url(app.config.public_url.issuer(), parameters);
    let uri = target.redirect_uri();
    if !uri.is_private_use() {
        return redirect(&url);
    }
    let page = ReturnPage { reference: trail.reference(), url: &url, scheme: &uri.host(), ending };
    pages::return_to_application(&app.config.brand, page)
}
