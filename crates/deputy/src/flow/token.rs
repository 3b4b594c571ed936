//! `POST /token`: codes and refresh tokens become access tokens.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

use super::{client, refresh::fresh};
use crate::{
    host::{GrantId, StoreError, Timestamp},
    http::{Answer, error, has_media_type, json, list},
    mcp::ApiError,
    oauth::{
        Client, ClientAuthError, ClientCredentials, ErrorCode, Grant, Issued, Params, RedeemError,
        ReferenceToken, RefreshError, RefreshReason, Refreshed, Scopes, TokenKind, TokenRequest,
    },
    records,
    secret::Secret,
    server::Server,
};

pub(crate) async fn token(server: &Server, headers: &HeaderMap, form: Bytes) -> Result<Answer, StoreError> {
    let now = server.now();
    if !has_media_type(headers, "application/x-www-form-urlencoded") {
        let text = "the body must be application/x-www-form-urlencoded";
        return Ok(error(StatusCode::BAD_REQUEST, ErrorCode::InvalidRequest, text));
    }
    let params = Params::decode(&form);
    // What is asked, before who asks: a grant type that is not ours is that for everybody.
    let request = match TokenRequest::parse(&params, &server.config) {
        Ok(request) => request,
        Err(refusal) => return Ok(error(StatusCode::BAD_REQUEST, refusal.code(), refusal)),
    };
    let client = match authenticated(server, headers, &params, now).await? {
        Ok(client) => client,
        Err(refusal) => return Ok(unauthenticated(refusal)),
    };
    match request {
        TokenRequest::AuthorizationCode { code, code_verifier, redirect_uri } => {
            redeem(server, &client, &code, &code_verifier, redirect_uri.as_deref(), now).await
        }
        TokenRequest::RefreshToken { refresh_token, scopes } => {
            refresh(server, &client, &refresh_token, scopes.as_ref(), now).await
        }
    }
}

