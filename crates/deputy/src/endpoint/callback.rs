//! `GET /callback`: the browser comes back from `PingOne` (OpenID Connect Core §3.1.2.5).

use std::sync::Arc;

use axum::extract::{Request, State};
use futures_channel::oneshot;
use http::{HeaderMap, Method, StatusCode};

use super::{
    About, Fault, LONGEST_QUERY, Refusal, agents::sign_in, internal_failure_page, respond_in_login,
    too_long_page, wrong_method,
};
use crate::{
    app::{App, Trail},
    grants::{
        Failure, issue,
        login::{self, LoginError},
        revoke::revoke_at_pingone,
    },
    host::{Decision, GrantId, LoginStep, Timestamp},
    http::{Response, cookies, set_cookie},
    oauth::{AuthorizationRequest, Handle, HandleKind, Params, browser_is_bound, login_cookie},
    oidc::{Authentication, CallbackParams, error_code},
    records::{self, Login, LoginPurpose, TicketError},
    secret::Secret,
};

/// Why a login cannot be finished.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum CallbackRefusal {
    #[error(transparent)]
    #[strum(transparent)]
    Failure(#[from] Failure),
    #[error("the method is not GET")]
    Method,
    #[error("The request from PingOne is not a response to a login.")]
    Params,
    #[error("{}", ticket_text(.0))]
    #[strum(transparent)]
    Ticket(#[from] TicketError),
    #[error("the query is too long")]
    TooLong,
}

impl Refusal for CallbackRefusal {
    const ENDPOINT: &'static str = "callback";
    const EVENT: &'static str = "callback refused";

    fn kind(&self) -> &'static str {
        self.into()
    }

    fn fault(&self) -> Fault<'_> {
        match self {
            Self::Failure(failure) => Fault::Server(failure),
            Self::Ticket(TicketError::Record(error)) => Fault::Server(error),
            Self::Method | Self::TooLong => Fault::Expected,
            Self::Params
            | Self::Ticket(
                TicketError::Expired | TicketError::OtherBrowser | TicketError::Unknown | TicketError::Used,
            ) => Fault::Client,
        }
    }

    fn response(&self, about: &About<'_>) -> Response {
        match self {
            Self::Failure(_) | Self::Ticket(TicketError::Record(_)) => internal_failure_page(about),
            Self::Method => wrong_method(),
            Self::Params => unfinished(about, &self.to_string()),
            Self::Ticket(TicketError::Expired | TicketError::OtherBrowser | TicketError::Unknown) => {
                unfinished(about, &self.to_string())
            }
            Self::Ticket(TicketError::Used) => about.page(
                StatusCode::BAD_REQUEST,
                "This login was already finished",
                "PingOne's response to it came before, and counts once.",
                "If the application is connected, there is nothing to do. Otherwise start again from the \
                 application.",
            ),
            Self::TooLong => too_long_page(about),
        }
    }
}

const fn ticket_text(error: &TicketError) -> &'static str {
    match error {
        TicketError::Expired => "This login took longer than ten minutes, and has expired.",
        TicketError::OtherBrowser => {
            "This login was not started in this browser, or the browser did not keep its cookie."
        }
        TicketError::Record(_) => "The login could not be read.",
        TicketError::Unknown => {
            "This login was not started by this server, or the server has a new key since."
        }
        TicketError::Used => "This login was already finished.",
    }
}

fn unfinished(about: &About<'_>, text: &str) -> Response {
    let advice = "Nothing was sent to the application. Start the connection again from the application.";
    about.page(StatusCode::BAD_REQUEST, "The login cannot be finished", text, advice)
}

/// `GET /callback`.
pub(crate) async fn get(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let trail = Arc::new(Trail::default());
    let work = async {
        match head.uri.query().unwrap_or_default() {
            _ if head.method != Method::GET => Err(CallbackRefusal::Method),
            query if query.len() > LONGEST_QUERY => Err(CallbackRefusal::TooLong),
            query => receive_callback(&app, &trail, &head.headers, query).await,
        }
    };
    respond_in_login(&app, &trail, work).await
}

