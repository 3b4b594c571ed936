//! The client registration endpoint (RFC 7591 §3).

use std::sync::Arc;

use axum::extract::{Request, State};
use http::StatusCode;

use super::{About, Fault, ReceiveError, Refusal, internal_failure, receive, respond};
use crate::{
    app::App,
    host::EndpointKind,
    http::{Response, error, has_media_type, json_text},
    oauth::{ErrorCode, MetadataError, RegistrationParams, register},
    records::{self, RecordError},
    types::ClientId,
};

/// Why a client is not registered.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum RegisterError {
    #[error("the operator of this server has blocked the host of a redirect URI")]
    Blocked,
    #[error("the body must be application/json")]
    ContentType,
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error(
        "this server does not register clients; ask its operator for a client_id, or to admit the client"
    )]
    Off,
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
            Self::Blocked | Self::ContentType | Self::Metadata(_) | Self::Off => Fault::Client,
            Self::Receive(refusal) => refusal.fault(),
            Self::Record(error) => Fault::Server(error),
        }
    }

    fn response(&self, _: &About<'_>) -> Response {
        match self {
            Self::Blocked => error(StatusCode::BAD_REQUEST, ErrorCode::InvalidRedirectUri, self),
            Self::ContentType => error(StatusCode::BAD_REQUEST, ErrorCode::InvalidClientMetadata, self),
            Self::Metadata(refusal) => error(StatusCode::BAD_REQUEST, refusal.code(), self),
            Self::Off => error(StatusCode::FORBIDDEN, ErrorCode::AccessDenied, self),
            Self::Receive(refusal) => refusal.response(ErrorCode::InvalidClientMetadata),
            Self::Record(_) => internal_failure(),
        }
    }
}

/// `POST /register`.
pub(crate) async fn post(State(app): State<Arc<App>>, request: Request) -> Response {
    respond(&app, register_client(&app, request)).await
}

async fn register_client(app: &App, request: Request) -> Result<Response, RegisterError> {
    let (head, body) = receive(app, request, EndpointKind::Register).await?;
    let (now, config) = (app.now(), &app.config);
    if !config.admission.registration {
        return Err(RegisterError::Off);
    }
    if !has_media_type(&head.headers, "application/json") {
        return Err(RegisterError::ContentType);
    }
    let params = RegistrationParams::parse(&body, &config.redirect_policy)?;
    let blocklist = records::blocklist_copy(app.host(), now).await?;
    if params.redirect_uris().iter().any(|uri| blocklist.blocks_host(&uri.host())) {
        return Err(RegisterError::Blocked);
    }
    let name = params.client_name().unwrap_or_default().to_owned();
    let (id, response) = register(params, config, now, &app.random());
    tracing::info!(client = ClientId::loggable(&id), name, "client registered");
    Ok(json_text(StatusCode::CREATED, response.expose().clone()))
}
