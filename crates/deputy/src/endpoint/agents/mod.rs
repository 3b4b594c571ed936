//! *Your agents*: a user sees the clients that have access to the API on their behalf, and narrows or ends it.
//!
//! The page needs a session, which a login at `PingOne` begins ([`sign_in`]). A form is accepted only from a page of
//! the same session. The page gives no access, so it asks for no approval.

pub(crate) mod sign_in;

use std::sync::Arc;

use axum::extract::{Request, State};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, request::Parts};

use self::sign_in::{end_session_at_pingone, sign_in, sign_in_page, sign_out, signed_out_page};
use super::{
    About, Fault, LONGEST_BODY, Refusal, admit, approve::set_approved_clients, internal_failure_page,
    is_from_own_page, respond, too_many_logins_page, wrong_method,
};
use crate::{
    app::App,
    encoding::{base64url_decode, base64url_encode},
    grants::{
        Failure,
        manage::{self, ConnectedAgent, NarrowError},
    },
    host::{EndedBy, EndpointKind, GrantId, RetryAfter, Timestamp},
    http::{BodyError, Response, cookies, is_in_background, read_body},
    oauth::{ApprovedClients, Params, UserSession},
    pages::{self, AgentCard, AgentsPage, Notice},
    records::{self, RecordError, UserGrants},
    types::{ClientId, Scopes},
};

/// Why a request to *Your agents* is refused.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum AgentsRefusal {
    #[error("a page of another site sent it in the background")]
    Background,
    #[error(transparent)]
    #[strum(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    #[strum(transparent)]
    Failure(#[from] Failure),
    #[error("the form is not one of this page")]
    Form,
    #[error("the method is not GET or POST")]
    Method,
    #[error("the form did not come from this page")]
    Origin,
    #[error("the form is from the page of another session")]
    OtherSession,
    #[error("too many requests from this address")]
    RateLimit(RetryAfter),
    #[error("there is no session")]
    SignedOut,
}

impl From<RecordError> for AgentsRefusal {
    fn from(error: RecordError) -> Self {
        Self::Failure(error.into())
    }
}

impl Refusal for AgentsRefusal {
    const ENDPOINT: &'static str = "agents";
    const EVENT: &'static str = "request for a user's agents refused";

    fn kind(&self) -> &'static str {
        self.into()
    }

    fn fault(&self) -> Fault<'_> {
        match self {
            Self::Background | Self::Body(_) | Self::Form | Self::Origin | Self::OtherSession => {
                Fault::Client
            }
            Self::Failure(failure) => Fault::Server(failure),
            Self::Method | Self::RateLimit(_) | Self::SignedOut => Fault::Expected,
        }
    }

    fn response(&self, about: &About<'_>) -> Response {
        let unchanged = |text| {
            let advice = "Nothing was changed. Open Your agents again.";
            about.page(StatusCode::BAD_REQUEST, "This form cannot be used", text, advice)
        };
        match self {
            Self::Background => unchanged("A page of another site requested this in the background."),
            Self::Body(error) => about.page(
                error.status(),
                "This form cannot be used",
                "The form is too long, or did not arrive completely.",
                "Nothing was changed. Open Your agents again.",
            ),
            Self::Failure(_) => internal_failure_page(about),
            Self::Form | Self::Origin => unchanged("The form did not come from the page Your agents."),
            Self::Method => wrong_method(),
            Self::OtherSession => unchanged(
                "You have signed out, or signed in again, since the page with this form was opened.",
            ),
            Self::RateLimit(wait) => too_many_logins_page(about, *wait),
            Self::SignedOut => sign_in_page(
                about.app,
                StatusCode::FORBIDDEN,
                Some(Notice::Problem("Your session has ended, and nothing was changed. Sign in again.")),
            ),
        }
    }
}

/// `GET /agents`.
pub(crate) async fn get(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    respond(&app, show(&app, &head)).await
}

/// `POST /agents`.
pub(crate) async fn post(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let result = async {
        admit(&app, &head, EndpointKind::Authorize).await.map_err(AgentsRefusal::RateLimit)?;
        let form = read_body(app.host(), body, LONGEST_BODY).await?;
        act(&app, &head.headers, form).await
    };
    respond(&app, result).await
}

async fn show(app: &App, head: &Parts) -> Result<Response, AgentsRefusal> {
    if head.method != Method::GET {
        return Err(AgentsRefusal::Method);
    }
    if is_in_background(&head.headers) {
        return Err(AgentsRefusal::Background);
    }
    // Together with authorization requests, since both can begin a login.
    admit(app, head, EndpointKind::Authorize).await.map_err(AgentsRefusal::RateLimit)?;
    let now = app.now();
    match session(app, &head.headers, now).await? {
        Some((session, index)) => agents_page(app, &session, &index, None, now).await,
        None => Ok(signed_out_page(app, &head.headers)),
    }
}

