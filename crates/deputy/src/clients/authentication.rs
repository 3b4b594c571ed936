//! Client authentication at the token and revocation endpoints (OAuth 2.1 §2.4).

use http::{HeaderMap, header};

use crate::{
    app::App,
    config::Config,
    host::Timestamp,
    http::list,
    oauth::{Client, ClientAuthError, ClientCredentials, Params},
    records::{self, MetadataSource, RecordError},
    types::{ClientId, ClientIdUrl},
};

/// Whether the operator admits clients whose metadata document is at `url`.
pub(super) fn admits_document(config: &Config, url: &ClientIdUrl) -> bool {
    config.admission.metadata_documents && config.redirect_policy.hosts.admit(url.host())
}

/// Why a client is not authenticated.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum AuthenticationError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("client authentication failed: {0}")]
    #[strum(serialize = "client_authentication")]
    Refused(#[from] ClientAuthError),
}

/// Authenticates the client of a request. Returns it, and where its metadata is.
pub(crate) async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    params: &Params,
    now: Timestamp,
) -> Result<(Client, MetadataSource), AuthenticationError> {
    // `Authorization` is not a list. Some runtimes join several lines of it with commas.
    let credentials = ClientCredentials::parse(list(headers, &header::AUTHORIZATION), params)?;
    let id = credentials.client_id();
    let client = match ClientId::parse(id) {
        // The document is not fetched: authentication does not depend on it.
        Ok(ClientId::Configured(id)) => {
            Client::configured(&id, &app.config).map(|client| (client, MetadataSource::NotStored))
        }
        Ok(ClientId::Document(url)) if admits_document(&app.config, &url) => {
            Some((Client::at_url(url.clone()), MetadataSource::Document(url)))
        }
        Ok(ClientId::Registered(_)) => records::registered_client(app.host(), &app.config, id, now).await?,
        Ok(ClientId::Document(_)) | Err(_) => None,
    };
    let (client, source) = client.ok_or(ClientAuthError::Wrong)?;
    credentials.authenticate(&client)?;
    Ok((client, source))
}
