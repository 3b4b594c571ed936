//! The admin interface: the operator lists and ends grants, blocks clients, and takes records to another store. `docs/admin.md` describes it.

use std::sync::Arc;

use axum::extract::{Request, State};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use url::Host;

use super::{
    About, Fault, LONGEST_QUERY, ReceiveError, Refusal, internal_failure, not_found, receive, respond,
    wrong_method,
};
use crate::{
    app::App,
    encoding::{base64_encode, credentials, hex},
    grants::{
        manage,
        operate::{self, Part, Selection, StoredRecord},
    },
    host::{EndedBy, EndpointKind, GrantId, Page, Timestamp},
    http::{Response, error, has_media_type, json as json_response, list},
    oauth::{ErrorCode, Grant, Params, displayable},
    paths,
    records::{self, Activity, Blocked, RecordError, Subject},
    types::ClientId,
};

/// Why a request to the admin interface is refused.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum AdminError {
    #[error("the export of records is off; set ADMIN_EXPORT=on for the time of a copy")]
    ExportOff,
    #[error("the list of blocked clients is full")]
    Full,
    #[error("this resource does not support this method")]
    Method,
    #[error("there is no such grant, or it has ended")]
    NoGrant,
    #[error("it is not blocked")]
    NotBlocked,
    #[error("{0}")]
    Params(&'static str),
    #[error("this server has no resource at this path")]
    Path,
    #[error(transparent)]
    #[strum(transparent)]
    Receive(#[from] ReceiveError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("the request needs the token of the operator (ADMIN_TOKEN)")]
    Unauthorized,
}

impl Refusal for AdminError {
    const ENDPOINT: &'static str = "admin";
    const EVENT: &'static str = "admin request refused";

    fn kind(&self) -> &'static str {
        self.into()
    }

    fn fault(&self) -> Fault<'_> {
        match self {
            Self::Receive(refusal) => refusal.fault(),
            Self::Record(error) => Fault::Server(error),
            Self::ExportOff
            | Self::Full
            | Self::Method
            | Self::NoGrant
            | Self::NotBlocked
            | Self::Params(_)
            | Self::Path
            | Self::Unauthorized => Fault::Client,
        }
    }

    fn response(&self, _: &About<'_>) -> Response {
        let status = match self {
            Self::ExportOff => StatusCode::FORBIDDEN,
            Self::Full => StatusCode::CONFLICT,
            Self::Method => return wrong_method(),
            Self::NoGrant | Self::NotBlocked | Self::Path => StatusCode::NOT_FOUND,
            Self::Params(_) => StatusCode::BAD_REQUEST,
            Self::Receive(refusal) => return refusal.response(ErrorCode::InvalidRequest),
            Self::Record(_) => return internal_failure(),
            Self::Unauthorized => {
                let mut response = error(StatusCode::UNAUTHORIZED, ErrorCode::InvalidToken, self);
                let challenge = HeaderValue::from_static("Bearer realm=\"deputy admin\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                return response;
            }
        };
        error(status, ErrorCode::InvalidRequest, self)
    }
}

/// Every path below `/admin/v1/`, with any method: a request counts for the rate limit and needs the token before the response
/// tells anything about its path. Without a token in the configuration there is nothing here.
pub(crate) async fn any(State(app): State<Arc<App>>, request: Request) -> Response {
    if app.config.admin_token.is_none() {
        return not_found(State(app)).await;
    }
    respond(&app, serve(&app, request)).await
}