/// The client of a token or revocation request, authenticated.
pub(super) async fn authenticated(
    server: &Server,
    headers: &HeaderMap,
    params: &Params,
    now: Timestamp,
) -> Result<Result<Client, ClientAuthError>, StoreError> {
    // No list, but several lines of it arrive as one where the runtime joins them.
    let credentials = match ClientCredentials::parse(list(headers, &header::AUTHORIZATION), params) {
        Ok(credentials) => credentials,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let client = client::authenticating(server, credentials.client_id(), now).await?;
    Ok(client
        .ok_or(ClientAuthError::Wrong)
        .and_then(|client| credentials.authenticate(&client).map(|()| client)))
}

/// OAuth 2.1 §3.2.4: 401 and a challenge where authentication failed.
pub(super) fn unauthenticated(refusal: ClientAuthError) -> Answer {
    tracing::info!(%refusal, "client authentication failed");
    let code = refusal.code();
    let status =
        if code == ErrorCode::InvalidClient { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
    let mut response = error(status, code, refusal);
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Basic realm=\"deputy\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

async fn redeem(
    server: &Server,
    client: &Client,
    code: &Secret<String>,
    code_verifier: &Secret<String>,
    redirect_uri: Option<&str>,
    now: Timestamp,
) -> Result<Answer, StoreError> {
    let config = &server.config;
    let Some(code) = ReferenceToken::parse(TokenKind::AuthorizationCode, code.expose(), &config.keys) else {
        return Ok(invalid_grant(RedeemError::Unknown));
    };
    for _ in 0..records::MOST_RACES {
        let Some((grant, version)) = records::grant(server.host(), code.grant(), now).await? else {
            return Ok(invalid_grant(RedeemError::Ended));
        };
        let proof = (client.id.as_str(), redirect_uri, code_verifier.expose().as_str());
        let redeemed = grant.redeem(&code, proof, config, now, &server.random());
        let (grant, issued) = match redeemed {
            Ok(redeemed) => redeemed,
            Err(refusal) => {
                if refusal == RedeemError::Replayed {
                    end(server, code.grant(), "a code was replayed", now).await?;
                }
                return Ok(invalid_grant(refusal));
            }
        };
        if records::replace_grant(server.host(), &grant, Some(version), now).await? {
            // Only the winner of the race enters the index.
            index(server, &grant, indexed_until(server, now), now).await;
            keep(server, client, now).await;
            tracing::info!(client = client.id, grant = ?grant.id, "code redeemed");
            return Ok(tokens(server, &issued));
        }
    }
    Err(StoreError("a grant is contended".to_owned()))
}

async fn refresh(
    server: &Server,
    client: &Client,
    token: &Secret<String>,
    scopes: Option<&Scopes>,
    now: Timestamp,
) -> Result<Answer, StoreError> {
    let config = &server.config;
    let Some(token) = ReferenceToken::parse(TokenKind::RefreshToken, token.expose(), &config.keys) else {
        return Ok(invalid_grant("the refresh token is unknown"));
    };
    if upstream_has_ended(server, client, &token, now).await? {
        return Ok(invalid_grant("the login at the identity provider has ended"));
    }
    for _ in 0..records::MOST_RACES {
        let Some((grant, version)) = records::grant(server.host(), token.grant(), now).await? else {
            return Ok(invalid_grant("the refresh token is unknown, expired or revoked"));
        };
        let refreshed = grant.refresh(&token, (&client.id, scopes), config, now, &server.random());
        match refreshed {
            Ok(Refreshed::Again(issued)) => return Ok(tokens(server, &issued)),
            Ok(Refreshed::Rotated(mut grant, issued)) => {
                let leaves_index = grant.expires_at > grant.indexed_until;
                if leaves_index && index(server, &grant, indexed_until(server, now), now).await {
                    grant.indexed_until = indexed_until(server, now);
                }
                if records::replace_grant(server.host(), &grant, Some(version), now).await? {
                    keep(server, client, now).await;
                    return Ok(tokens(server, &issued));
                }
            }
            Err(refusal @ (RefreshError::Answered(_) | RefreshError::Scope(_))) => {
                return Ok(error(StatusCode::BAD_REQUEST, ErrorCode::InvalidScope, refusal));
            }
            Err(refusal) => {
                if refusal == RefreshError::Replayed {
                    end(server, token.grant(), "a refresh token was replayed", now).await?;
                }
                return Ok(invalid_grant(refusal));
            }
        }
    }
    Err(StoreError("a grant is contended".to_owned()))
}

/// Whether the tokens of `PingOne` are at their end, found out when they are about to expire. A client that is told so
/// now logs in again; told later, it would hold a token that opens nothing.
async fn upstream_has_ended(
    server: &Server,
    client: &Client,
    token: &ReferenceToken,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some((grant, _)) = records::grant(server.host(), token.grant(), now).await? else { return Ok(false) };
    if grant.client_id != client.id {
        return Ok(false);
    }
    let Some(key) = grant.refresh_key(token, now) else { return Ok(false) };
    // Any other failure may pass, and is no reason to lose a session.
    let tokens = fresh(server, grant.id, &key, RefreshReason::Expiring).await;
    Ok(tokens.is_err_and(|error| error == ApiError::LoginRequired))
}

/// Enters the grant into its person's index. Its tokens are issued whether or not this works; if not, the next refresh
/// tries it again.
async fn index(server: &Server, grant: &Grant, until: Timestamp, now: Timestamp) -> bool {
    let entered = records::index_grant(server.host(), &server.config, grant, until, now).await;
    if let Err(error) = &entered {
        tracing::error!(grant = ?grant.id, %error, "a grant could not be entered into its person's index");
    }
    entered.is_ok()
}

/// Keeps the client for as long as it is used. If that does not work, the next use does it.
async fn keep(server: &Server, client: &Client, now: Timestamp) {
    if let Err(error) = records::keep_client(server.host(), &server.config, client, now).await {
        tracing::error!(client = client.id, %error, "a client could not be kept");
    }
}

/// Long enough that a grant in use is entered anew about once in its refresh token's lifetime.
fn indexed_until(server: &Server, now: Timestamp) -> Timestamp {
    now.plus(2 * server.config.refresh_token_lifetime.as_secs())
}

async fn end(server: &Server, id: GrantId, reason: &str, now: Timestamp) -> Result<(), StoreError> {
    tracing::warn!(grant = ?id, reason, "grant ended");
    records::end_grant(server.host(), id, now).await
}

/// OAuth 2.1 §3.2.3.
fn tokens(server: &Server, issued: &Issued) -> Answer {
    let keys = &server.config.keys;
    json(
        StatusCode::OK,
        &json!({
            "access_token": issued.access_token.render(keys).expose(),
            "token_type": "Bearer",
            "expires_in": issued.expires_in,
            "refresh_token": issued.refresh_token.render(keys).expose(),
            "scope": issued.scopes.to_string(),
        }),
    )
}

fn invalid_grant(refusal: impl ToString) -> Answer {
    let refusal = refusal.to_string();
    tracing::info!(refusal, "token request refused");
    error(StatusCode::BAD_REQUEST, ErrorCode::InvalidGrant, refusal)
}
