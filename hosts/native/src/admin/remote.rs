//! Requests to the admin interface of a running Deputy.

use std::{process::ExitCode, sync::Arc, time::Duration};

use bytes::Bytes;
use deputy::{
    host::{FetchError, FetchLimits, HttpClient as _, Reach},
    secret::Secret,
    types::is_loopback,
};
use http::{Method, Request, StatusCode, header};
use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{configuration, env_file::EnvFile, host::NativeHost, listen::Listen};

/// Why a command does not get what it needs from the admin interface.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error("the end of grants was not confirmed; nothing was ended. Without a terminal, add --yes")]
    NotConfirmed,
    #[error("a grant is named by 32 hexadecimal digits, as deputy grants list shows them")]
    NotAnId,
    #[error("select grants by their ids, or with --client, --user, --host, --older-than or --all")]
    NothingSelected,
    #[error("ADMIN_TOKEN is not set. Set it to the token of the Deputy that the command is for")]
    NoToken,
    #[error("neither ADMIN_LISTEN nor --url (ADMIN_URL) says where the admin interface is")]
    NoUrl,
    #[error("{0} has no admin interface: set ADMIN_TOKEN there, and natively ADMIN_LISTEN")]
    NoAdmin(Url),
    #[error("{url} refused the request ({status}): {text}")]
    Refused { url: Url, status: StatusCode, text: String },
    #[error(
        "{url} cannot be reached: {error}. Is Deputy running, and is this the address of its admin interface?"
    )]
    Unreachable { url: Box<Url>, error: FetchError },
    #[error("{0} responded with something else than the admin interface of Deputy does")]
    Unexpected(Url),
    #[error(
        "the URL of the admin interface must be an https URL, or an http URL of this computer, without a username and a password"
    )]
    Url,
}

impl AdminError {
    /// 2 for a wrong configuration or wrong options, 1 otherwise.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::NoToken | Self::NoUrl | Self::NotAnId | Self::NothingSelected | Self::Url => {
                ExitCode::from(2)
            }
            Self::NoAdmin(_)
            | Self::NotConfirmed
            | Self::Refused { .. }
            | Self::Unexpected(_)
            | Self::Unreachable { .. } => ExitCode::FAILURE,
        }
    }
}

/// The admin interface of a running Deputy.
pub(crate) struct Remote {
    base: Url,
    token: Secret<String>,
    host: Arc<NativeHost>,
}

impl Remote {
    /// The admin interface at `url`, or else at the address that `ADMIN_LISTEN` names.
    pub(crate) fn new(url: Option<Url>, file: &EnvFile) -> Result<Self, AdminError> {
        let token = configuration::variable(file, "ADMIN_TOKEN").ok_or(AdminError::NoToken)?;
        let base = match url {
            Some(url) => url,
            None => local(file).ok_or(AdminError::NoUrl)?,
        };
        let on_this_computer = base.host().is_some_and(|host| is_loopback(&host));
        let is_protected = base.scheme() == "https" || base.scheme() == "http" && on_this_computer;
        // Messages show the URL.
        if !is_protected || !base.username().is_empty() || base.password().is_some() {
            return Err(AdminError::Url);
        }
        let never = CancellationToken::new();
        Ok(Self { base, token: Secret::new(token), host: Arc::new(NativeHost::new(1, never.clone(), never)) })
    }

    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        params: &[(&str, String)],
    ) -> Result<T, AdminError> {
        let mut url = self.url(path)?;
        url.query_pairs_mut().extend_pairs(params);
        self.send(Method::GET, &url, "").await
    }

    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, AdminError> {
        self.send(Method::DELETE, &self.url(path)?, "").await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        params: &[(&str, String)],
    ) -> Result<T, AdminError> {
        // Encodes a form as a query is encoded.
        let mut form = self.base.clone();
        form.query_pairs_mut().clear().extend_pairs(params);
        self.send(Method::POST, &self.url(path)?, form.query().unwrap_or_default()).await
    }

    fn url(&self, path: &str) -> Result<Url, AdminError> {
        self.base.join(&format!("/admin/v1/{path}")).map_err(|_| AdminError::Url)
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        url: &Url,
        form: &str,
    ) -> Result<T, AdminError> {
        let request = Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token.expose()))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(form.to_owned()))
            .map_err(|_| AdminError::Url)?;
        let response = self.host.fetch(request, LIMITS).await;
        let base = || self.base.clone();
        let response = response.map_err(|error| AdminError::Unreachable { url: Box::new(base()), error })?;
        let body: Option<Value> = serde_json::from_slice(response.body()).ok();
        let said = body.as_ref().and_then(|body| body["error_description"].as_str());
        match response.status() {
            StatusCode::OK => body
                .and_then(|body| serde_json::from_value(body).ok())
                .ok_or_else(|| AdminError::Unexpected(base())),
            StatusCode::NOT_FOUND if said.is_none_or(|said| said.contains("no resource at this path")) => {
                Err(AdminError::NoAdmin(base()))
            }
            status => {
                let text = said.map_or_else(String::new, super::table::printable);
                Err(AdminError::Refused { url: base(), status, text })
            }
        }
    }
}

/// The admin interface of a Deputy on this computer with the same variables.
fn local(file: &EnvFile) -> Option<Url> {
    let listen: Listen = configuration::variable(file, "ADMIN_LISTEN")?.parse().ok()?;
    format!("http://{listen}").parse().ok()
}

const LIMITS: FetchLimits =
    FetchLimits { deadline: Duration::from_mins(1), max_bytes: 4 * 1024 * 1024, reach: Reach::Anywhere };
