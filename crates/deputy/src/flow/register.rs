//! `POST /register`: dynamic client registration.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::{
    host::StoreError,
    http::{Answer, error, has_media_type, json_text},
    oauth::{RegistrationError, RegistrationParams, register as registered},
    records,
    server::Server,
};

pub(crate) async fn register(
    server: &Server,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Answer, StoreError> {
    let now = server.now();
    let config = &server.config;
    let params = if has_media_type(headers, "application/json") {
        RegistrationParams::parse(&body, &config.private_use_redirect_uris)
    } else {
        Err(RegistrationError::Metadata("the body must be application/json"))
    };
    let params = match params {
        Ok(params) => params,
        Err(refusal) => {
            tracing::info!(%refusal, "registration refused");
            return Ok(error(StatusCode::BAD_REQUEST, refusal.code(), refusal));
        }
    };
    let (client, response) = registered(params, &config.api.scopes, now, &server.random());
    records::put_new_client(server.host(), &client, now).await?;
    tracing::info!(client = client.id, name = client.display_name(), "client registered");
    Ok(json_text(StatusCode::CREATED, response.expose().clone()))
}
