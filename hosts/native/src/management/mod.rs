//! PingOne's management API, for a worker application: `deputy doctor` reads it, and `deputy provision` writes too.

mod call;
mod probe;

use deputy::{
    config::{ClientAuth, PingOne},
    host::FetchError,
    oidc::{TokenError, TokenResponse, form_request},
    secret::Secret,
};
use url::{Host, Url};

pub(crate) use call::{ATTEMPTS, CallError};
pub(crate) use probe::{Probe, Read, Unread};

use crate::{env_file::EnvFile, serve::variable};

/// A worker application of the environment.
pub(crate) struct Worker {
    pub(crate) client_id: String,
    client_secret: Secret<String>,
    /// The URL of the environment, if the issuer does not tell it.
    management_url: Option<String>,
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
    #[error("{0}")]
    Fetch(FetchError),
    #[error("PingOne issues no token to it: {0}")]
    Token(TokenError),
}

/// The variables with the worker's credentials, which are no flags.
pub(crate) const VARIABLES: [&str; 2] = [CLIENT_ID, CLIENT_SECRET];

impl Worker {
    /// The worker of the variables, if one is set.
    pub(crate) fn read(file: &EnvFile, management_url: Option<&Url>) -> Option<Self> {
        Some(Self {
            client_id: variable(file, CLIENT_ID)?,
            client_secret: Secret::new(variable(file, CLIENT_SECRET)?),
            management_url: management_url.map(|url| url.as_str().trim_end_matches('/').to_owned()),
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
        let base = url.or_else(|| management_url(&pingone.issuer)).ok_or(SignInError::Address)?;
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

/// Whether the text is a UUID in lower case.
pub(crate) fn is_uuid(text: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 36
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if [8, 13, 18, 23].contains(&at) { byte == b'-' } else { digit(byte) })
}

/// The URL of the environment at the management API, if the issuer tells it.
fn management_url(issuer: &str) -> Option<String> {
    let mut url = Url::parse(issuer).ok()?;
    let environment = url.path_segments()?.next().filter(|id| is_uuid(id))?.to_owned();
    let host = match url.host()? {
        Host::Domain(domain) => domain.to_owned(),
        Host::Ipv4(_) | Host::Ipv6(_) => String::new(),
    };
    if let Some(region) = host.strip_prefix("auth.pingone.") {
        url.set_host(Some(&format!("api.pingone.{region}"))).ok()?;
    } else if !url.host().is_some_and(|host| deputy::types::is_loopback(&host)) {
        return None;
    }
    url.set_path(&format!("/v1/environments/{environment}"));
    Some(url.into())
}

const CLIENT_ID: &str = "PINGONE_WORKER_CLIENT_ID";
pub(crate) const CLIENT_SECRET: &str = "PINGONE_WORKER_CLIENT_SECRET";

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5e1f0000-0000-4000-8000-00000000de90";

    #[test]
    fn management_url_is_that_of_the_region() {
        let url = |issuer: &str| management_url(&issuer.replace("ID", ID));
        let expected = |base: &str| Some(format!("{base}/v1/environments/{ID}"));
        assert_eq!(url("https://auth.pingone.com.au/ID/as"), expected("https://api.pingone.com.au"));
        assert_eq!(url("http://localhost:8789/ID/as"), expected("http://localhost:8789"));
        assert_eq!(url("https://login.example.com/as"), None);
        assert_eq!(url("https://login.example.com/ID/as"), None);
    }
}
