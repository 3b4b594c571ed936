//! `GET /callback`: the browser comes back from `PingOne`.

use http::{HeaderMap, StatusCode};

use super::{issue, login};
use crate::{
    host::StoreError,
    http::{Answer, cookies, set_cookie},
    oauth::{ErrorCode, Params, browser_is_bound, login_cookie},
    oidc::{CallbackError, CallbackParams},
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
            let secrets = (
                code.expose().as_str(),
                authentication.code_verifier.as_str(),
                authentication.nonce.as_str(),
            );
            match server.provider.authenticate(server.host(), config, secrets, now).await {
                Ok(authenticated) => issue::code(server, request, client_name, authenticated, now).await?,
                Err(error) => login::failed(server, target, &error),
            }
        }
    };
    let (name, _) = login_cookie(state, &config.keys);
    set_cookie(&mut response, &name, "", 0);
    Ok(response)
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
