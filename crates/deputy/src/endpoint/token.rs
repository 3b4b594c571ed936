//! The token endpoint (OAuth 2.1 §3.2): codes and refresh tokens become access tokens.

use std::sync::Arc;

use axum::extract::{Request, State};
use http::StatusCode;
use serde_json::json;

use super::{About, Fault, ReceiveError, Refusal, internal_failure, receive, respond_in_login};
use crate::{
    app::{App, Trail, access_of},
    clients::{Authenticated, AuthenticationError, authenticate},
    grants::{
        manage::{self, revoke_ended_grant},
        refresh::current_tokens,
    },
    host::{AuditedAccess, Decision, EndedBy, EndpointKind, GrantId, LoginStep, Timestamp},
    http::{Response, error, has_media_type, json as json_response},
    mcp::ApiError,
    metrics,
    oauth::{
        Client, ClientAuthError, Due, ErrorCode, Grant, Issued, Params, RedeemError, Redemption,
        ReferenceToken, RefreshError, RefreshReason, Refreshed, TokenKind, TokenRequest, TokenRequestError,
    },
    records::{self, MetadataSource, RecordError},
    types::{ClientId, Scopes},
};

/// Why no tokens are issued.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum TokenError {
    #[error(transparent)]
    #[strum(transparent)]
    Authentication(#[from] AuthenticationError),
    #[error("the operator of this server has blocked this client")]
    Blocked,
    #[error("the login at the identity provider has ended")]
    LoginEnded,
    #[error("the body must be application/x-www-form-urlencoded")]
    MediaType,
    #[error(transparent)]
    #[strum(transparent)]
    Receive(#[from] ReceiveError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    #[strum(transparent)]
    Redeem(#[from] RedeemError),
    #[error(transparent)]
    #[strum(transparent)]
    Refresh(#[from] RefreshError),
    #[error(transparent)]
    Request(#[from] TokenRequestError),
}

impl Refusal for TokenError {
    const ENDPOINT: &'static str = "token";
    const EVENT: &'static str = "token request refused";

    fn kind(&self) -> &'static str {
        self.into()
    }

    fn fault(&self) -> Fault<'_> {
        match self {
            Self::Authentication(refusal) => refusal.fault(),
            Self::Receive(refusal) => refusal.fault(),
            Self::Record(error) => Fault::Server(error),
            Self::Blocked
            | Self::LoginEnded
            | Self::MediaType
            | Self::Redeem(_)
            | Self::Refresh(_)
            | Self::Request(_) => Fault::Client,
        }
    }

    fn response(&self, about: &About<'_>) -> Response {
        let code = match self {
            Self::Authentication(refusal) => return refusal.response(),
            Self::Record(_) => return internal_failure(),
            Self::Receive(refusal) => return refusal.response(ErrorCode::InvalidRequest),
            Self::Blocked => ErrorCode::UnauthorizedClient,
            Self::LoginEnded | Self::Redeem(_) => ErrorCode::InvalidGrant,
            Self::MediaType => ErrorCode::InvalidRequest,
            Self::Refresh(refusal) => refusal.code(),
            Self::Request(refusal) => refusal.code(),
        };
        error(StatusCode::BAD_REQUEST, code, about.trail.with_reference(self))
    }
}

/// `POST /token`.
pub(crate) async fn post(State(app): State<Arc<App>>, request: Request) -> Response {
    let trail = Trail::default();
    respond_in_login(&app, &trail, exchange(&app, &trail, request)).await
}

async fn exchange(app: &Arc<App>, trail: &Trail, request: Request) -> Result<Response, TokenError> {
    let (head, form) = receive(app, request, EndpointKind::Token).await?;
    let now = app.now();
    if !has_media_type(&head.headers, "application/x-www-form-urlencoded") {
        return Err(TokenError::MediaType);
    }
    let params = Params::decode(&form);
    // Parsed before the client is authenticated: an unsupported grant type is an error for every client.
    let request = TokenRequest::parse(&params, &app.config)?;
    let token = presented_token(app, trail, &request);
    let Authenticated { client, source, by_key } = authenticate(app, &head, &params, now).await?;
    trail.has_client(&client.id, client.name.as_deref());
    let token = token?;
    let issued = match request {
        TokenRequest::AuthorizationCode { code_verifier, redirect_uri, .. } => {
            let redemption = Redemption { client_id: &client.id, by_key, redirect_uri, code_verifier };
            let issued = redeem(app, &client, &token, &redemption, now).await;
            let outcome = issued.as_ref().map_or_else(Refusal::kind, |_| "ok");
            metrics::login(LoginStep::Redemption, outcome);
            let issued = issued?;
            prolong_client(app, &client, source, now).await;
            issued
        }
        TokenRequest::RefreshToken { scopes, .. } => {
            let (issued, is_new) = refresh(app, (&client, by_key), &token, scopes.as_ref(), now).await?;
            if is_new {
                prolong_client(app, &client, source, now).await;
            }
            issued
        }
    };
    Ok(tokens(app, &issued))
}

/// Parses the code or refresh token of a request, and enters its login into the trail.
fn presented_token(app: &App, trail: &Trail, request: &TokenRequest) -> Result<ReferenceToken, TokenError> {
    let (kind, step, text) = match request {
        TokenRequest::AuthorizationCode { code, .. } => {
            (TokenKind::AuthorizationCode, LoginStep::Redemption, code)
        }
        TokenRequest::RefreshToken { refresh_token, .. } => {
            (TokenKind::RefreshToken, LoginStep::Refresh, refresh_token)
        }
    };
    let unknown = || match step {
        LoginStep::Refresh => TokenError::from(RefreshError::Unknown),
        _ => RedeemError::Unknown.into(),
    };
    let token = ReferenceToken::parse(kind, text.expose(), &app.config.keys).ok_or_else(unknown)?;
    trail.is_of(token.grant(), step);
    Ok(token)
}

/// Redeems a code (OAuth 2.1 §4.1.3).
async fn redeem(
    app: &App,
    client: &Client,
    code: &ReferenceToken,
    redemption: &Redemption<'_>,
    now: Timestamp,
) -> Result<Issued, TokenError> {
    let config = &app.config;
    for _ in 0..records::MOST_RACES {
        let (grant, version) =
            records::grant(app.host(), code.grant(), now).await?.ok_or(RedeemError::Ended)?;
        check_client(app, &grant, client, redemption.by_key)?;
        let access = access_of(&grant);
        let (mut grant, issued) = match grant.redeem(code, redemption, config, now, &app.random()) {
            Ok(redeemed) => redeemed,
            Err(refusal) => {
                if refusal == RedeemError::Replayed {
                    end_replayed(app, access, code.grant(), "a code was replayed", now).await?;
                }
                return Err(refusal.into());
            }
        };
        enter_unless_blocked(app, &mut grant, now).await?;
        if records::replace_grant(app.host(), &grant, Some(version), now).await? {
            // Only the winner of the race enters the index.
            enter_in_user_index(app, &grant, indexed_until(app, now), now).await;
            app.audit(access, Decision::CodeRedeemed);
            tracing::info!(client = %client.id, grant = ?grant.id, "code redeemed");
            return Ok(issued);
        }
    }
    Err(RecordError::Contended("grant").into())
}

/// Refuses the client of a grant if the operator no longer admits it, and if it does not sign an assertion although it has to:
/// otherwise a stolen token would do without the key.
fn check_client(app: &App, grant: &Grant, client: &Client, by_key: bool) -> Result<(), AuthenticationError> {
    if grant.client_id != client.id {
        return Ok(());
    }
    if grant.needs_key && !by_key {
        return Err(ClientAuthError::KeyNeeded.into());
    }
    // The operator chose the redirect URIs of a configured client.
    let is_configured = matches!(client.id, ClientId::Configured(_));
    let admits = |host: &String| app.config.redirect_policy.admits_host(host);
    if !is_configured && !grant.redirect_host.as_ref().is_none_or(admits) {
        return Err(ClientAuthError::NotAdmitted.into());
    }
    Ok(())
}

/// Exchanges a refresh token (OAuth 2.1 §4.3). Returns the tokens, and whether they are new: a client whose response was lost
/// gets the same ones again.
async fn refresh(
    app: &Arc<App>,
    (client, by_key): (&Client, bool),
    token: &ReferenceToken,
    scopes: Option<&Scopes>,
    now: Timestamp,
) -> Result<(Issued, bool), TokenError> {
    let config = &app.config;
    let mut loaded = records::stored_grant(app.host(), token.grant(), now).await?;
    if let Some((grant, _)) = &loaded {
        check_client(app, grant, client, by_key)?;
        match login_status(app, client, token, grant, now).await {
            Login::Lasts => {}
            Login::MayHaveChanged => loaded = records::grant(app.host(), token.grant(), now).await?,
            Login::Ended => return Err(TokenError::LoginEnded),
        }
    }
    // A grant of another client may have ended.
    loaded = loaded.filter(|(grant, _)| !grant.has_ended());
    for _ in 0..records::MOST_RACES {
        let (grant, version) = loaded.ok_or(RefreshError::Ended)?;
        let access = access_of(&grant);
        let refreshed = grant.refresh(token, &client.id, scopes, config, now, &app.random());
        match refreshed {
            Ok(Refreshed::Repeated(issued)) => return Ok((issued, false)),
            Ok(Refreshed::Rotated(mut grant, issued)) => {
                // A grant of an earlier version.
                let opened = || app.catalog.opened_by(&grant.scopes);
                grant.approved_tools = grant.approved_tools.take().or_else(|| Some(opened()));
                if grant.expires_at > grant.listed_until {
                    let listed = enter_unless_blocked(app, &mut grant, now).await;
                    if let Err(TokenError::Blocked) = listed {
                        manage::end(app, grant.id, None, EndedBy::Operator, now).await?;
                    }
                    listed?;
                }
                let leaves_index = grant.expires_at > grant.indexed_until;
                if leaves_index && enter_in_user_index(app, &grant, indexed_until(app, now), now).await {
                    grant.indexed_until = indexed_until(app, now);
                }
                if records::replace_grant(app.host(), &grant, Some(version), now).await? {
                    app.audit(access, Decision::TokensRefreshed);
                    return Ok((issued, true));
                }
            }
            Err(refusal) => {
                if refusal == RefreshError::Replayed {
                    end_replayed(app, access, token.grant(), "a refresh token was replayed", now).await?;
                }
                return Err(refusal.into());
            }
        }
        loaded = records::grant(app.host(), token.grant(), now).await?;
    }
    Err(RecordError::Contended("grant").into())
}

/// The login at `PingOne` behind a grant.
enum Login {
    /// The grant was not written.
    Lasts,
    /// The login lasts. The grant may have been written.
    MayHaveChanged,
    Ended,
}

/// Finds out whether the login at `PingOne` has ended, if its access token is about to expire. A client that learns it now
/// logs in again. Otherwise it would get a token that gives no access to the API.
async fn login_status(
    app: &Arc<App>,
    client: &Client,
    token: &ReferenceToken,
    grant: &Grant,
    now: Timestamp,
) -> Login {
    if grant.client_id != client.id {
        return Login::Lasts;
    }
    if grant.has_ended() {
        revoke_ended_grant(app, grant.clone(), token, now);
        return Login::Ended;
    }
    let Some(key) = grant.refresh_key(token, now) else { return Login::Lasts };
    if grant.pingone.due(RefreshReason::Expiring, now) == Due::Nothing
        && grant.open_pingone_tokens(&key).is_some()
    {
        return Login::Lasts;
    }
    // Any other failure may be temporary, and does not end the login.
    let tokens = current_tokens(app, grant.id, &key, RefreshReason::Expiring).await;
    if tokens.is_err_and(|error| error == ApiError::LoginRequired) {
        Login::Ended
    } else {
        Login::MayHaveChanged
    }
}

/// Enters the grant into the index of all grants, and then refuses a blocked client. An operator who blocks a client and then
/// ends its grants finds this grant, or had blocked the client before its login ends here.
async fn enter_unless_blocked(app: &App, grant: &mut Grant, now: Timestamp) -> Result<(), TokenError> {
    let until = indexed_until(app, now);
    records::enter_in_grant_index(app.host(), &app.config, grant, until, now).await?;
    grant.listed_until = until;
    let blocklist = records::blocklist(app.host(), now).await?;
    let is_blocked = blocklist.blocks(&grant.client_id, grant.redirect_host.as_deref());
    if is_blocked { Err(TokenError::Blocked) } else { Ok(()) }
}

/// Adds the grant to the index of its user. Tokens are issued even if this fails. Then the next refresh tries again.
async fn enter_in_user_index(app: &App, grant: &Grant, until: Timestamp, now: Timestamp) -> bool {
    let entered = async {
        let indexed = records::index_grant(app.host(), &app.config, grant, until, now).await?;
        let sub = &grant.user.sub;
        if let Some(by) = indexed.login_ended {
            manage::end(app, grant.id, Some(sub), by.into(), now).await?;
        }
        if !indexed.surplus.is_empty() {
            for oldest in &indexed.surplus {
                manage::end_without_unindexing(app, *oldest, Some(sub), EndedBy::Limit, now).await?;
            }
            manage::unindex(app, sub, &indexed.surplus, now).await;
        }
        Ok::<_, RecordError>(())
    };
    let entered = entered.await;
    if let Err(error) = &entered {
        tracing::error!(grant = ?grant.id, %error, "a grant could not be added to the index of its user");
    }
    entered.is_ok()
}

/// Prolongs the record of a client that is in use. If this fails, the next use tries again.
async fn prolong_client(app: &App, client: &Client, source: MetadataSource, now: Timestamp) {
    if let Err(error) = records::keep_client(app.host(), &app.config, client, source, now).await {
        tracing::error!(client = %client.id, %error, "a client could not be kept");
    }
}

/// The expiry of an index entry: a grant in use is added again about once in the lifetime of its refresh token.
fn indexed_until(app: &App, now: Timestamp) -> Timestamp {
    now.plus(2 * app.config.refresh_token_lifetime.as_secs())
}

/// Ends a grant of which a token was used twice.
async fn end_replayed(
    app: &App,
    access: AuditedAccess,
    id: GrantId,
    reason: &str,
    now: Timestamp,
) -> Result<(), RecordError> {
    tracing::warn!(grant = ?id, reason, "grant ended");
    manage::remove_and_record(app, access, id, EndedBy::Replay, now).await.map(|_| ())
}

/// The token response (OAuth 2.1 §3.2.3).
fn tokens(app: &App, issued: &Issued) -> Response {
    let keys = &app.config.keys;
    json_response(
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
