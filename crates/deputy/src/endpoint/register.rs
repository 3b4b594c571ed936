//! The client registration endpoint (RFC 7591 §3).

use std::sync::Arc;

use axum::extract::{Request, State};
use http::StatusCode;

use super::{About, Fault, ReceiveError, Refusal, internal_failure, receive, respond, too_many_requests};
use crate::{
    app::App,
    host::{Endpoint, RetryAfter},
    http::{Response, error, has_media_type, json_text},
    oauth::{ErrorCode, MetadataError, RegistrationParams, register},
    records::{self, RecordError},
};

/// Why a client is not registered.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum RegisterError {
    #[error("the operator of this server has blocked the host of a redirect URI")]
    Blocked,
    #[error("the body must be application/json")]
    ContentType,
    #[error("too many requests from this address; try again later")]
    DailyLimit(RetryAfter),
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error(transparent)]
    #[strum(transparent)]
    Receive(#[from] ReceiveError),
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl Refusal for RegisterError {
    const ENDPOINT: &'static str = "register";
    const EVENT: &'static str = "registration refused";

    fn kind(&self) -> &'static str {
        self.into()
    }

    fn fault(&self) -> Fault<'_> {
        match self {
            Self::DailyLimit(_) => Fault::Expected,
            Self::Blocked | Self::ContentType | Self::Metadata(_) => Fault::Client,
            Self::Receive(refusal) => refusal.fault(),
            Self::Record(error) => Fault::Server(error),
        }
    }

    fn response(&self, _: &About<'_>) -> Response {
        match self {
            Self::Blocked => error(StatusCode::BAD_REQUEST, ErrorCode::InvalidRedirectUri, self),
            Self::ContentType => error(StatusCode::BAD_REQUEST, ErrorCode::InvalidClientMetadata, self),
            Self::DailyLimit(wait) => too_many_requests(self, *wait),
            Self::Metadata(refusal) => error(StatusCode::BAD_REQUEST, refusal.code(), self),
            Self::Receive(refusal) => refusal.response(ErrorCode::InvalidClientMetadata),
            Self::Record(_) => internal_failure(),
        }
    }
}

/// `POST /register`.
pub(crate) async fn post(State(app): State<Arc<App>>, request: Request) -> Response {
    respond(&app, store(&app, request)).await
}

async fn store(app: &App, request: Request) -> Result<Response, RegisterError> {
    let (head, body) = receive(app, request, Endpoint::Register).await?;
    let (now, config) = (app.now(), &app.config);
    if !has_media_type(&head.headers, "application/json") {
        return Err(RegisterError::ContentType);
    }
    let params = RegistrationParams::parse(&body, &config.private_use_redirect_uris)?;
    app.registrations
        .admit(config.rate_limits, &head.headers, &head.extensions, now)
        .map_err(RegisterError::DailyLimit)?;
    let blocklist = records::blocklist_copy(app.host(), now).await?;
    if params.redirect_uris().iter().any(|uri| blocklist.blocks_host(&uri.host())) {
        return Err(RegisterError::Blocked);
    }
    let (client, response) = register(params, &config.api.scopes, now, &app.random());
    records::put_new_client(app.host(), &client, now).await?;
    tracing::info!(client = %client.id, name = client.display_name(), "client registered");
    Ok(json_text(StatusCode::CREATED, response.expose().clone()))
}
