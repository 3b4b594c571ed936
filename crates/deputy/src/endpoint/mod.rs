//! One file for each endpoint: it reads the request, decides, writes and responds.
//!
//! A refusal is an error. Each endpoint has one enum of refusals, with one exhaustive `match` from a refusal to its
//! response. [`respond`] logs them.

pub(crate) mod admin;
pub(crate) mod agents;
pub(crate) mod approve;
pub(crate) mod authorize;
pub(crate) mod callback;
pub(crate) mod health;
pub(crate) mod home;
pub(crate) mod mcp;
pub(crate) mod metadata;
pub(crate) mod pingone_events;
pub(crate) mod register;
pub(crate) mod revoke;
pub(crate) mod token;

use std::{fmt::Display, sync::Arc};

use axum::extract::{Request, State};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};

use crate::{
    app::{App, Trail},
    clients::AuthenticationError,
    host::{EndpointKind, RetryAfter},
    http::{BodyError, Initiator, Response, error, read_body, with_retry_after},
    limits,
    metrics::Stopwatch,
    oauth::ErrorCode,
    pages, trace,
};

/// Why an endpoint refuses a request, or cannot serve it.
pub(crate) trait Refusal: Display {
    /// The endpoint in metrics.
    const ENDPOINT: &'static str;

    /// The message of its log line, such as "token request refused".
    const EVENT: &'static str;

    /// The refusal in metrics: a word of this code, never text of a client.
    fn kind(&self) -> &'static str;

    /// The party at fault.
    fn fault(&self) -> Fault<'_>;

    /// The client of the refused request, if its identifier may be logged.
    fn client(&self) -> Option<String> {
        None
    }

    fn response(&self, about: &About<'_>) -> Response;
}

/// The server and the login that a refused request is about.
pub(crate) struct About<'a> {
    pub(crate) app: &'a App,
    pub(crate) trail: &'a Trail,
}

impl About<'_> {
    /// A page that says what happened, and what to do.
    fn page(&self, status: StatusCode, title: &str, text: &str, advice: &str) -> Response {
        pages::message(&self.app.config.brand, self.trail.reference(), status, title, text, advice)
    }
}

/// The party at fault for a refusal. It decides what is logged.
pub(crate) enum Fault<'a> {
    /// The client or the browser.
    Client,
    /// No party: the refusal is part of the protocol, or was logged where it arose. It is logged at the level `debug`.
    Expected,
    /// This server. The cause is for the log only.
    Server(&'a dyn Display),
}

/// The response of an endpoint. Counts the request, and logs a refusal.
pub(crate) async fn respond<E: Refusal>(
    app: &App,
    work: impl Future<Output = Result<Response, E>>,
) -> Response {
    respond_in_login(app, &Trail::default(), work).await
}

/// The response of an endpoint that takes part in a login. `work` enters the login into the trail. A refusal is an audit
/// event of the login, and its response has the login's reference.
pub(crate) async fn respond_in_login<E: Refusal>(
    app: &App,
    trail: &Trail,
    work: impl Future<Output = Result<Response, E>>,
) -> Response {
    let stopwatch = Stopwatch::start();
    let result = work.await;
    let outcome = result.as_ref().map_or_else(Refusal::kind, |_| "ok");
    stopwatch.request(E::ENDPOINT, outcome);
    trace::outcome(outcome);
    result.unwrap_or_else(|refusal| {
        match refusal.fault() {
            Fault::Client => {
                if let Some(client) = refusal.client() {
                    trail.has_client(client, None);
                }
                tracing::info!(error = %refusal, "{}", E::EVENT);
                app.step_refused(trail, refusal.kind(), refusal.to_string());
            }
            Fault::Expected => tracing::debug!(error = %refusal, "{}", E::EVENT),
            Fault::Server(cause) => {
                tracing::error!(error = %cause, "internal failure");
                app.step_refused(trail, refusal.kind(), cause.to_string());
            }
        }
        refusal.response(&About { app, trail })
    })
}

/// Counts a request for its remote address.
pub(crate) async fn admit(app: &App, head: &Parts, endpoint: EndpointKind) -> Result<(), RetryAfter> {
    limits::admit(app.host(), app.config.rate_limits, head, endpoint).await
}

/// Counts a request for its remote address, and reads its whole body.
pub(crate) async fn receive(
    app: &App,
    request: Request,
    endpoint: EndpointKind,
) -> Result<(Parts, Bytes), ReceiveError> {
    let (head, body) = request.into_parts();
    admit(app, &head, endpoint).await.map_err(ReceiveError::RateLimit)?;
    Ok((head, read_body(app.host(), body, LONGEST_BODY).await?))
}

/// Why a request was not received.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum ReceiveError {
    #[error(transparent)]
    #[strum(transparent)]
    Body(#[from] BodyError),
    #[error("too many requests from this address; try again later")]
    RateLimit(RetryAfter),
}

