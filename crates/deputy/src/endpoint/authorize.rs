//! The authorization endpoint (OAuth 2.1 §4.1.1): checks the request and asks the user, or continues at once if this
//! browser has approved it before.

use std::sync::Arc;

use axum::extract::{Request, State};
use http::{HeaderMap, Method, StatusCode, request::Parts};

use super::{
    About, Fault, LONGEST_QUERY, Refusal, admit, internal_failure_page, respond_in_login, too_long_page,
    too_many_logins_page, wrong_method,
};
use crate::{
    app::{App, Trail},
    clients::{ClientLookupError, authorizing_client},
    config::ClientApproval,
    encoding::base64url_encode,
    grants::{Failure, login},
    host::{Decision, EndpointKind, GrantId, LoginStep, RetryAfter, Timestamp},
    http::{Initiator, Response, cookies, is_in_background, set_cookie},
    limits::remote_source,
    mcp::ToolSummary,
    metrics,
    oauth::{
        ApprovedClients, AuthorizationRequest, AuthorizeError, Choice, Client, Handle, Params,
        RedirectTarget, RequestError, TargetError, approval_cookie, displayable,
    },
    pages::{self, ApprovalPage, Ending, ScopeChoice},
    records::{self, Approval},
    seal::random_bytes,
    types::ClientId,
};

/// Why an authorization request is refused.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum AuthorizationRefusal {
    #[error("a page of another site sent it in the background")]
    Background,
    #[error("the operator of this server has blocked this client")]
    Blocked(ClientId),
    #[error("{error}")]
    Client { id: String, error: ClientLookupError },
    #[error(transparent)]
    #[strum(transparent)]
    Failure(#[from] Failure),
    #[error("the method is not GET")]
    Method,
    #[error("too many connections were begun from this address")]
    RateLimit(RetryAfter),
    #[error("{error}")]
    Redirect { target: RedirectTarget, error: RequestError },
    #[error(transparent)]
    #[strum(transparent)]
    Target(#[from] TargetError),
    #[error("the query is too long")]
    TooLong,
}

impl Refusal for AuthorizationRefusal {
    const ENDPOINT: &'static str = "authorize";
    const EVENT: &'static str = "authorization request refused";

    fn kind(&self) -> &'static str {
        match self {
            Self::Client { error, .. } => error.into(),
            Self::Redirect { error, .. } => error.into(),
            refusal => refusal.into(),
        }
    }

    fn fault(&self) -> Fault<'_> {
        match self {
            Self::Client { error: ClientLookupError::Record(error), .. } => Fault::Server(error),
            Self::Failure(failure) => Fault::Server(failure),
            Self::Method | Self::RateLimit(_) | Self::TooLong => Fault::Expected,
            Self::Background
            | Self::Blocked(_)
            | Self::Client { .. }
            | Self::Redirect { .. }
            | Self::Target(_) => Fault::Client,
        }
    }

    fn client(&self) -> Option<String> {
        match self {
            // Other text may be a secret in the wrong parameter, and is not logged.
            Self::Client { id, .. } => ClientId::loggable(id).and_then(displayable),
            Self::Blocked(id) => Some(id.to_string()),
            Self::Redirect { target, .. } => Some(target.client_id().to_string()),
            Self::Background
            | Self::Failure(_)
            | Self::Method
            | Self::RateLimit(_)
            | Self::Target(_)
            | Self::TooLong => None,
        }
    }

    fn response(&self, about: &About<'_>) -> Response {
        match self {
            Self::Background => {
                let text = "A page of another site requested this in the background.";
                let advice = "Start the connection from the application.";
                about.page(
                    StatusCode::BAD_REQUEST,
                    "This link cannot be used",
                    text,
                    advice,
                )
            }
            Self::Blocked(_) => {
                let text = "The operator of this server has blocked this application.";
                let advice = "Ask the operator if you need it. Nothing was sent to the application.";
                about.page(StatusCode::FORBIDDEN, "This application cannot be used here", text, advice)
            }
            Self::Client { error: ClientLookupError::Record(_), .. } | Self::Failure(_) => {
                internal_failure_page(about)
            }
            Self::Client { id, error } => {
                // Shown so that the user can find it in the settings of the application.
                let id = ClientId::loggable(id).unwrap_or(id);
                let text = format!("{error} Its client_id is {}", displayable(id).unwrap_or_default());
                about.page(
                    StatusCode::BAD_REQUEST,
                    error.title(),
                    &text,
                    error.advice(),
                )
            }
            Self::Method => wrong_method(),
            Self::RateLimit(wait) => too_many_logins_page(about, *wait),
            Self::Redirect { target, error } => {
                let (text, code) = (error.to_string(), error.code());
                login::return_error_code(about.app, about.trail, target, code, &text, Ending::Refused(&text))
            }
            Self::Target(error) => about.page(
                StatusCode::BAD_REQUEST,
                "This link cannot be used",
                &error.to_string(),
                "Nothing was sent to the application. Start the connection again from the application itself; if \
                 it keeps its registrations, remove this server there first and add it again.",
            ),
            Self::TooLong => too_long_page(about),
        }
    }
}