async fn receive_callback(
    app: &Arc<App>,
    trail: &Arc<Trail>,
    headers: &HeaderMap,
    query: &str,
) -> Result<Response, CallbackRefusal> {
    let now = app.now();
    let (config, params) = (&app.config, Params::decode(query.as_bytes()));
    let (Ok(Some(state)), Ok(code), Ok(error), Ok(iss)) =
        (params.one("state"), params.one("code"), params.one("error"), params.one("iss"))
    else {
        return Err(CallbackRefusal::Params);
    };
    let state = Handle::parse(HandleKind::Login, state, &config.keys).ok_or(TicketError::Unknown)?;
    trail.is_of(state.id(), LoginStep::Callback);
    let result =
        CallbackParams::read(code, error, iss, &config.pingone.issuer).ok_or(CallbackRefusal::Params)?;
    // The browser that approved must be the browser that logged in. Otherwise an attacker could approve, and let
    // another user log in.
    let cookies = cookies(headers);
    let is_bound = browser_is_bound("login", state.as_str(), &cookies, &config.keys);
    let Login { purpose, authentication } = records::take_ticket(app.host(), &state, is_bound, now).await?;
    if let LoginPurpose::Authorize { request, client_name } = &purpose {
        trail.has_client(request.target.client_id(), client_name.as_deref());
    }
    let code = match result {
        CallbackParams::Code(code) => {
            app.login_step(trail, Decision::LoginReturned);
            Ok(code)
        }
        CallbackParams::Error(error) => {
            Err(LoginError::Callback { error, said: error_of(&params), correlation: correlation(&params) })
        }
    };
    let mut response = match purpose {
        LoginPurpose::Authorize { request, client_name } => {
            let (target, name) = (request.target.clone(), client_name.clone());
            let code = match code {
                Ok(code) => {
                    let id = state.id();
                    let login = ClientLogin { id, request: *request, client_name, authentication };
                    finish_detached(app, trail, login, code, now).await
                }
                Err(error) => Err(error),
            };
            match code {
                Ok(code) => login::return_code(app, trail, &target, name.as_deref(), &code),
                Err(error) => login::return_error(app, trail, &target, LoginStep::Callback, error)?,
            }
        }
        LoginPurpose::Manage => sign_in::finish(app, trail, code, &authentication, now).await?,
    };
    let (name, _) = login_cookie(state.as_str(), &config.keys);
    set_cookie(&mut response, &name, "", 0);
    Ok(response)
}

/// A login for a client's access, under way.
struct ClientLogin {
    id: GrantId,
    request: AuthorizationRequest,
    client_name: Option<String>,
    authentication: Authentication,
}

/// Finishes a login even if the browser hangs up, so that the tokens of `PingOne` are not lost.
async fn finish_detached(
    app: &Arc<App>,
    trail: &Arc<Trail>,
    login: ClientLogin,
    code: Secret<String>,
    now: Timestamp,
) -> Result<Secret<String>, LoginError> {
    let (done, wait) = oneshot::channel();
    let finish = finish(Arc::clone(app), Arc::clone(trail), login, code, now);
    app.host().detach(Box::pin(async move {
        let _ = done.send(finish.await);
    }));
    wait.await.unwrap_or(Err(LoginError::Failure(Failure::CutOff)))
}

/// Exchanges the code of `PingOne`, verifies the tokens, and issues a code of this server.
async fn finish(
    app: Arc<App>,
    trail: Arc<Trail>,
    login: ClientLogin,
    code: Secret<String>,
    now: Timestamp,
) -> Result<Secret<String>, LoginError> {
    let ClientLogin { id, request, client_name, authentication } = login;
    let tokens = app.pingone.exchange(app.host(), &app.config, &code, &authentication.code_verifier).await?;
    let refresh_token = tokens.refresh_token.clone();
    let issued = async {
        let login = app.pingone.authenticate(app.host(), &app.config, tokens, &authentication, now).await?;
        trail.has_user(&app, &login.user);
        issue::code(&app, id, request, client_name, login, now).await
    };
    let issued = issued.await;
    if issued.is_err() {
        // The refresh token is of no use to a grant, and would stay valid until PingOne lets it expire.
        revoke_at_pingone(&app, refresh_token);
    }
    issued
}

/// The error code of `PingOne` for the log, if it is well-formed.
fn error_of(params: &Params) -> Option<String> {
    params.one("error").ok().flatten().and_then(error_code).map(str::to_owned)
}

/// The id of the event in the audit of `PingOne`, if the description ends with one.
fn correlation(params: &Params) -> Option<String> {
    let (_, id) = params.one("error_description").ok().flatten()?.rsplit_once("Correlation ID: ")?;
    let id = id.get(..36)?;
    id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-').then(|| id.to_owned())
}
