//! The result of a login: a grant, and an authorization code for it.

use crate::{
    app::{App, access_of},
    grants::login::LoginError,
    host::{Decision, Digest, GrantId, Timestamp},
    oauth::{AuthorizationRequest, Grant, NewGrant, PingOneTokens},
    oidc::{AccessTokenClaims, TokenResponse},
    pingone::Authenticated,
    records::{self, RecordError},
    seal::digest,
    secret::Secret,
};

/// Stores the grant `id`. Returns the authorization code for the client.
pub(crate) async fn code(
    app: &App,
    id: GrantId,
    request: AuthorizationRequest,
    client_name: Option<String>,
    Authenticated { tokens, access_token, login, user }: Authenticated,
    now: Timestamp,
) -> Result<Secret<String>, LoginError> {
    let AuthorizationRequest { target, access } = request;
    // Scopes that the user approved and PingOne granted.
    let scopes = match tokens.scope.as_deref().or(access_token.scope.as_deref()) {
        Some(granted) => access.scopes.named_in(granted),
        None => access.scopes,
    };
    if scopes.is_empty() {
        return Err(LoginError::NoScopes);
    }
    let pingone_tokens = pingone_tokens(app, tokens, &access_token, now);
    if pingone_tokens.refresh_token.is_none() && pingone_tokens.expires_at <= now {
        return Err(LoginError::ExpiredToken);
    }
    let new = NewGrant {
        id,
        user,
        client_id: target.client_id().clone(),
        needs_key: access.needs_key,
        client_name,
        redirect_uri: target.redirect_uri().clone(),
        code_challenge: access.code_challenge,
        scopes,
        declined: access.declined,
        approved_tools: access.approved_tools,
        login,
        pingone_tokens,
    };
    let (grant, code) = Grant::issue(new, now, &app.random());
    if !records::replace_grant(app.host(), &grant, None, now).await? {
        return Err(RecordError::Contended("grant").into());
    }
    app.audit(access_of(&grant), Decision::GrantIssued { scopes: grant.scopes.to_string() });
    tracing::info!(client = %grant.client_id, grant = ?grant.id, "login finished");
    Ok(code.render(&app.config.keys))
}

/// The part of a token response that a grant keeps. The response came `now`.
pub(super) fn pingone_tokens(
    app: &App,
    tokens: TokenResponse,
    claims: &AccessTokenClaims,
    now: Timestamp,
) -> PingOneTokens {
    // A part of the interval that differs for each token: grants of the same moment are checked at different moments.
    let Digest([part, ..]) = digest("time of a check", tokens.access_token.expose().as_bytes());
    let check_after = |interval| interval + interval / 10 * u64::from(part) / 256;
    PingOneTokens {
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token,
        expires_at: now.plus(claims.lifetime(tokens.expires_in)),
        check_at: app.config.pingone.check_interval.map(|interval| now.plus(check_after(interval))),
        subject: claims.sub.clone(),
    }
}
