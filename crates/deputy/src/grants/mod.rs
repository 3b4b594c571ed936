//! What is done with grants: a login makes one, and from then on it is refreshed, used and revoked.

pub(crate) mod api;
pub(crate) mod issue;
pub(crate) mod login;
pub(crate) mod refresh;
pub(crate) mod revoke;
pub(crate) mod session;

use crate::records::RecordError;

/// This server could not do its work. The client is not at fault and is not told why.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The host dropped work that it was to finish.
    #[error("the login was cut off")]
    CutOff,
    /// A record.
    #[error(transparent)]
    Record(#[from] RecordError),
}
