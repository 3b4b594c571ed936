//! `GET /callback`: the browser comes back from `PingOne`.

use http::{HeaderMap, StatusCode};

use super::{issue, login, revoke::give_back};
use crate::{
    host::{StoreError, Timestamp},
    http::{Answer, cookies, set_cookie},
    oauth::{AuthorizationRequest, ErrorCode, Params, browser_is_bound, login_cookie},
    oidc::{CallbackError, CallbackParams, TokenResponse},
    pages,
    records::{self, Login},
    server::Server,
};

pub(crate) async fn callback(
    server: &Server,
    headers: &HeaderMap,
    query: &str,
) -> Result<Answer, StoreError> {
    let now = server.now();
    let (config, params) = (&server.config, Params::decode(query.as_bytes()));
    let (Ok(Some(state)), Ok(code), Ok(error), Ok(iss)) =
        (params.one("state"), params.one("code"), params.one("error"), params.one("iss"))
    else {
        return Ok(refused("What PingOne sent back is not an answer to a login."));
    };
    let Some(answer) = CallbackParams::read(code, error, iss, &config.upstream.issuer) else {
        return Ok(refused("What PingOne sent back is not an answer to a login."));
    };
    // The browser that approved must be the browser that logged in: otherwise an attacker could approve, and send a
    // person the rest of the way.
    if state.len() != STATE || !browser_is_bound("login", state, &cookies(headers), &config.keys) {
        return Ok(refused("This login was not started in this browser."));
    }
    let Some(Login { request, client_name, authentication }) =
        records::take_ticket(server.host(), state, now).await?
    else {
        return Ok(refused("This login was finished before, or took longer than ten minutes."));
    };
    let target = &request.target;
    let mut response = match answer {
        CallbackParams::Error(error) => {
            let (said, correlation) = (said(&params), correlation(&params));
            tracing::warn!(client = target.client_id(), %error, said, correlation, "login refused");
            login::refused(server, target, code_for(error), &error.to_string())
        }
        CallbackParams::Code(code) => {
            let secrets = (code.expose().as_str(), authentication.code_verifier.as_str());
            match server.provider.exchange(server.host(), config, secrets).await {
                Ok(tokens) => {
                    finish(server, request, client_name, tokens, &authentication.nonce, now).await?
                }
                Err(error) => login::failed(server, target, &error),
            }
        }
    };
    let (name, _) = login_cookie(state, &config.keys);
    set_cookie(&mut response, &name, "", 0);
    Ok(response)
}

/// Ends a login with what PingOne issued for it.
async fn finish(
    server: &Server,
    request: AuthorizationRequest,
    client_name: Option<String>,
    tokens: TokenResponse,
    nonce: &str,
    now: Timestamp,
) -> Result<Answer, StoreError> {
    let refresh_token = tokens.refresh_token.clone();
    let target = request.target.clone();
    let answer = match server.provider.authenticated(server.host(), &server.config, tokens, nonce, now).await
    {
        Ok(authenticated) => issue::code(server, request, client_name, authenticated, now).await,
        Err(error) => Ok(Err(login::failed(server, &target, &error))),
    };
    if !matches!(answer, Ok(Ok(_))) {
        // It opens the API for as long as PingOne likes, and nobody will use it.
        give_back(server, refresh_token);
    }
    answer.map(|issued| issued.unwrap_or_else(|refused| refused))
}

const fn code_for(error: CallbackError) -> ErrorCode {
    match error {
        CallbackError::Denied | CallbackError::NotLoggedIn => ErrorCode::AccessDenied,
        CallbackError::Failed => ErrorCode::ServerError,
        CallbackError::Unavailable => ErrorCode::TemporarilyUnavailable,
    }
}

/// PingOne's own code, for the log, if it is one.
fn said(params: &Params) -> Option<&str> {
    let is_code = |code: &&str| code.len() <= 40 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    params.one("error").ok().flatten().filter(is_code)
}

/// By which PingOne's audit finds what happened, if the description ends with it.
fn correlation(params: &Params) -> Option<&str> {
    let (_, id) = params.one("error_description").ok().flatten()?.rsplit_once("Correlation ID: ")?;
    let id = id.get(..36)?;
    id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-').then_some(id)
}

fn refused(text: &str) -> Answer {
    tracing::info!(reason = text, "callback refused");
    let advice = "Nothing was sent to the application. Start the connection again from the application.";
    pages::message(StatusCode::BAD_REQUEST, "The login cannot be finished", text, advice)
}

const STATE: usize = 43;
