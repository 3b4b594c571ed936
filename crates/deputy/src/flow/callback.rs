//! `GET /callback`: the browser comes back from `PingOne`.

use futures_channel::oneshot;
use http::{HeaderMap, StatusCode};

use super::{issue, login, revoke::give_back};
use crate::{
    host::{StoreError, Timestamp},
    http::{Answer, cookies, set_cookie},
    oauth::{ErrorCode, Handle, Params, browser_is_bound, login_cookie},
    oidc::{CallbackError, CallbackParams, error_code},
    pages,
    records::{self, Login, NoTicket},
    secret::Secret,
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
    let cookies = cookies(headers);
    let is_bound = |state: &Handle| browser_is_bound("login", state.as_str(), &cookies, &config.keys);
    let Login { request, client_name, authentication } =
        match records::take_ticket(server.host(), &config.keys, state, is_bound, now).await? {
            Ok(login) => login,
            Err(none) => return Ok(without_login(none)),
        };
    let target = &request.target;
    let mut response = match answer {
        CallbackParams::Error(error) => {
            let (said, correlation) = (said(&params), correlation(&params));
            tracing::warn!(client = target.client_id(), %error, said, correlation, "login refused");
            let (code, text) = for_client(error);
            login::refused(server, target, code, text)
        }
        CallbackParams::Code(code) => {
            // To the end even if the browser hangs up: PingOne issues tokens, and somebody must have them.
            let (done, wait) = oneshot::channel();
            let login = finish(server.clone(), Login { request, client_name, authentication }, code, now);
            server.host().detach(Box::pin(async move {
                let _ = done.send(login.await);
            }));
            wait.await.unwrap_or_else(|_| Err(StoreError("the login was cut off".to_owned())))?
        }
    };
    let (name, _) = login_cookie(state, &config.keys);
    set_cookie(&mut response, &name, "", 0);
    Ok(response)
}

/// Ends a login with what PingOne issues for its code.
async fn finish(
    server: Server,
    login: Login,
    code: Secret<String>,
    now: Timestamp,
) -> Result<Answer, StoreError> {
    let Login { request, client_name, authentication } = login;
    let (host, config, target) = (server.host(), &server.config, request.target.clone());
    let secrets = (code.expose().as_str(), authentication.code_verifier.as_str());
    let tokens = match server.provider.exchange(host, config, secrets).await {
        Ok(tokens) => tokens,
        Err(error) => return Ok(login::failed(&server, &target, &error)),
    };
    let refresh_token = tokens.refresh_token.clone();
    let nonce = authentication.nonce.as_str();
    let issued = match server.provider.authenticated(host, config, tokens, nonce, now).await {
        Ok(authenticated) => issue::code(&server, request, client_name, authenticated, now).await,
        Err(error) => Ok(Err(login::failed(&server, &target, &error))),
    };
    if !matches!(issued, Ok(Ok(_))) {
        // It opens the API for as long as PingOne likes, and nobody will use it.
        give_back(&server, refresh_token);
    }
    issued.map(|issued| issued.unwrap_or_else(|refused| refused))
}

/// The page for a callback that comes without a login that waits for it.
fn without_login(none: NoTicket) -> Answer {
    match none {
        NoTicket::Expired => refused("This login took longer than ten minutes, and has expired."),
        NoTicket::OtherBrowser => {
            refused("This login was not started in this browser, or the browser did not keep its cookie.")
        }
        NoTicket::Unknown => {
            refused("This login was not started by this server, or the server has got a new key since.")
        }
        NoTicket::Used => {
            const USED: &str = "This login was already answered";
            tracing::info!(reason = USED, "callback refused");
            let advice = "If the application is connected, there is nothing to do. Otherwise start again from the \
                          application.";
            pages::message(
                StatusCode::BAD_REQUEST,
                USED,
                "PingOne's answer to it came before, and counts once.",
                advice,
            )
        }
    }
}

/// The text for the client. A client cannot change the configuration of this server, and learns nothing of it.
const fn for_client(error: CallbackError) -> (ErrorCode, &'static str) {
    match error {
        CallbackError::Denied => (ErrorCode::AccessDenied, "the person declined at the identity provider"),
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

/// PingOne's own code, for the log, if it is one.
fn said(params: &Params) -> Option<&str> {
    params.one("error").ok().flatten().and_then(error_code)
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