impl ReceiveError {
    pub(crate) const fn fault(&self) -> Fault<'_> {
        match self {
            Self::Body(_) => Fault::Client,
            Self::RateLimit(_) => Fault::Expected,
        }
    }

    /// The response. `code` is the error code for errors of the body.
    pub(crate) fn response(&self, code: ErrorCode) -> Response {
        match self {
            Self::Body(body) => error(body.status(), code, self),
            Self::RateLimit(wait) => too_many_requests(self, *wait),
        }
    }
}

/// RFC 6585 §4.
pub(crate) fn too_many_requests(refusal: impl Display, wait: RetryAfter) -> Response {
    let response = error(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TemporarilyUnavailable, refusal);
    with_retry_after(response, wait)
}

impl AuthenticationError {
    pub(crate) fn fault(&self) -> Fault<'_> {
        match self {
            Self::Record(error) => Fault::Server(error),
            Self::KeysUnavailable | Self::Refused(_) => Fault::Client,
        }
    }

    /// The response: 401 with a challenge if authentication failed (OAuth 2.1 §3.2.4).
    pub(crate) fn response(&self) -> Response {
        let refusal = match self {
            Self::KeysUnavailable => {
                let code = ErrorCode::TemporarilyUnavailable;
                let response = error(StatusCode::SERVICE_UNAVAILABLE, code, self);
                return with_retry_after(response, RetryAfter(60));
            }
            Self::Record(_) => return internal_failure(),
            Self::Refused(refusal) => *refusal,
        };
        let code = refusal.code();
        if code != ErrorCode::InvalidClient {
            return error(StatusCode::BAD_REQUEST, code, refusal);
        }
        let mut response = error(StatusCode::UNAUTHORIZED, code, refusal);
        let challenge = HeaderValue::from_static("Basic realm=\"deputy\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        response
    }
}

/// The JSON response to a failure of this server.
pub(crate) fn internal_failure() -> Response {
    let text = "the server has an internal problem; try again later";
    error(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::TemporarilyUnavailable, text)
}

/// The page for a failure of this server.
pub(crate) fn internal_failure_page(about: &About<'_>) -> Response {
    let text = "The server has an internal problem. This is not your fault.";
    let advice = "Start again in a moment.";
    about.page(StatusCode::SERVICE_UNAVAILABLE, "Something went wrong", text, advice)
}

/// The page for a remote address that begins too many logins (RFC 6585 §4).
fn too_many_logins_page(about: &About<'_>, wait: RetryAfter) -> Response {
    let text = "Too many requests came from your network within a minute.";
    let advice = "Wait a minute, and start again.";
    with_retry_after(about.page(StatusCode::TOO_MANY_REQUESTS, "Too many requests", text, advice), wait)
}

/// The page for a link that is longer than [`LONGEST_QUERY`].
pub(crate) fn too_long_page(about: &About<'_>) -> Response {
    let text = "The link that brought you here is too long.";
    let advice = "Start again from the application.";
    about.page(StatusCode::URI_TOO_LONG, "This link cannot be used", text, advice)
}

/// Whether the headers of a form are those of a page of this server, or absent. The pages have a referrer policy with
/// which browsers send `Origin: null`, so `Sec-Fetch-Site` distinguishes them from pages of other sites.
fn is_from_own_page(app: &App, headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).map(HeaderValue::as_bytes);
    let is_own_origin =
        origin.is_none_or(|origin| origin == b"null" || origin == app.config.public_url.issuer().as_bytes());
    let has_no_metadata = headers.get("sec-fetch-site").is_none();
    is_own_origin && (has_no_metadata || Initiator::of(headers) == Initiator::ThisServer)
}

/// The response to a path that has no endpoint. It names the MCP endpoint for clients that are configured with the origin
/// alone, or with the paths of the transport HTTP+SSE (MCP 2024-11-05).
pub(crate) async fn not_found(State(app): State<Arc<App>>) -> Response {
    let text = format!("this server has no resource at this path; {}", for_mcp_clients(&app));
    error(StatusCode::NOT_FOUND, ErrorCode::InvalidRequest, text)
}

fn for_mcp_clients(app: &App) -> String {
    format!("the URL for MCP clients is {}, {STREAMABLE_HTTP}", app.config.public_url.resource())
}

/// The transport, for users who configure a client.
const STREAMABLE_HTTP: &str = "with the transport Streamable HTTP (often named http), not HTTP+SSE (sse)";

/// The response to a method that an endpoint does not support.
pub(crate) async fn method_not_allowed(State(app): State<Arc<App>>) -> Response {
    let text = format!("{WRONG_METHOD}; {}", for_mcp_clients(&app));
    error(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::InvalidRequest, text)
}

pub(crate) fn wrong_method() -> Response {
    error(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::InvalidRequest, WRONG_METHOD)
}

const WRONG_METHOD: &str = "this resource does not support this method";

/// Bytes of a query.
pub(crate) const LONGEST_QUERY: usize = 16 * 1024;
/// Bytes of a form or a registration.
pub(crate) const LONGEST_BODY: usize = 64 * 1024;
