//! The MCP endpoint: authorizes a request, and passes it to the MCP server on behalf of its user.
//!
//! Every 401 and 403 of the endpoint is an [`McpError`] and is rendered here. Most are decided here, before the MCP
//! server. A [`Challenge`] comes from the MCP server, which knows the scopes that a tool needs, and whether the API
//! call of a tool found the login ended.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::{About, Fault, Refusal, STREAMABLE_HTTP, internal_failure, respond};
use crate::{
    app::App,
    encoding::credentials,
    grants::{api::ApiClient, manage::revoke_ended_grant, request_grant::StoredGrant},
    host::{RefusedBecause, RetryAfter, Timestamp},
    http::{BodyError, Response, error, list, read_counted_body, with_retry_after},
    limits::Excess,
    mcp::{Caller, Challenge, Client, RequestGrant as _},
    oauth::{ErrorCode, Grant, ReferenceToken, TokenKind, ValidAccessToken},
    paths,
    records::{self, RecordError},
    trace,
    types::Scopes,
};

/// Why an MCP request is refused.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum McpError {
    #[error(transparent)]
    #[strum(transparent)]
    Body(#[from] BodyError),
    #[error("the token lacks a scope that this needs")]
    InsufficientScope { held: Scopes, required: Vec<String> },
    #[error("the login of this application has ended or was revoked; log in again in the application")]
    InvalidToken,
    #[error("the MCP endpoint takes POST; configure the client {STREAMABLE_HTTP}")]
    Method,
    #[error("this is an MCP server: add its URL to an application that speaks MCP, and log in there")]
    MissingToken,
    #[error("this is new since the user approved the client and needs another approval")]
    NotApproved { held: Scopes, required: Vec<String> },
    #[error("the Origin of this request is not allowed")]
    Origin,
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("too many {what} at a time")]
    TooMany { excess: Excess, what: &'static str },
}

impl Refusal for McpError {
    const ENDPOINT: &'static str = "mcp";
    const EVENT: &'static str = "MCP request refused";

    fn kind(&self) -> &'static str {
        self.into()
    }

    fn fault(&self) -> Fault<'_> {
        match self {
            Self::Body(_)
            | Self::InsufficientScope { .. }
            | Self::InvalidToken
            | Self::MissingToken
            | Self::NotApproved { .. }
            | Self::TooMany { .. } => Fault::Expected,
            Self::Method | Self::Origin => Fault::Client,
            Self::Record(error) => Fault::Server(error),
        }
    }

    fn response(&self, about: &About<'_>) -> Response {
        let app = about.app;
        match self {
            Self::Body(BodyError::TooMany) => {
                let text = "too many large messages of this user at a time";
                with_retry_after(invalid_request(StatusCode::TOO_MANY_REQUESTS, text), RetryAfter(1))
            }
            Self::Body(error) => invalid_request(error.status(), &error.to_string()),
            Self::InsufficientScope { held, required } => {
                let text = format!("this needs the scope {}", required.join(" "));
                insufficient_scope(app, held, required, &text)
            }
            Self::InvalidToken => {
                let error = r#"error="invalid_token", error_description="the token is unknown, expired or revoked", "#;
                unauthorized(app, error, self)
            }
            Self::Method => {
                let mut response = invalid_request(StatusCode::METHOD_NOT_ALLOWED, &self.to_string());
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"));
                response
            }
            // RFC 6750 §3.1: the challenge to a request without a token has no error code.
            Self::MissingToken => unauthorized(app, "", self),
            Self::NotApproved { held, required } => {
                insufficient_scope(app, held, required, &self.to_string())
            }
            Self::Origin => invalid_request(StatusCode::FORBIDDEN, &self.to_string()),
            Self::Record(_) => internal_failure(),
            Self::TooMany { excess, what } => {
                let (status, whose, wait) = match excess {
                    Excess::All => (StatusCode::SERVICE_UNAVAILABLE, "on this server", 5),
                    Excess::User => (StatusCode::TOO_MANY_REQUESTS, "of this user", 1),
                };
                let text = format!("too many {what} {whose} at a time");
                with_retry_after(invalid_request(status, &text), RetryAfter(wait))
            }
        }
    }
}

/// `/mcp` with any method.
pub(crate) async fn any(State(app): State<Arc<App>>, request: Request) -> Response {
    respond(&app, serve(&app, request)).await
}