async fn act(app: &App, headers: &HeaderMap, form: Bytes) -> Result<Response, AgentsRefusal> {
    let (now, params) = (app.now(), Params::decode(&form));
    if !is_from_own_page(app, headers) {
        return Err(AgentsRefusal::Origin);
    }
    let action = params.one("action").ok().flatten().ok_or(AgentsRefusal::Form)?;
    if let "sign-in" | "other-account" = action {
        return Ok(sign_in(app, action == "other-account", now).await?);
    }
    let (session, index) = session(app, headers, now).await?.ok_or(AgentsRefusal::SignedOut)?;
    let token = params.one("token").ok().flatten().ok_or(AgentsRefusal::Form)?;
    if !session.made_form(token, &app.config.keys) {
        return Err(AgentsRefusal::OtherSession);
    }
    let sub = session.user.sub.as_str();
    let (notice, changed) = match action {
        "end" => {
            let ended = manage::end(app, grant_id(&params)?, Some(sub), EndedBy::User, now).await?;
            let notice = Notice::Done("The application is disconnected. Its next request is refused.");
            ended.map_or((GONE, Changed::Nothing), |grant| (notice, Changed::Client(grant.client_id)))
        }
        "end-all" if params.one("confirm") == Ok(Some("yes")) => {
            manage::end_all(app, sub, now).await?;
            if params.one("sign-off") == Ok(Some("pingone")) {
                let mut response = end_session_at_pingone(app, &session, now).await?;
                forget_approvals(app, headers, &Changed::All, &mut response);
                return Ok(response);
            }
            let text = "Every application is disconnected. Their next requests are refused.";
            (Notice::Done(text), Changed::All)
        }
        "narrow" => {
            let kept = Scopes::of(params.all("scope"));
            narrow(app, sub, grant_id(&params)?, &kept, now).await?
        }
        "read-only" => narrow(app, sub, grant_id(&params)?, &app.catalog.read_only_scopes, now).await?,
        "sign-out" => return Ok(sign_out(app, &session, now).await?),
        _ => return Err(AgentsRefusal::Form),
    };
    // The index was read before the change. The list leaves out entries whose grant has ended.
    let mut response = agents_page(app, &session, &index, Some(notice), now).await?;
    forget_approvals(app, headers, &changed, &mut response);
    Ok(response)
}

/// The clients whose access was changed.
enum Changed {
    All,
    Client(ClientId),
    Nothing,
}

/// Lets this browser forget that it has approved a client whose access was changed: otherwise the client could get the
/// same access again without a page.
fn forget_approvals(app: &App, headers: &HeaderMap, changed: &Changed, response: &mut Response) {
    let cookies = cookies(headers);
    let had_cookie = cookies.iter().any(|(name, _)| name == ApprovedClients::COOKIE);
    let approved = match changed {
        Changed::All => ApprovedClients::default(),
        Changed::Client(client) => {
            let mut approved = ApprovedClients::among(&cookies, &app.config.keys, app.now());
            approved.forget(client);
            approved
        }
        Changed::Nothing => return,
    };
    set_approved_clients(app, response, &approved, had_cookie);
}

async fn narrow(
    app: &App,
    sub: &str,
    id: GrantId,
    kept: &Scopes,
    now: Timestamp,
) -> Result<(Notice<'static>, Changed), AgentsRefusal> {
    match manage::narrow(app, id, sub, kept, now).await {
        Ok(Some(grant)) => {
            let notice = Notice::Done("The application can do only what is listed now.");
            Ok((notice, Changed::Client(grant.client_id)))
        }
        Ok(None) => Ok((GONE, Changed::Nothing)),
        Err(NarrowError::NothingLeft) => {
            let text = "Nothing was changed: keep at least one permission, or disconnect the application.";
            Ok((Notice::Problem(text), Changed::Nothing))
        }
        Err(NarrowError::Record(error)) => Err(error.into()),
    }
}

/// The session of the browser, unless its user has signed out, with the index of the user's grants.
async fn session(
    app: &App,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Option<(UserSession, UserGrants)>, RecordError> {
    let Some(session) = UserSession::among(&cookies(headers), &app.config.keys, now) else {
        return Ok(None);
    };
    let index = records::user_grants(app.host(), &app.config, &session.user.sub, now).await?;
    Ok(Some((session, index)).filter(|(session, index)| !index.has_signed_out(&session.id)))
}

fn grant_id(params: &Params) -> Result<GrantId, AgentsRefusal> {
    let id = params.one("agent").ok().flatten().and_then(base64url_decode::<16>);
    id.map(GrantId).ok_or(AgentsRefusal::Form)
}

async fn agents_page(
    app: &App,
    session: &UserSession,
    index: &UserGrants,
    notice: Option<Notice<'_>>,
    now: Timestamp,
) -> Result<Response, AgentsRefusal> {
    let agents = manage::list_of_user(app, &session.user.sub, index, now).await?;
    let user = &session.user;
    let name = user.name.as_deref().or(user.username.as_deref()).or(user.email.as_deref());
    let page = AgentsPage {
        user: name.unwrap_or(&user.sub),
        notice,
        token: &session.form_token(&app.config.keys),
        agents: agents.iter().map(|agent| card(app, agent, now)).collect(),
    };
    Ok(pages::agents(&app.config.brand, &page, &app.wording))
}

fn card<'a>(app: &App, agent: &'a ConnectedAgent, now: Timestamp) -> AgentCard<'a> {
    let kept = agent.scopes.intersection(&app.catalog.read_only_scopes);
    let tools = app.tools.iter();
    let title_of = |name: &str| {
        let tool = tools.clone().find(|tool| tool.name == name);
        tool.map_or_else(|| name.to_owned(), |tool| tool.title.clone())
    };
    AgentCard {
        id: base64url_encode(&agent.id.0),
        name: agent.client_name.as_deref(),
        document_host: match &agent.client_id {
            ClientId::Document(url) => Some(url.host()),
            ClientId::Configured(_) | ClientId::Registered(_) => None,
        },
        redirect_host: agent.redirect_host.as_deref(),
        is_on_this_computer: matches!(
            agent.redirect_host.as_deref(),
            Some("localhost" | "127.0.0.1" | "[::1]")
        ),
        scopes: agent.scopes.iter().collect(),
        connected: pages::ago(agent.connected_at, now),
        last_call: agent.activity.last().map(|(at, tool)| (pages::ago(at, now), title_of(tool))),
        calls: agent.activity.calls_in_a_day(now),
        can_be_read_only: !kept.is_empty() && kept != agent.scopes,
    }
}

const GONE: Notice<'static> = Notice::Done("That application was already disconnected.");
