//! `POST /approve`: the user's decision on the approval page.

use std::sync::Arc;

use axum::extract::{Request, State};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::{
    About, Fault, LONGEST_BODY, Refusal, authorize::is_remembered, internal_failure_page, is_from_own_page,
    respond_in_login,
};
use crate::{
    app::{App, Trail},
    grants::{
        Failure,
        login::{self, LoginError},
    },
    host::LoginStep,
    http::{BodyError, Response, cookies, read_body, set_cookie},
    metrics,
    oauth::{ApprovedClients, Handle, HandleKind, Params, approval_cookie, browser_is_bound},
    records::{self, Approval, TicketError},
    types::Scopes,
};

/// Why a decision is refused.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum DecisionError {
    #[error(transparent)]
    #[strum(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    #[strum(transparent)]
    Failure(#[from] Failure),
    #[error("The form that was sent is not the one of the approval page.")]
    Form,
    #[error("every scope was left out")]
    NothingLeft,
    #[error("The decision did not come from the approval page.")]
    Origin,
    #[error("{}", ticket_text(.0))]
    #[strum(transparent)]
    Ticket(#[from] TicketError),
}

impl Refusal for DecisionError {
    const ENDPOINT: &'static str = "approve";
    const EVENT: &'static str = "approval refused";

    fn kind(&self) -> &'static str {
        self.into()
    }

    fn fault(&self) -> Fault<'_> {
        match self {
            Self::Body(_)
            | Self::Form
            | Self::NothingLeft
            | Self::Origin
            | Self::Ticket(
                TicketError::Expired | TicketError::OtherBrowser | TicketError::Unknown | TicketError::Used,
            ) => Fault::Client,
            Self::Failure(failure) => Fault::Server(failure),
            Self::Ticket(TicketError::Record(error)) => Fault::Server(error),
        }
    }

    fn response(&self, about: &About<'_>) -> Response {
        let conflict = |title, text| {
            let advice = "If the application is connected, there is nothing to do. Otherwise start again from the application.";
            about.page(StatusCode::CONFLICT, title, text, advice)
        };
        match self {
            Self::Body(error) => about.page(
                error.status(),
                "Not approved",
                "The form is too long, or did not arrive completely.",
                "Start again.",
            ),
            Self::Form | Self::Origin | Self::Ticket(TicketError::OtherBrowser | TicketError::Unknown) => {
                not_approved(about, &self.to_string())
            }
            Self::NothingLeft => about.page(
                StatusCode::BAD_REQUEST,
                "Nothing was approved",
                "You left every box empty.",
                "Go back and check what the application may do, or deny it.",
            ),
            Self::Failure(_) | Self::Ticket(TicketError::Record(_)) => internal_failure_page(about),
            Self::Ticket(TicketError::Expired) => conflict(
                "This page has expired",
                "An approval page can be used for ten minutes, and this one is older.",
            ),
            Self::Ticket(TicketError::Used) => {
                conflict("This page was already used", "The decision was taken before, and counts once.")
            }
        }
    }
}

const fn ticket_text(error: &TicketError) -> &'static str {
    match error {
        TicketError::Expired => "This page has expired.",
        TicketError::OtherBrowser => {
            "This page was not opened in this browser, or the browser did not keep its cookie."
        }
        TicketError::Record(_) => "The approval could not be read.",
        TicketError::Unknown => {
            "The decision did not come from an approval page of this server, or the server has a new key since the page was \
             opened."
        }
        TicketError::Used => "This page was already used.",
    }
}

fn not_approved(about: &About<'_>, text: &str) -> Response {
    let advice = "Start the connection again from the application.";
    about.page(StatusCode::BAD_REQUEST, "Not approved", text, advice)
}

/// `POST /approve`.
pub(crate) async fn post(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let trail = Trail::default();
    let work = async {
        let form = read_body(app.host(), body, LONGEST_BODY).await?;
        decide(&app, &trail, &head.headers, form).await
    };
    respond_in_login(&app, &trail, work).await
}

async fn decide(
    app: &App,
    trail: &Trail,
    headers: &HeaderMap,
    form: Bytes,
) -> Result<Response, DecisionError> {
    let now = app.now();
    let (config, params) = (&app.config, Params::decode(&form));
    let (Ok(Some(handle)), Ok(Some(decision @ ("approve" | "deny" | "read-only")))) =
        (params.one("handle"), params.one("decision"))
    else {
        return Err(DecisionError::Form);
    };
    let handle = Handle::parse(HandleKind::Approval, handle, &config.keys).ok_or(TicketError::Unknown)?;
    trail.is_of(handle.id(), LoginStep::Approval);
    let Ok(account @ (None | Some("other"))) = params.one("account") else { return Err(DecisionError::Form) };
    // A page without boxes, for a single scope, leaves no choice.
    let has_boxes = params.all("choice").next().is_some();
    let chosen = (decision == "approve" && has_boxes).then(|| Scopes::of(params.all("scope")));
    if chosen.as_ref().is_some_and(Scopes::is_empty) {
        return Err(DecisionError::NothingLeft);
    }
    if !is_from_own_page(app, headers) {
        return Err(DecisionError::Origin);
    }
    let cookies = cookies(headers);
    let is_bound = browser_is_bound("approve", handle.as_str(), &cookies, &config.keys);
    let Approval { mut request, client_name } =
        records::take_ticket(app.host(), &handle, is_bound, now).await?;
    trail.has_client(request.target.client_id(), client_name.as_deref());
    let (approval_name, _) = approval_cookie(handle.as_str(), &config.keys);
    let had_cookie = cookies.iter().any(|(name, _)| name == ApprovedClients::COOKIE);
    let mut approved = ApprovedClients::among(&cookies, &config.keys, now);
    let target = request.target.clone();
    let mut step = LoginStep::Approval;
    let login = if decision == "deny" {
        // A denial also removes an earlier approval.
        approved.forget(target.client_id());
        Err(LoginError::Denied)
    } else {
        let chosen =
            if decision == "read-only" { Some(app.catalog.read_only_scopes.clone()) } else { chosen };
        let opened_by = |scopes: &Scopes| app.catalog.opened_by(scopes);
        if chosen.is_some_and(|chosen| !request.access.keep_scopes(&chosen, opened_by)) {
            return Err(DecisionError::Form);
        }
        if account.is_some() {
            request.access.use_another_account();
        }
        if is_remembered(app, &request) {
            approved.add(&request, client_name.as_deref(), now);
        }
        login::note_approval(app, trail, &request, false);
        metrics::login(step, "ok");
        step = LoginStep::Pingone;
        login::begin(app, handle.id(), trail, request, client_name, now).await
    };
    let mut response = match login {
        Ok(response) => response,
        Err(error) => login::return_error(app, trail, &target, step, error)?,
    };
    set_approved_clients(app, &mut response, &approved, had_cookie);
    set_cookie(&mut response, &approval_name, "", 0);
    Ok(response)
}

/// Sets the cookie of remembered approvals, or removes it if there are none any more.
pub(super) fn set_approved_clients(
    app: &App,
    response: &mut Response,
    approved: &ApprovedClients,
    had_cookie: bool,
) {
    if !approved.is_empty() {
        let value = approved.render(&app.config.keys);
        set_cookie(response, ApprovedClients::COOKIE, &value, ApprovedClients::LIFETIME);
    } else if had_cookie {
        set_cookie(response, ApprovedClients::COOKIE, "", 0);
    }
}
