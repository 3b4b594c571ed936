//! Why a client is not authenticated.

use super::{document::DocumentFetchError, lookup::ClientLookupError};
use crate::{oauth::ClientAuthError, records::RecordError};

/// Why a client is not authenticated.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum AuthenticationError {
    #[error("the keys of the client cannot be fetched now; try again in a minute")]
    KeysUnavailable,
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("client authentication failed: {0}")]
    #[strum(serialize = "client_authentication")]
    Refused(#[from] ClientAuthError),
}

impl From<ClientLookupError> for AuthenticationError {
    fn from(error: ClientLookupError) -> Self {
        match error {
            // A site that responds with something else may have a bad minute.
            ClientLookupError::Document(
                DocumentFetchError::Busy | DocumentFetchError::OutOfReach | DocumentFetchError::Response,
            ) => Self::KeysUnavailable,
            ClientLookupError::Record(error) => Self::Record(error),
            ClientLookupError::Document(_)
            | ClientLookupError::NotAdmitted
            | ClientLookupError::NotRegistered
            | ClientLookupError::Url(_) => ClientAuthError::Wrong.into(),
        }
    }
}