impl From<AuthorizeError> for AuthorizationRefusal {
    fn from(error: AuthorizeError) -> Self {
        match error {
            AuthorizeError::Page(error) => Self::Target(error),
            AuthorizeError::Redirect { target, error } => Self::Redirect { target, error },
        }
    }
}

/// `GET /authorize`.
pub(crate) async fn get(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let (id, trail) = (app.new_grant_id(), Trail::default());
    trail.is_of(id, LoginStep::Authorize);
    respond_in_login(&app, &trail, authorize(&app, id, &trail, &head)).await
}

async fn authorize(
    app: &App,
    login: GrantId,
    trail: &Trail,
    head: &Parts,
) -> Result<Response, AuthorizationRefusal> {
    let headers = &head.headers;
    // `HEAD` would begin a login without showing its page.
    if head.method != Method::GET {
        return Err(AuthorizationRefusal::Method);
    }
    if is_in_background(headers) {
        return Err(AuthorizationRefusal::Background);
    }
    admit(app, head, EndpointKind::Authorize).await.map_err(AuthorizationRefusal::RateLimit)?;
    let query = head.uri.query().unwrap_or_default();
    if query.len() > LONGEST_QUERY {
        return Err(AuthorizationRefusal::TooLong);
    }
    let now = app.now();
    let params = Params::decode(query.as_bytes());
    let id = AuthorizationRequest::client_id(&params)?;
    let client = authorizing_client(app, id, remote_source(&head.extensions), now)
        .await
        .map_err(|error| AuthorizationRefusal::Client { id: id.to_owned(), error })?;
    trail.has_client(&client.id, client.name.as_deref());
    let mut request = AuthorizationRequest::parse(&params, &client, &app.config)?;
    request.access.approved_tools = Some(app.catalog.opened_by(&request.access.scopes));
    refuse_blocked(app, &request, &client, now).await?;
    app.login_step(trail, Decision::LoginBegun { scopes: request.access.scopes.to_string() });
    let choice = remembered_choice(app, headers, &request, &client);
    if let Some(choice) = choice.as_ref().filter(|choice| is_enough(app, headers, &request, choice))
        && request.access.keep_scopes(&choice.scopes, |scopes| app.catalog.opened_by(scopes))
    {
        request.access.approved_tools = Some(choice.tools.clone());
        let target = request.target.clone();
        login::note_approval(app, trail, &request, true);
        metrics::login(LoginStep::Authorize, "remembered");
        return match login::begin(app, login, trail, request, client.name, now).await {
            Ok(response) => Ok(response),
            Err(error) => Ok(login::return_error(app, trail, &target, LoginStep::Pingone, error)?),
        };
    }
    let page = approval_page(app, login, request, client, choice, now).await?;
    metrics::login(LoginStep::Authorize, "asked");
    Ok(page)
}

/// Refuses a blocked client now, and not after the user has logged in.
async fn refuse_blocked(
    app: &App,
    request: &AuthorizationRequest,
    client: &Client,
    now: Timestamp,
) -> Result<(), AuthorizationRefusal> {
    let blocklist = records::blocklist_copy(app.host(), now).await.map_err(Failure::from)?;
    let is_blocked = blocklist.blocks(&client.id, Some(&request.target.redirect_uri().host()));
    if is_blocked { Err(AuthorizationRefusal::Blocked(client.id.clone())) } else { Ok(()) }
}

