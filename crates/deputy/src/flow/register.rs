//! `POST /register`: dynamic client registration.

use bytes::Bytes;
use http::{StatusCode, request::Parts};

use crate::{
    host::StoreError,
    http::{Answer, error, has_media_type, json_text},
    oauth::{RegistrationError, RegistrationParams, register as registered},
    records,
    server::{Server, too_many},
};

pub(crate) async fn register(server: &Server, head: &Parts, body: Bytes) -> Result<Answer, StoreError> {
    let now = server.now();
    let config = &server.config;
    let params = if has_media_type(&head.headers, "application/json") {
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
    let admitted = server.registrations.admit(config.rate_limits, &head.headers, &head.extensions, now);
    if let Err(wait) = admitted {
        return Ok(too_many(wait));
    }
    let (client, response) = registered(params, &config.api.scopes, now, &server.random());
    records::put_new_client(server.host(), &client, now).await?;
    tracing::info!(client = client.id, name = client.display_name(), "client registered");
    Ok(json_text(StatusCode::CREATED, response.expose().clone()))
}