async fn serve(app: &App, request: Request) -> Result<Response, AdminError> {
    // Every request counts, so that guesses of the token do.
    let (head, body) = receive(app, request, EndpointKind::Token).await?;
    authenticate(app, &head.headers)?;
    let path = head.uri.path().strip_prefix(paths::ADMIN).ok_or(AdminError::Path)?;
    let action = match (path.strip_prefix("grants/"), &head.method) {
        (Some(id), &Method::GET | &Method::DELETE) if id != "end" => {
            let id = GrantId::from_hex(id).ok_or(AdminError::NoGrant)?;
            return one_grant(app, id, head.method == Method::DELETE, app.now()).await;
        }
        _ => (path, &head.method),
    };
    let params = match action.1 {
        &Method::GET => {
            let query = head.uri.query().unwrap_or_default();
            if query.len() > LONGEST_QUERY {
                return Err(AdminError::Params("the query is too long"));
            }
            AdminParams::read(query.as_bytes())?
        }
        _ if has_media_type(&head.headers, "application/x-www-form-urlencoded") => AdminParams::read(&body)?,
        _ => return Err(AdminError::Params("the body must be application/x-www-form-urlencoded")),
    };
    let now = app.now();
    let document = match action {
        ("grants", &Method::GET) => {
            let Part { grants, next } =
                operate::list(app, &params.selection()?, params.page(MOST_LISTED)?, now).await?;
            let grants: Vec<_> = grants.iter().map(grant_json).collect();
            json!({ "grants": grants, "next": next.map(|id| hex(&id.0)) })
        }
        ("grants/end", &Method::POST) => {
            let selection = params.selection_to_end()?;
            let Part { grants, next } = operate::end(app, &selection, params.page(MOST_ENDED)?, now).await?;
            let ended: Vec<_> = grants.iter().map(|id| hex(&id.0)).collect();
            json!({ "ended": ended, "next": next.map(|id| hex(&id.0)) })
        }
        ("records", &Method::GET) if !app.config.admin_export => return Err(AdminError::ExportOff),
        ("records", &Method::GET) => {
            let (records, next) = operate::export(app, params.page_alone(most_exported(app))?, now).await?;
            let records: Vec<_> = records.iter().map(record_json).collect();
            json!({ "records": records, "next": next.map(|id| hex(&id.0)) })
        }
        ("blocked", &Method::GET) => {
            let blocklist = records::blocklist(app.host(), now).await?;
            json!({ "blocked": blocklist.entries.iter().map(blocked_json).collect::<Vec<_>>() })
        }
        ("block", &Method::POST) => {
            let subject = params.subject()?;
            if !operate::block(app, &subject, now).await? {
                return Err(AdminError::Full);
            }
            json!({ "blocked": true })
        }
        ("unblock", &Method::POST) => {
            if !operate::unblock(app, &params.subject()?, now).await? {
                return Err(AdminError::NotBlocked);
            }
            json!({ "blocked": false })
        }
        ("grants" | "grants/end" | "records" | "blocked" | "block" | "unblock", _) => {
            return Err(AdminError::Method);
        }
        _ => return Err(AdminError::Path),
    };
    Ok(json_response(StatusCode::OK, &document))
}

/// Shows or ends one grant.
async fn one_grant(app: &App, id: GrantId, ends: bool, now: Timestamp) -> Result<Response, AdminError> {
    let document = if ends {
        manage::end(app, id, None, EndedBy::Operator, now).await?.ok_or(AdminError::NoGrant)?;
        json!({ "ended": [hex(&id.0)] })
    } else {
        let (grant, activity) = operate::show(app, id, now).await?.ok_or(AdminError::NoGrant)?;
        let mut shown = grant_json(&grant);
        shown["use"] = use_json(&activity, now);
        shown
    };
    Ok(json_response(StatusCode::OK, &document))
}

/// Grants in one export. Each is two operations, with the record of its user.
fn most_exported(app: &App) -> usize {
    (app.host().capacity.operations.saturating_sub(OTHER_OPERATIONS) / 2).clamp(1, MOST_EXPORTED)
}

/// Checks the bearer token (RFC 6750 §2.1).
fn authenticate(app: &App, headers: &HeaderMap) -> Result<(), AdminError> {
    let mut all = list(headers, &header::AUTHORIZATION);
    let (Some(presented), None) = (all.next(), all.next()) else {
        return Err(AdminError::Unauthorized);
    };
    let token = credentials(presented, "bearer").ok_or(AdminError::Unauthorized)?;
    let is_operator = app.config.admin_token.as_ref().is_some_and(|expected| expected.is(token));
    if is_operator { Ok(()) } else { Err(AdminError::Unauthorized) }
}

/// The parameters of a request, from its query or its form.
struct AdminParams(Params);

impl AdminParams {
    /// Refuses a parameter with another name. A misspelled selection would select all.
    fn read(text: &[u8]) -> Result<Self, AdminError> {
        const KNOWN: [&str; 7] = ["after", "all", "before", "client", "host", "limit", "user"];
        let params = Params::decode(text);
        if !params.names().all(|name| KNOWN.contains(&name)) {
            return Err(AdminError::Params(
                "the parameters are client, user, host, before, all, after and limit",
            ));
        }
        Ok(Self(params))
    }

    fn one(&self, name: &str) -> Result<Option<&str>, AdminError> {
        self.0.one(name).map_err(|_| AdminError::Params("a parameter is repeated"))
    }

    fn number(&self, name: &str) -> Result<Option<u64>, AdminError> {
        let number = self.one(name)?.map(str::parse).transpose();
        number.map_err(|_| AdminError::Params("before and limit must be whole numbers"))
    }

