//! The revocation endpoint (RFC 7009). Either token ends the whole grant.

use std::sync::Arc;

use axum::extract::{Request, State};
use http::StatusCode;

use super::{About, Fault, ReceiveError, Refusal, internal_failure, receive, respond};
use crate::{
    app::{App, access_of},
    clients::{Authenticated, AuthenticationError, authenticate},
    grants::{
        manage::{self, revoke_ended_grant_with},
        revoke::revoke_at_pingone,
    },
    host::{EndedBy, EndpointKind, Timestamp},
    http::{Response, empty, error, has_media_type},
    oauth::{Client, ErrorCode, Params, ReferenceToken, TokenKind},
    records::{self, RecordError},
};

/// Why a revocation request is refused.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum RevocationError {
    #[error(transparent)]
    #[strum(transparent)]
    Authentication(#[from] AuthenticationError),
    #[error("the body must be application/x-www-form-urlencoded with one token")]
    Form,
    #[error(transparent)]
    #[strum(transparent)]
    Receive(#[from] ReceiveError),
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl Refusal for RevocationError {
    const ENDPOINT: &'static str = "revoke";
    const EVENT: &'static str = "revocation request refused";

    fn kind(&self) -> &'static str {
        self.into()
    }

    fn fault(&self) -> Fault<'_> {
        match self {
            Self::Authentication(refusal) => refusal.fault(),
            Self::Form => Fault::Client,
            Self::Receive(refusal) => refusal.fault(),
            Self::Record(error) => Fault::Server(error),
        }
    }

    fn response(&self, _: &About<'_>) -> Response {
        match self {
            Self::Authentication(refusal) => refusal.response(),
            Self::Record(_) => internal_failure(),
            Self::Form => error(StatusCode::BAD_REQUEST, ErrorCode::InvalidRequest, self),
            Self::Receive(refusal) => refusal.response(ErrorCode::InvalidRequest),
        }
    }
}

/// `POST /revoke`.
pub(crate) async fn post(State(app): State<Arc<App>>, request: Request) -> Response {
    respond(&app, revoke(&app, request)).await
}

async fn revoke(app: &Arc<App>, request: Request) -> Result<Response, RevocationError> {
    let (head, form) = receive(app, request, EndpointKind::Token).await?;
    let now = app.now();
    let params = Params::decode(&form);
    let is_form = has_media_type(&head.headers, "application/x-www-form-urlencoded");
    let token = params.one("token").ok().flatten().filter(|_| is_form).ok_or(RevocationError::Form)?;
    let Authenticated { client, .. } = authenticate(app, &head, &params, now).await?;
    // `token_type_hint` is not needed (RFC 7009 §2.1): a token tells its own kind.
    for kind in [TokenKind::RefreshToken, TokenKind::AccessToken] {
        if let Some(token) = ReferenceToken::parse(kind, token, &app.config.keys) {
            end(app, &client, &token, now).await?;
        }
    }
    // RFC 7009 §2.2: also for a token that is unknown, or another client's.
    Ok(empty(StatusCode::OK))
}

async fn end(
    app: &Arc<App>,
    client: &Client,
    token: &ReferenceToken,
    now: Timestamp,
) -> Result<(), RecordError> {
    // Also a grant that its user has ended: its tokens at PingOne are still to be revoked.
    let stored = records::stored_grant(app.host(), token.grant(), now).await?;
    let Some((grant, _)) = stored else { return Ok(()) };
    if grant.client_id != client.id {
        return Ok(());
    }
    let Some(key) = grant.key_for(token, now) else { return Ok(()) };
    if grant.has_ended() {
        revoke_ended_grant_with(app, grant, key);
        return Ok(());
    }
    manage::remove_and_record(app, access_of(&grant), grant.id, EndedBy::Client, now).await?;
    tracing::info!(client = %client.id, grant = ?grant.id, "grant revoked by its client");
    // Only this grant had the refresh token of PingOne.
    revoke_at_pingone(
        app,
        grant.open_pingone_tokens(&key).and_then(|mut tokens| tokens.refresh_token.take()),
    );
    manage::unindex(app, &grant.user.sub, &[grant.id], now).await;
    Ok(())
}
