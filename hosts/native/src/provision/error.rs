//! Why `deputy provision` fails.

use std::{io, path::PathBuf};

use crate::management::{CallError, SignInError};

/// Why `deputy provision` fails. The text is one paragraph for the operator, and contains no secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProvisionError {
    #[error("{0}. PingOne keeps the changes of this run; repeat the command to continue")]
    Call(CallError),
    #[error(
        "{0}. The worker PINGONE_WORKER_CLIENT_ID needs the role Client Application Developer for applications and resources, \
         Configuration Read Only for flow policies, and Environment Admin for a webhook; docs/provision.md has a table"
    )]
    Roles(CallError),
    #[error(
        "{object} exists in PingOne, and is another one: {reason}. Name another one with {option}, or correct the one in PingOne"
    )]
    Conflict { object: String, reason: String, option: &'static str },
    #[error("differences between PingOne and the configuration: {0}. `deputy provision apply` ends them")]
    Drift(usize),
    #[error("an object of PingOne has no id that can be part of a URL")]
    NoId,
    #[error(
        "PingOne has an application {name} already, and its description does not say that this command made it for PUBLIC_URL. \
         To use it, set PINGONE_CLIENT_ID={id}; to leave it alone, name another one with --application-name \
         (PROVISION_APPLICATION_NAME)"
    )]
    NotAdopted { name: String, id: String },
    #[error(
        "the environment has no application PINGONE_CLIENT_ID. Correct it, or remove the variable to have an application created"
    )]
    NoApplication,
    #[error(
        "PingOne has no {0}, which every environment has. Set PINGONE_ISSUER to that of a PingOne environment"
    )]
    NotPingOne(&'static str),
    #[error(
        "PINGONE_WORKER_CLIENT_ID and PINGONE_WORKER_CLIENT_SECRET are not set. They are the credentials of a worker application \
         of the environment; docs/provision.md describes it"
    )]
    NoWorker,
    #[error("{path} (--output, PROVISION_OUTPUT) cannot be written: {cause}", path = .path.display())]
    Output { path: PathBuf, cause: io::Error },
    #[error(
        "{} (--output, PROVISION_OUTPUT) exists. Name another file, or replace it with --replace", .0.display()
    )]
    OutputExists(PathBuf),
    #[error("PINGONE_ISSUER cannot be used: {0}")]
    Issuer(String),
    #[error(
        "the worker PINGONE_WORKER_CLIENT_ID gets no token: {0}. Copy its credentials from a worker application of this \
         environment with Client Secret Basic, and give it roles; docs/provision.md names them"
    )]
    SignIn(#[from] SignInError),
    #[error("steps that are left to you: {0}. The lines above name them; then run the command again")]
    Unfinished(usize),
    #[error(
        "--webhook makes a secret, which would be lost. Add --output (PROVISION_OUTPUT), or set PINGONE_WEBHOOK_SECRET"
    )]
    LostSecret,
    #[error(
        "PingOne sends events to https addresses alone, and PUBLIC_URL is {0}. Set PUBLIC_URL to the address of the deployment, \
         or leave the webhook out"
    )]
    WebhookAddress(String),
}

impl ProvisionError {
    /// An error of a request. Missing roles get a text of their own.
    pub(super) fn of(error: CallError) -> Self {
        match error {
            CallError::Forbidden(..) => Self::Roles(error),
            error => Self::Call(error),
        }
    }

    /// 3 if something is left to the operator, 2 for wrong options or configuration, 1 otherwise.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Unfinished(_) => 3,
            Self::LostSecret | Self::NoWorker | Self::OutputExists(_) | Self::WebhookAddress(_) => 2,
            Self::Call(_)
            | Self::Conflict { .. }
            | Self::Drift(_)
            | Self::Issuer(_)
            | Self::NoApplication
            | Self::NoId
            | Self::NotAdopted { .. }
            | Self::NotPingOne(_)
            | Self::Output { .. }
            | Self::Roles(_)
            | Self::SignIn(_) => 1,
        }
    }
}
