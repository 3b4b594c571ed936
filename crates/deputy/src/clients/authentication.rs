//! Client authentication at the token and revocation endpoints (OAuth 2.1 §2.4).

use http::{header, request::Parts};

use super::{
    authentication_error::AuthenticationError,
    keys,
    lookup::{admits_document, described_client},
};

use crate::{
    app::App,
    host::Timestamp,
    http::list,
    limits::remote_source,
    oauth::{Client, ClientAuthError, ClientCredentials, Params},
    records::{self, MetadataSource},
    types::ClientId,
};

/// A client that is authenticated, as far as it can be.
pub(crate) struct Authenticated {
    pub(crate) client: Client,
    pub(crate) source: MetadataSource,
    /// Whether the client authenticated with a key.
    pub(crate) by_key: bool,
}

/// Authenticates the client of a request.
pub(crate) async fn authenticate(
    app: &App,
    head: &Parts,
    params: &Params,
    now: Timestamp,
) -> Result<Authenticated, AuthenticationError> {
    // `Authorization` is not a list. Some runtimes join several lines of it with commas.
    let credentials = ClientCredentials::parse(list(&head.headers, &header::AUTHORIZATION), params)?;
    let id = credentials.client_id();
    if let Some(assertion) = credentials.assertion() {
        let remote = remote_source(&head.extensions);
        let (client, source) = match ClientId::parse(id) {
            Ok(ClientId::Configured(id)) => {
                let client = Client::configured(&id, &app.config).ok_or(ClientAuthError::Wrong)?;
                (client, MetadataSource::NotStored)
            }
            Ok(ClientId::Document(url)) if admits_document(&app.config, &url) => {
                (described_client(app, url.clone(), remote, now).await?, MetadataSource::Document(url))
            }
            _ => return Err(ClientAuthError::Wrong.into()),
        };
        keys::verify(app, &client, assertion, remote, now).await?;
        return Ok(Authenticated { client, source, by_key: true });
    }
    let client = match ClientId::parse(id) {
        Ok(ClientId::Configured(id)) => {
            Client::configured(&id, &app.config).map(|client| (client, MetadataSource::NotStored))
        }
        // The document is not fetched: the grant says whether the client has to sign an assertion.
        Ok(ClientId::Document(url)) if admits_document(&app.config, &url) => {
            Some((Client::at_url(url.clone()), MetadataSource::Document(url)))
        }
        Ok(ClientId::Registered(_)) => records::registered_client(app.host(), &app.config, id, now).await?,
        Ok(ClientId::Document(_)) | Err(_) => None,
    };
    let (client, source) = client.ok_or(ClientAuthError::Wrong)?;
    credentials.authenticate(&client)?;
    Ok(Authenticated { client, source, by_key: false })
}