/// The approval page. The request waits in an approval record.
async fn approval_page(
    app: &App,
    login: GrantId,
    request: AuthorizationRequest,
    client: Client,
    choice: Option<Choice>,
    now: Timestamp,
) -> Result<Response, Failure> {
    let handle = records::new_handle::<Approval>(app.host(), login, &app.config.keys, now);
    let nonce = base64url_encode(&random_bytes::<16>(&app.random()));
    let readable = request.access.scopes.intersection(&app.catalog.read_only_scopes);
    let new_tools = choice.iter().flat_map(|choice| app.catalog.not_approved(&choice.scopes, &choice.tools));
    let contents = ApprovalPage {
        reference: login.reference(),
        handle: handle.as_str(),
        scopes: scope_choices(app, &request, choice.as_ref()),
        other_tools: titles(app, |tool| tool.scopes.is_empty()),
        new_tools: new_tools.collect(),
        can_be_read_only: !readable.is_empty() && readable != request.access.scopes,
        nonce: &nonce,
        is_remembered: is_remembered(app, &request),
        reveals_token: app.config.api.reveal_token,
    };
    let mut page = pages::approve(&app.config.brand, &request, &client, &contents, &app.wording);
    let (name, value) = approval_cookie(handle.as_str(), &app.config.keys);
    set_cookie(&mut page, &name, &value, Handle::LIFETIME);
    records::put_ticket(app.host(), &handle, &Approval { request, client_name: client.name }, now).await?;
    Ok(page)
}

/// The choice of the user, if this browser has approved exactly this request.
fn remembered_choice(
    app: &App,
    headers: &HeaderMap,
    request: &AuthorizationRequest,
    client: &Client,
) -> Option<Choice> {
    if !is_remembered(app, request) {
        return None;
    }
    let approved = ApprovedClients::among(&cookies(headers), &app.config.keys, app.now());
    approved.choice(request, client.name.as_deref())
}

/// Whether the request needs no page after this choice: the scopes open no tool that is new since, and no page sent the
/// user here. A site that could send a user through without a page could collect codes for a client that it controls.
/// Deputy's own pages count as such a site, since they redirect to URIs that clients chose.
fn is_enough(app: &App, headers: &HeaderMap, request: &AuthorizationRequest, choice: &Choice) -> bool {
    !request.access.ask_again
        && Initiator::of(headers) == Initiator::User
        && app.catalog.not_approved(&choice.scopes, &choice.tools).next().is_none()
}

/// The scopes of a request on the approval page, each with the tools that need it. Scopes that the user declined the last time
/// are unchecked.
fn scope_choices<'a>(
    app: &'a App,
    request: &'a AuthorizationRequest,
    choice: Option<&Choice>,
) -> Vec<ScopeChoice<'a>> {
    let tools_of = |scope: &str| titles(app, |tool| tool.scopes.iter().any(|needed| needed == scope));
    let is_checked = |scope: &str| choice.is_none_or(|choice| choice.scopes.contains(scope));
    let scopes = request.access.scopes.iter();
    scopes.map(|scope| ScopeChoice { scope, is_checked: is_checked(scope), tools: tools_of(scope) }).collect()
}

/// The titles of the tools that `is_meant` selects.
fn titles(app: &App, is_meant: impl Fn(&ToolSummary) -> bool) -> Vec<&str> {
    app.tools.iter().filter(|tool| is_meant(tool)).map(|tool| tool.title.as_str()).collect()
}

/// Whether an approval of this request may be remembered, so that the page is not shown again. The operator allows it
/// for kinds of redirect URIs. It is never allowed for a client whose `client_id` any program can present: one with a
/// metadata document, or a public one of the configuration.
///
/// A browser that a program opened still reports the user as the initiator after a redirect by another site. So a link
/// that the user did not intend may pass without the page, and a new code goes to the client's redirect URI. On a
/// loopback address the code stays on this computer, with a program that the user has approved. A hosted client may
/// have one registration for all of its users, and is safe only if it binds `state` to a session and checks `iss` (RFC
/// 9207). A private-use scheme leads to any application that claims it (RFC 8252 §8.6). These two are remembered with
/// `CLIENT_APPROVAL=remember` only.
pub(super) fn is_remembered(app: &App, request: &AuthorizationRequest) -> bool {
    let admitted = match app.config.client_approval {
        ClientApproval::Always => false,
        ClientApproval::Loopback => request.target.redirect_uri().is_loopback(),
        ClientApproval::Remember => true,
    };
    let is_registered = match request.target.client_id() {
        ClientId::Document(_) => false,
        ClientId::Configured(id) => {
            Client::configured(id, &app.config).is_some_and(|client| client.secret.is_some())
        }
        ClientId::Registered(_) => true,
    };
    let fits = request.access.approved_tools.as_ref().is_none_or(ApprovedClients::has_room_for);
    admitted && is_registered && fits
}
