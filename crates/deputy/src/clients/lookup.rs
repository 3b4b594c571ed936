//! The client of an authorization request: one of `CLIENTS`, one that registered, or one that a metadata document describes.

use std::net::IpAddr;

use super::document::{self, DocumentFetchError, Lifetime};
use crate::{
    app::App,
    config::Config,
    host::Timestamp,
    oauth::Client,
    records::{self, Document, RecordError},
    types::{ClientId, ClientIdError, ClientIdUrl, ClientIdUrlError},
};

/// Why no client is found. The text is for the user.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum ClientLookupError {
    #[error(transparent)]
    Document(#[from] DocumentFetchError),
    /// It is not one of those that the operator admits, and cannot register.
    #[error(
        "The operator of this server decides which applications can use it, and this one is not among them."
    )]
    NotAdmitted,
    #[error("This application is not registered here, or its registration has ended.")]
    NotRegistered,
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("{0}.")]
    Url(ClientIdUrlError),
}

impl ClientLookupError {
    /// The title of the page.
    pub(crate) const fn title(&self) -> &'static str {
        match self {
            Self::NotRegistered => "This application is not known here",
            Self::NotAdmitted | Self::Url(_) | Self::Document(DocumentFetchError::Document(_)) => {
                "This application cannot be used here"
            }
            // A client must not be able to distinguish the first two.
            Self::Document(
                DocumentFetchError::Response | DocumentFetchError::OutOfReach | DocumentFetchError::Busy,
            )
            | Self::Record(_) => "This application cannot be looked up now",
        }
    }

    /// The advice to the user.
    pub(crate) const fn advice(&self) -> &'static str {
        match self {
            Self::NotAdmitted => {
                "Ask the operator of this server to admit the application. Nothing was sent to the application."
            }
            Self::NotRegistered => {
                "Remove and add the server again in your application, so that it registers again. Nothing was sent to the \
                 application."
            }
            Self::Url(_) | Self::Document(DocumentFetchError::Document(_)) => {
                "Only the publisher of the application can correct that. Nothing was sent to the application."
            }
            // A client must not be able to distinguish these two.
            Self::Document(DocumentFetchError::Response | DocumentFetchError::OutOfReach) => {
                "Start the connection again from the application in a minute. If that does not help, tell the operator of \
                 this server: it may have no way out to the application's publisher. Nothing was sent to the application."
            }
            Self::Document(DocumentFetchError::Busy) | Self::Record(_) => {
                "Start the connection again from the application. Nothing was sent to the application."
            }
        }
    }
}

/// Looks up the client of an authorization request. `source` is the remote address for which fetches are counted, if
/// any.
pub(crate) async fn authorizing_client(
    app: &App,
    id: &str,
    source: Option<IpAddr>,
    now: Timestamp,
) -> Result<Client, ClientLookupError> {
    let accepts_documents = app.config.admission.metadata_documents;
    match ClientId::parse(id) {
        Ok(ClientId::Configured(id)) => {
            Client::configured(&id, &app.config).ok_or(ClientLookupError::NotAdmitted)
        }
        Ok(ClientId::Document(url)) if admits_document(&app.config, &url) => {
            described_client(app, url, source, now).await
        }
        Ok(ClientId::Document(_)) if accepts_documents => Err(ClientLookupError::NotAdmitted),
        Err(ClientIdError::Url(error)) if accepts_documents => Err(ClientLookupError::Url(error)),
        _ if !app.config.admission.registration => Err(ClientLookupError::NotAdmitted),
        Ok(ClientId::Registered(_)) => records::find_and_prolong_client(app.host(), &app.config, id, now)
            .await?
            .ok_or(ClientLookupError::NotRegistered),
        Ok(ClientId::Document(_)) | Err(ClientIdError::Url(_) | ClientIdError::Unknown) => {
            Err(ClientLookupError::NotRegistered)
        }
    }
}

/// Whether the operator admits clients whose metadata document is at `url`.
pub(super) fn admits_document(config: &Config, url: &ClientIdUrl) -> bool {
    config.admission.metadata_documents && config.redirect_policy.hosts.admits(url.host())
}

/// The client that the document at `url` describes. The document is fetched unless a fresh one is stored.
pub(super) async fn described_client(
    app: &App,
    url: ClientIdUrl,
    source: Option<IpAddr>,
    now: Timestamp,
) -> Result<Client, ClientLookupError> {
    let stored = records::fetched(app.host(), &url, now).await?;
    let stale = match stored {
        Some(Document { client, fresh_until, .. }) if fresh_until > now => return Ok(client),
        Some(Document { client, .. }) => Some(client),
        None => None,
    };
    match document::fetch(app, &url, source).await {
        Ok((client, freshness)) => {
            let Lifetime { fresh, stale: stale_until, stored } = freshness.from(now, 0);
            let document = Document { client: client.clone(), fresh_until: fresh, stale_until };
            let document = (fresh > now).then_some((document, stored));
            store(app, &url, document, stale.is_some(), now).await;
            Ok(client)
        }
        Err(error) => {
            tracing::info!(client = url.as_str(), %error, "a client metadata document was refused");
            match (&error, stale) {
                // RFC 9111 §4.2.4: a stale document may be used while the new one cannot be fetched. A bad one replaces
                // it.
                (DocumentFetchError::Busy | DocumentFetchError::OutOfReach, Some(stale)) => Ok(stale),
                (DocumentFetchError::Busy | DocumentFetchError::OutOfReach, None) => Err(error.into()),
                (DocumentFetchError::Document(_) | DocumentFetchError::Response, stale) => {
                    store(app, &url, None, stale.is_some(), now).await;
                    Err(error.into())
                }
            }
        }
    }
}

/// Stores a document that may be reused, or removes the stored one. If that fails, the document is fetched again.
async fn store(
    app: &App,
    url: &ClientIdUrl,
    document: Option<(Document, Timestamp)>,
    was_stored: bool,
    now: Timestamp,
) {
    let host = app.host();
    let stored = match document {
        Some((document, until)) => records::put_fetched(host, url, &document, until).await,
        None if was_stored => records::forget_fetched::<Document>(host, url, now).await,
        None => Ok(()),
    };
    if let Err(error) = stored {
        tracing::warn!(client = url.as_str(), %error, "a client metadata document could not be kept");
    }
}
