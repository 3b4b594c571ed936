//! The life of a grant: login, issue, access to the API, refresh, narrowing and revocation.

pub(crate) mod api;
pub(crate) mod ended_logins;
pub(crate) mod issue;
pub(crate) mod login;
pub(crate) mod manage;
pub(crate) mod operate;
pub(crate) mod refresh;
pub(crate) mod request_grant;
pub(crate) mod revoke;

use crate::records::RecordError;

/// This server could not do its work. The client is not at fault and is not told why.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Failure {
    /// The host dropped work that it had to finish.
    #[error("the login was cut off")]
    CutOff,
    #[error(transparent)]
    Record(#[from] RecordError),
}
