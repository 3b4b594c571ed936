//! The MCP endpoint: who may enter, and in whose name.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};

use super::{conversation::GrantConversation, upstream::ApiAccess};
use crate::{
    host::{GrantId, RetryAfter, StoreError, Timestamp},
    http::{Answer, BodyError, counted_body, empty, json, list},
    limits::{Excess, with_retry_after},
    mcp::{Caller, Client, Reply},
    oauth::{Access, Grant, ReferenceToken, Scopes, TokenKind},
    records,
    server::Server,
};

pub(crate) async fn mcp(server: &Server, request: Request<Body>) -> Result<Answer, StoreError> {
    let now = server.now();
    let (head, stream) = request.into_parts();
    if !origin_is_allowed(server, &head.headers) {
        return Ok(refused(StatusCode::FORBIDDEN, "the Origin of this request is not allowed"));
    }
    let bearer = match bearer(&head.headers) {
        Ok(bearer) => bearer,
        Err(challenge) => return Ok(unauthorized(server, challenge)),
    };
    let Some((grant, access)) = admitted(server, bearer, now).await? else {
        return Ok(unauthorized(server, Challenge::InvalidToken));
    };
    // There is no stream to open and no session to delete.
    if head.method != Method::POST {
        let mut response = refused(StatusCode::METHOD_NOT_ALLOWED, "the MCP endpoint takes POST");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"));
        return Ok(response);
    }
    let mut counted = match server.concurrent.begin(&grant.user.sub) {
        Ok(counted) => counted,
        Err(excess) => return Ok(too_many(excess, grant.id, "requests")),
    };
    let body = match counted_body(server.host(), stream, BODY, |bytes| counted.takes(bytes)).await {
        Ok(body) => body,
        Err(BodyError::TooMany) => {
            tracing::warn!(grant = ?grant.id, "too many large messages of one person at a time");
            let text = "too many large messages of this person at a time";
            return Ok(with_retry_after(refused(StatusCode::TOO_MANY_REQUESTS, text), RetryAfter(1)));
        }
        Err(error) => return Ok(refused(error.status(), &error.to_string())),
    };
    let conversation = GrantConversation {
        server: server.clone(),
        grant: grant.id,
        key: access.key.clone(),
        parties: parties(&grant),
        admitted_until: access.expires_at,
    };
    let client = Client { id: grant.client_id.clone(), name: grant.client_name.clone() };
    let id = grant.id;
    let (user, api) = (grant.user.clone(), ApiAccess::new(server, grant, access.key, now, counted.answers()));
    let caller = Caller::new(user, client, access.scopes.to_vec(), now, Arc::new(api));
    let answer = match server.front.respond(&head, body, caller, Arc::new(conversation)).await {
        Reply::Response(response) => response,
        Reply::InsufficientScope { required } => insufficient_scope(server, &access.scopes, &required),
        Reply::LoginRequired => unauthorized(server, Challenge::InvalidToken),
    };
    Ok(counted.until_sent(answer).unwrap_or_else(|excess| too_many(excess, id, "open streams")))
}

/// 429 to a user who has too much under way already, 503 where all users together have.
fn too_many(excess: Excess, grant: GrantId, what: &str) -> Answer {
    tracing::warn!(?grant, ?excess, what, "too much is under way at a time");
    let (status, whose, wait) = match excess {
        Excess::All => (StatusCode::SERVICE_UNAVAILABLE, "on this server", 5),
        Excess::User => (StatusCode::TOO_MANY_REQUESTS, "of this person", 1),
    };
    with_retry_after(refused(status, &format!("too many {what} {whose} at a time")), RetryAfter(wait))
}

/// Why a request does not enter.
#[derive(Clone, Copy)]
enum Challenge {
    /// It carries no token (RFC 6750 §3.1: then no error code).
    Missing,
    /// It carries one that is not good, or no longer.
    InvalidToken,
}

