//! PingOne's management API, for a worker application: `deputy doctor` reads it, and `deputy provision` writes too.

mod call;
mod pages;
mod probe;
mod required;
mod url;

use ::url::Url;
use deputy::{
    config::{ClientAuth, PingOne},
    host::FetchError,
    oidc::{TokenError, TokenResponse, form_request},
    secret::Secret,
};

pub(crate) use call::{ATTEMPTS, CallError};
pub(crate) use probe::{Probe, Read, Unread};
pub(crate) use required::{GRACE, SHORTEST_GRACE, grace_remedy, is_needed};
pub(crate) use url::ManagementUrl;

use crate::{configuration::variable, env_file::EnvFile};

/// A worker application of the environment.
pub(crate) struct Worker {
    pub(crate) client_id: String,
    client_secret: Secret<String>,
    /// The URL of the environment, if the issuer does not tell it.
    management_url: Option<ManagementUrl>,
}

/// The management API of one environment, with a token of the worker.
pub(crate) struct Management {
    probe: Probe,
    base: String,
    token: Secret<String>,
}

/// Why there is no token for the management API.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    #[error(
        "the issuer is on a custom domain: name the environment with --management-url (PINGONE_MANAGEMENT_URL), as \
         https://api.pingone.<region>/v1/environments/<environment id>"
    )]
    Address,
    #[error("PingOne refuses its client authentication")]
    Credentials,
    #[error(
        "the issuer is that of the environment {0}, and --management-url (PINGONE_MANAGEMENT_URL) names another one. Leave the URL \
         out, or correct it"
    )]
    Environment(String),
    #[error("{0}")]
    Fetch(FetchError),
    #[error("PingOne issues no token to it: {0}")]
    Token(TokenError),
}

/// The variables with the worker's credentials, which are no flags.
pub(crate) const VARIABLES: [&str; 2] = [CLIENT_ID, CLIENT_SECRET];

impl Worker {
    /// The worker of the variables, if one is set.
    pub(crate) fn read(file: &EnvFile, management_url: Option<&ManagementUrl>) -> Option<Self> {
        Some(Self {
            client_id: variable(file, CLIENT_ID)?,
            client_secret: Secret::new(variable(file, CLIENT_SECRET)?),
            management_url: management_url.cloned(),
        })
    }
}

impl Management {
    /// Obtains a token for the worker. `pingone` has the issuer.
    pub(crate) async fn sign_in(
        probe: &Probe,
        pingone: &PingOne,
        token_endpoint: &Url,
        worker: Worker,
    ) -> Result<Self, SignInError> {
        let Worker { client_id, client_secret, management_url: url } = worker;
        let base = ManagementUrl::choose(url, &pingone.issuer)?.as_str().to_owned();
        let pingone = PingOne { client_id, client_auth: ClientAuth::Basic(client_secret), ..pingone.clone() };
        let form = [("grant_type", "client_credentials")];
        let response = probe.fetch(form_request(token_endpoint, &pingone, &form, probe.proof())).await;
        match TokenResponse::read(&response.map_err(SignInError::Fetch)?) {
            Ok(token) => Ok(Self { probe: probe.clone(), base, token: token.access_token }),
            Err(TokenError::Client) => Err(SignInError::Credentials),
            Err(error) => Err(SignInError::Token(error)),
        }
    }

    /// Reads the object at a path below the environment.
    pub(crate) async fn one(&self, path: &str) -> Read {
        self.probe.read(&format!("{}{path}", self.base), self.token.expose()).await
    }

    /// Reads the items of the collection at a path, which has this name.
    pub(crate) async fn all(&self, path: &str, name: &str) -> Read {
        self.probe.read_all(&format!("{}{path}", self.base), self.token.expose(), name).await
    }

    /// Reads the roles of PingOne, which belong to no environment.
    pub(crate) async fn roles(&self) -> Read {
        let base = self.base.split("/environments/").next().unwrap_or_default();
        self.probe.read_all(&format!("{base}/roles"), self.token.expose(), "roles").await
    }
}

/// Whether the text can be a part of a path: ids are UUIDs, or the hexadecimal digits of DaVinci.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

const CLIENT_ID: &str = "PINGONE_WORKER_CLIENT_ID";
pub(crate) const CLIENT_SECRET: &str = "PINGONE_WORKER_CLIENT_SECRET";