    fn client(&self) -> Result<Option<ClientId>, AdminError> {
        let client = self.one("client")?.map(ClientId::parse).transpose();
        client.map_err(|_| AdminError::Params("client is not a client_id of this server"))
    }

    /// A host as `RedirectUri::host` gives it: a private-use scheme has a colon at its end.
    fn host(&self) -> Result<Option<String>, AdminError> {
        let is_scheme = |scheme: &str| {
            scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        };
        let canonical = |text: &str| match text.strip_suffix(':') {
            Some(scheme) => is_scheme(scheme).then(|| text.to_ascii_lowercase()),
            None => Host::parse(text).ok().map(|host| host.to_string()),
        };
        let host = self.one("host")?.map(|text| canonical(text).ok_or(AdminError::Params(NOT_A_HOST)));
        host.transpose()
    }

    fn selection(&self) -> Result<Selection, AdminError> {
        Ok(Selection {
            client: self.client()?,
            user: self.one("user")?.map(str::to_owned),
            host: self.host()?,
            before: self.number("before")?.map(Timestamp),
        })
    }

    /// Every grant is selected only by its own parameter.
    fn selection_to_end(&self) -> Result<Selection, AdminError> {
        let selects =
            ["client", "user", "host", "before"].iter().any(|name| self.0.all(name).next().is_some());
        match (selects, self.one("all")?) {
            (true, None) | (false, Some("true")) => self.selection(),
            _ => Err(AdminError::Params(
                "select grants with client, user, host or before, or else with all=true",
            )),
        }
    }

    fn page(&self, most: usize) -> Result<Page, AdminError> {
        let after = self
            .one("after")?
            .map(|id| GrantId::from_hex(id).ok_or(AdminError::Params("after is not a grant")));
        let limit = self.number("limit")?.and_then(|limit| usize::try_from(limit).ok());
        Ok(Page { after: after.transpose()?, limit: limit.map_or(most, |limit| limit.clamp(1, most)) })
    }

    /// A part of a list from which nothing is selected.
    fn page_alone(&self, most: usize) -> Result<Page, AdminError> {
        if self.0.names().all(|name| ["after", "limit"].contains(&name)) {
            self.page(most)
        } else {
            Err(AdminError::Params("the parameters are after and limit"))
        }
    }

    fn subject(&self) -> Result<Subject, AdminError> {
        match (self.client()?, self.host()?) {
            (Some(id), None) => Ok(Subject::Client(id)),
            (None, Some(host)) => Ok(Subject::Host(host)),
            _ => Err(AdminError::Params("one of client and host is needed")),
        }
    }
}

fn grant_json(grant: &Grant) -> Value {
    let name = |name: &Option<String>| name.as_deref().and_then(displayable);
    json!({
        "id": hex(&grant.id.0),
        "user": { "sub": grant.user.sub, "name": name(&grant.user.name) },
        "client": { "id": grant.client_id, "name": name(&grant.client_name), "host": grant.redirect_host },
        "scopes": grant.scopes.to_vec(),
        "declined": grant.declined.to_vec(),
        "created_at": grant.created_at,
        "expires_at": grant.expires_at,
    })
}

fn record_json(StoredRecord { key, record }: &StoredRecord) -> Value {
    json!({
        "kind": key.kind(),
        "name": key.name(),
        "value": base64_encode(&record.value),
        "expires_at": record.expires_at,
    })
}

fn use_json(activity: &Activity, now: Timestamp) -> Value {
    let last = activity.last().map(|(at, tool)| json!({ "at": at, "tool": tool }));
    json!({ "last_call": last, "calls_in_a_day": activity.calls_in_a_day(now) })
}

fn blocked_json(Blocked { subject, since }: &Blocked) -> Value {
    match subject {
        Subject::Client(id) => json!({ "client": id, "since": since }),
        Subject::Host(host) => json!({ "host": host, "since": since }),
    }
}

/// Grants in one list. Each is a subrequest on Workers.
const MOST_LISTED: usize = 100;

/// Grants in one export, if the host has the operations for them.
const MOST_EXPORTED: usize = 50;

/// Operations of an export besides those for grants: the rate limit, the index, the list of blocked clients and the audit event,
/// and some to spare.
const OTHER_OPERATIONS: usize = 10;

/// Grants that one request ends. Each is five subrequests on Workers.
const MOST_ENDED: usize = 20;

const NOT_A_HOST: &str = "host must be a host without scheme, port and path, such as app.example, or a private-use scheme with a colon";
