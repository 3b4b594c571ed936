//! The end of a login: a grant, and the code for it.

use super::{login, provider::Authenticated};
use crate::{
    host::{StoreError, Timestamp},
    http::{Answer, redirect},
    mcp::User,
    oauth::{AuthorizationRequest, ErrorCode, Grant, NewGrant, UpstreamTokens},
    oidc::{AccessTokenClaims, TokenResponse},
    records,
    server::Server,
};

/// Creates the grant and sends the browser to the client with a code, or, without a grant, with an error.
pub(super) async fn code(
    server: &Server,
    request: AuthorizationRequest,
    client_name: Option<String>,
    Authenticated { tokens, access, person }: Authenticated,
    now: Timestamp,
) -> Result<Result<Answer, Answer>, StoreError> {
    let AuthorizationRequest { target, terms } = request;
    // No wider than the person approved, and no wider than PingOne granted.
    let scopes = match tokens.scope.as_deref().or(access.scope.as_deref()) {
        Some(granted) => terms.scopes.named_in(granted),
        None => terms.scopes,
    };
    if scopes.is_empty() {
        tracing::warn!(client = target.client_id(), "PingOne granted none of the scopes");
        let text = "the identity provider granted none of the scopes";
        return Ok(Err(login::refused(server, &target, ErrorCode::AccessDenied, text)));
    }
    let upstream = upstream_tokens(tokens, &access, now);
    if upstream.refresh_token.is_none() && upstream.expires_at <= now {
        tracing::error!(client = target.client_id(), "PingOne issued an expired token and no refresh token");
        let text = "the identity provider's answer could not be accepted; the server's log says why";
        return Ok(Err(login::refused(server, &target, ErrorCode::ServerError, text)));
    }
    let new = NewGrant {
        user: User {
            sub: person.sub,
            name: person.name,
            username: person.preferred_username,
            email: person.email,
        },
        client_id: target.client_id().to_owned(),
        client_name,
        redirect_uri: target.redirect_uri().clone(),
        code_challenge: terms.code_challenge,
        scopes,
        upstream,
    };
    let (grant, code) = Grant::issue(new, now, &server.random());
    records::replace_grant(server.host(), &grant, None, now).await?;
    tracing::info!(client = grant.client_id, grant = ?grant.id, "login finished");
    let code = code.render(&server.config.keys);
    Ok(Ok(redirect(&target.answer(server.config.public_url.issuer(), &[("code", code.expose())]))))
}

/// What is kept of a token response that came `now`.
pub(super) fn upstream_tokens(
    tokens: TokenResponse,
    claims: &AccessTokenClaims,
    now: Timestamp,
) -> UpstreamTokens {
    UpstreamTokens {
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token,
        expires_at: now.plus(claims.lifetime(tokens.expires_in)),
        subject: claims.sub.clone(),
    }
}
