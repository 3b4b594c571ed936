//! The session of *Your agents*. It begins with a login at `PingOne`, and ends after 15 minutes or when the user signs
//! out.

use http::{HeaderMap, StatusCode};

use crate::{
    app::{App, Trail},
    grants::{
        Failure,
        login::{self, LoginError},
        revoke::revoke_at_pingone,
    },
    host::{Decision, LoginStep, Timestamp},
    http::{Response, cookies, redirect, set_cookie},
    oauth::UserSession,
    oidc::Authentication,
    pages::{self, Notice},
    paths,
    records::{self, RecordError},
    secret::Secret,
    types::User,
};

use std::sync::Arc;

/// The page with the button that begins a login.
pub(super) fn sign_in_page(app: &App, status: StatusCode, notice: Option<Notice<'_>>) -> Response {
    pages::sign_in(&app.config.brand, status, notice)
}

/// Sends the browser to `PingOne`. [`finish`] completes the login.
pub(super) async fn sign_in(app: &App, log_in_again: bool, now: Timestamp) -> Result<Response, Failure> {
    let (login, trail) = (app.new_grant_id(), Trail::default());
    trail.is_of(login, LoginStep::Pingone);
    match login::begin_to_manage(app, login, &trail, log_in_again, now).await {
        Ok(response) => Ok(response),
        Err(error) => not_signed_in(app, &trail, LoginStep::Pingone, error),
    }
}

/// Completes a login that [`sign_in`] began. A new session replaces any earlier session of the browser. The response
/// shows the sign-in page or redirects to *Your agents*.
pub(crate) async fn finish(
    app: &Arc<App>,
    trail: &Trail,
    code: Result<Secret<String>, LoginError>,
    authentication: &Authentication,
    now: Timestamp,
) -> Result<Response, Failure> {
    let user = match code {
        Ok(code) => identify(app, &code, authentication, now).await,
        Err(error) => Err(error),
    };
    let user = match user {
        Ok(user) => user,
        Err(error) => return not_signed_in(app, trail, LoginStep::Callback, error),
    };
    trail.has_user(app, &user);
    app.login_step(trail, Decision::SignedIn);
    let session = UserSession::begin(user, now, &app.random());
    let mut response = redirect(&app.config.public_url.at(paths::AGENTS));
    let value = session.render(&app.config.keys, &app.random());
    set_cookie(&mut response, UserSession::COOKIE, &value, UserSession::LIFETIME);
    // PingOne may not have sent the browser back after a sign-off before this login.
    set_cookie(&mut response, SIGNED_OFF, "", 0);
    Ok(response)
}

async fn identify(
    app: &Arc<App>,
    code: &Secret<String>,
    authentication: &Authentication,
    now: Timestamp,
) -> Result<User, LoginError> {
    let (host, config) = (app.host(), &app.config);
    let mut tokens = app.pingone.exchange(host, config, code, &authentication.code_verifier).await?;
    let user = app.pingone.identify(host, config, &tokens, authentication, now).await;
    // No refresh token was requested, but PingOne may be configured to issue it.
    revoke_at_pingone(app, tokens.refresh_token.take());
    Ok(user?)
}

/// Ends a session, in every browser that has its cookie.
pub(super) async fn sign_out(
    app: &App,
    session: &UserSession,
    now: Timestamp,
) -> Result<Response, RecordError> {
    end_session(app, session, now).await?;
    let text = "You are signed out here. Your browser may still be signed in at PingOne.";
    let mut response = sign_in_page(app, StatusCode::OK, Some(Notice::Done(text)));
    set_cookie(&mut response, UserSession::COOKIE, "", 0);
    Ok(response)
}

async fn end_session(app: &App, session: &UserSession, now: Timestamp) -> Result<(), RecordError> {
    let ending = (session.id, session.expires_at());
    records::sign_out(app.host(), &app.config, &session.user.sub, ending, now).await
}

/// Ends a session after every grant of its user, and sends the browser to `PingOne` to be signed off there. Without `PingOne`,
/// the response is the sign-in page.
pub(super) async fn end_session_at_pingone(
    app: &App,
    session: &UserSession,
    now: Timestamp,
) -> Result<Response, RecordError> {
    end_session(app, session, now).await?;
    let url = match app.pingone.discovery(app.host(), &app.config).await {
        Ok(discovery) => discovery.end_session_url(&app.config),
        Err(error) => {
            tracing::warn!(%error, "a user could not be sent to PingOne to be signed off");
            None
        }
    };
    let mut response = match url {
        Some(url) => {
            let mut response = redirect(url.as_str());
            set_cookie(&mut response, SIGNED_OFF, "1", SIGNED_OFF_LIFETIME);
            response
        }
        None => sign_in_page(app, StatusCode::OK, Some(Notice::Done(NOT_SIGNED_OFF))),
    };
    set_cookie(&mut response, UserSession::COOKIE, "", 0);
    Ok(response)
}

/// The sign-in page. A browser that comes back from [`end_session_at_pingone`] is told so, once.
pub(super) fn signed_out_page(app: &App, headers: &HeaderMap) -> Response {
    let signed_off = cookies(headers).iter().any(|(name, _)| name == SIGNED_OFF);
    let mut page = sign_in_page(app, StatusCode::OK, signed_off.then_some(Notice::Done(SENT_TO_SIGN_OFF)));
    if signed_off {
        set_cookie(&mut page, SIGNED_OFF, "", 0);
    }
    page
}

/// The cookie of a browser that is on its way to `PingOne` to be signed off. It proves nothing, and only chooses a sentence.
const SIGNED_OFF: &str = "__Host-mcp-signed-off";
/// Seconds in which the browser comes back.
const SIGNED_OFF_LIFETIME: u64 = 600;

const SENT_TO_SIGN_OFF: &str = "Every application is disconnected, and you are signed out here. PingOne was asked to end your session in \
                                this browser. If PingOne showed an error, you may still be signed in there.";
const NOT_SIGNED_OFF: &str = "Every application is disconnected, and you are signed out here. PingOne could not be asked to end your \
                              session: your browser may still be signed in there.";

/// The page for a login that failed. Returns a failure of this server instead.
fn not_signed_in(app: &App, trail: &Trail, step: LoginStep, error: LoginError) -> Result<Response, Failure> {
    let (status, text) = match error {
        LoginError::Failure(failure) => return Err(failure),
        LoginError::Callback { .. } | LoginError::Denied => {
            (StatusCode::FORBIDDEN, "The sign-in at PingOne was not completed.")
        }
        LoginError::ExpiredToken | LoginError::NoScopes | LoginError::PingOne(_) => {
            (StatusCode::BAD_GATEWAY, "PingOne did not respond as expected. The log of this server says why.")
        }
    };
    error.record(app, trail, step);
    Ok(sign_in_page(app, status, Some(Notice::Problem(&trail.with_reference(text)))))
}