async fn serve(app: &Arc<App>, request: Request<Body>) -> Result<Response, McpError> {
    let now = app.now();
    let (head, body) = request.into_parts();
    if !origin_is_allowed(app, &head.headers) {
        return Err(McpError::Origin);
    }
    let changes = app.changes.count();
    let (grant, access) = authorize(app, bearer_token(&head.headers)?, now).await?;
    // This server has no stream to open with `GET`, and no session to end with `DELETE`.
    if head.method != Method::POST {
        return Err(McpError::Method);
    }
    let id = grant.id;
    trace::grant(id);
    let request_grant = Arc::new(StoredGrant::new(app, &grant, &access, (changes, now)));
    let refused = || request_grant.refuse_call(None, RefusedBecause::TooMany);
    let too_many = |excess, what| {
        tracing::warn!(grant = ?id, ?excess, what, "too much is under way at a time");
        McpError::TooMany { excess, what }
    };
    let mut permit = app
        .concurrency
        .begin(&grant.user.sub)
        .map_err(|excess| too_many(excess, "requests"))
        .inspect_err(|_| refused())?;
    let body = read_counted_body(app.host(), body, LONGEST_MESSAGE, |bytes| permit.takes(bytes)).await;
    let body = body.inspect_err(|error| {
        if *error == BodyError::TooMany {
            tracing::warn!(grant = ?id, "too many large messages of one user at a time");
            refused();
        }
    })?;
    let client = Client { id: grant.client_id.to_string(), name: grant.client_name.clone() };
    let (user, declined) = (grant.user.clone(), grant.declined.to_vec());
    let api = Arc::new(ApiClient::new(app, grant, access.key, now, permit.api_responses()));
    let caller = Caller::new(user, client, access.scopes.to_vec(), now, api).declining(declined);
    // Boxed, so that the future of a refused request stays small.
    let response =
        Box::pin(app.mcp.respond(&head, body, caller, request_grant)).await.map_err(|challenge| {
            match challenge {
                Challenge::InsufficientScope { required } => {
                    McpError::InsufficientScope { held: access.scopes, required }
                }
                Challenge::NotApproved { required } => {
                    McpError::NotApproved { held: access.scopes, required }
                }
                Challenge::LoginRequired => McpError::InvalidToken,
            }
        })?;
    // The call of a tool is in the audit log already, so a refused stream adds no event.
    permit.until_sent(response).map_err(|excess| too_many(excess, "open streams"))
}

/// The token of the `Authorization` header, the only place where it is accepted (RFC 6750 §2.1, MCP authorization).
/// Ignores credentials of other schemes, which may be for a proxy. Workers join repeated headers with commas.
fn bearer_token(headers: &HeaderMap) -> Result<&str, McpError> {
    let mut tokens =
        list(headers, &header::AUTHORIZATION).filter_map(|presented| credentials(presented, "bearer"));
    let token = tokens.next().ok_or(McpError::MissingToken)?;
    if tokens.any(|other| other != token) {
        return Err(McpError::InvalidToken);
    }
    std::str::from_utf8(token).map_err(|_| McpError::InvalidToken)
}

/// The grant of an access token, and the access that the token gives.
async fn authorize(
    app: &Arc<App>,
    bearer: &str,
    now: Timestamp,
) -> Result<(Grant, ValidAccessToken), McpError> {
    let token = ReferenceToken::parse(TokenKind::AccessToken, bearer, &app.config.keys)
        .ok_or(McpError::InvalidToken)?;
    let stored = records::stored_grant(app.host(), token.grant(), now).await?;
    let (grant, _) = stored.ok_or(McpError::InvalidToken)?;
    if grant.has_ended() {
        revoke_ended_grant(app, grant, &token, now);
        return Err(McpError::InvalidToken);
    }
    let access = grant.validate_access_token(&token, now).ok_or(McpError::InvalidToken)?;
    Ok((grant, access))
}

/// Whether the origin of the request is allowed. Clients that are not web pages send no `Origin`.
fn origin_is_allowed(app: &App, headers: &HeaderMap) -> bool {
    match headers.get(header::ORIGIN).map(HeaderValue::to_str) {
        None => true,
        Some(Ok(origin)) => app.allows_origin(origin),
        Some(Err(_)) => false,
    }
}

/// 401 with the metadata URL by which a client finds the authorization server (RFC 9728 §5.1, RFC 6750 §3).
fn unauthorized(app: &App, error: &str, refusal: &McpError) -> Response {
    let (scopes, url, path) = (&app.config.api.scopes, &app.config.public_url, paths::RESOURCE_METADATA);
    let challenge = format!(r#"Bearer {error}resource_metadata="{url}{path}", scope="{scopes}""#);
    challenged(StatusCode::UNAUTHORIZED, challenge, ErrorCode::InvalidToken, &refusal.to_string())
}

/// 403 with every scope that the next token needs: the required ones, and those of this token (MCP authorization, scope
/// challenge).
fn insufficient_scope(app: &App, held: &Scopes, required: &[String], text: &str) -> Response {
    let missing = required.iter().map(String::as_str).filter(|scope| !held.contains(scope));
    let wanted = Scopes::of(held.iter().chain(missing));
    let (url, path) = (&app.config.public_url, paths::RESOURCE_METADATA);
    let challenge = format!(
        r#"Bearer error="insufficient_scope", error_description="{text}", scope="{wanted}", resource_metadata="{url}{path}""#
    );
    // Clients that do not ask for more scopes show the body; some of them refresh their tokens and give up. A client that the
    // user has disconnected starts a new login. Some read the challenge up to a comma.
    let agents = url.at(paths::AGENTS);
    let text = format!(
        "{text}: connect this server again in the application, and approve it there. If the application does not offer that, \
         disconnect it first at {agents}"
    );
    challenged(StatusCode::FORBIDDEN, challenge, ErrorCode::InsufficientScope, &text)
}

fn challenged(status: StatusCode, challenge: String, code: ErrorCode, text: &str) -> Response {
    let mut response = error(status, code, text);
    // Scopes, URLs and the texts of this server are visible ASCII.
    if let Ok(challenge) = HeaderValue::try_from(challenge) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn invalid_request(status: StatusCode, text: &str) -> Response {
    error(status, ErrorCode::InvalidRequest, text)
}

/// Bytes of a JSON-RPC message.
const LONGEST_MESSAGE: usize = 4 * 1024 * 1024;