/// The token of the `Authorization` header, the one place for it (RFC 6750 §2.1, MCP authorization). Credentials of other
/// schemes are meant for somebody else, such as a proxy; Workers join several such headers with commas.
fn bearer(headers: &HeaderMap) -> Result<&str, Challenge> {
    let mut tokens = list(headers, &header::AUTHORIZATION).filter_map(|credentials| {
        let (scheme, token) = credentials.split_at_checked("bearer".len())?;
        let separated = token.first().is_none_or(|byte| *byte == b' ');
        (scheme.eq_ignore_ascii_case(b"bearer") && separated).then(|| token.trim_ascii())
    });
    let token = tokens.next().ok_or(Challenge::Missing)?;
    if tokens.any(|other| other != token) {
        return Err(Challenge::InvalidToken);
    }
    std::str::from_utf8(token).map_err(|_| Challenge::InvalidToken)
}

/// The grant of a good access token.
async fn admitted(
    server: &Server,
    bearer: &str,
    now: Timestamp,
) -> Result<Option<(Grant, Access)>, StoreError> {
    let Some(token) = ReferenceToken::parse(TokenKind::AccessToken, bearer, &server.config.keys) else {
        return Ok(None);
    };
    let grant = records::grant(server.host(), token.grant(), now).await?;
    Ok(grant.and_then(|(grant, _)| grant.access(&token, now).map(|access| (grant, access))))
}

/// The person and the client, without ambiguity.
fn parties(grant: &Grant) -> Vec<u8> {
    format!("{} {} {}", grant.user.sub.len(), grant.user.sub, grant.client_id).into_bytes()
}

/// Whether a browser may make this request for the page it shows. Programs send no `Origin`.
fn origin_is_allowed(server: &Server, headers: &HeaderMap) -> bool {
    match headers.get(header::ORIGIN).map(HeaderValue::to_str) {
        None => true,
        Some(Ok(origin)) => server.allows_origin(origin),
        Some(Err(_)) => false,
    }
}

/// 401 with what a client needs to find its way (RFC 9728 §5.1, RFC 6750 §3).
fn unauthorized(server: &Server, challenge: Challenge) -> Answer {
    let (error, text) = match challenge {
        Challenge::Missing => ("", "a bearer token is needed"),
        Challenge::InvalidToken => (
            r#"error="invalid_token", error_description="the token is unknown, expired or revoked", "#,
            "log in again",
        ),
    };
    let scopes = &server.config.api.scopes;
    let challenge = format!(r#"Bearer {error}{}, scope="{scopes}""#, resource_metadata(server));
    challenged(StatusCode::UNAUTHORIZED, &challenge, "invalid_token", text)
}

/// 403 with every scope that the next token needs: those asked for now, and those held (MCP authorization, scope
/// challenge).
fn insufficient_scope(server: &Server, held: &Scopes, required: &[String]) -> Answer {
    let missing = required.iter().map(String::as_str).filter(|scope| !held.contains(scope));
    let wanted = Scopes::of(held.iter().chain(missing));
    let text = format!("this needs the scope {}", required.join(" "));
    let challenge = format!(
        r#"Bearer error="insufficient_scope", error_description="{text}", scope="{wanted}", {}"#,
        resource_metadata(server)
    );
    challenged(StatusCode::FORBIDDEN, &challenge, "insufficient_scope", &text)
}

fn resource_metadata(server: &Server) -> String {
    format!(
        r#"resource_metadata="{}""#,
        server.config.public_url.at("/.well-known/oauth-protected-resource/mcp")
    )
}

fn challenged(status: StatusCode, challenge: &str, error: &str, text: &str) -> Answer {
    let mut response = json(status, &serde_json::json!({ "error": error, "error_description": text }));
    // Scopes, URLs and our own texts are visible ASCII.
    if let Ok(challenge) = HeaderValue::try_from(challenge) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn refused(status: StatusCode, text: &str) -> Answer {
    json(status, &serde_json::json!({ "error": "invalid_request", "error_description": text }))
}

/// `OPTIONS`.
pub(crate) fn preflight() -> Answer {
    empty(StatusCode::NO_CONTENT)
}

/// Bytes of a JSON-RPC message.
const BODY: usize = 4 * 1024 * 1024;
