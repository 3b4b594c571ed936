//! Who is calling, and the way from a tool to the API.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;

use super::ApiError;
use crate::{
    host::{BoxFuture, Timestamp},
    retry::retry_after,
    secret::Secret,
    types::User,
};

/// The person on whose behalf a request is made, the client that makes it, and what it may do.
///
/// A tool finds it in the request's extensions. It can send requests to the API in the person's name, and it cannot see
/// the token that makes this possible, unless the operator set `WHO_AM_I_TOKEN=full`.
#[derive(Clone)]
pub struct Caller {
    user: Arc<User>,
    client: Arc<Client>,
    scopes: Arc<[String]>,
    now: Timestamp,
    api: Arc<dyn Api>,
    login_required: Arc<AtomicBool>,
    can_ask: bool,
    may_act_unasked: bool,
}

impl Caller {
    /// A caller whose requests go through `api`. `now` is the time of the request.
    pub fn new(user: User, client: Client, scopes: Vec<String>, now: Timestamp, api: Arc<dyn Api>) -> Self {
        Self {
            user: Arc::new(user),
            client: Arc::new(client),
            scopes: scopes.into(),
            now,
            api,
            login_required: Arc::default(),
            can_ask: false,
            may_act_unasked: false,
        }
    }

    /// Whether the client of this request can show its person a form, and whether the operator lets the tool that is called
    /// act without it. [`Caller::new`] says no to both.
    #[must_use]
    pub fn confirming(self, can_ask: bool, may_act_unasked: bool) -> Self {
        Self { can_ask, may_act_unasked, ..self }
    }

    /// What a tool does that needs the person's word before it acts.
    pub const fn confirmation(&self) -> Confirmation {
        match (self.can_ask, self.may_act_unasked) {
            (true, _) => Confirmation::Ask,
            (false, true) => Confirmation::Waived,
            (false, false) => Confirmation::Unavailable,
        }
    }

    /// The same caller, whose client has turned out not to show forms.
    #[cfg(feature = "rmcp-handler")]
    pub(super) fn unable_to_ask(&self) -> Self {
        Self { can_ask: false, ..self.clone() }
    }

    /// The person, as `PingOne` named them when they logged in.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// The MCP client that this person approved.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The scopes of the bearer token of this request.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Whether the bearer token of this request has `scope`.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| held == scope)
    }

    /// The time of this request.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Sends `request` to the API with the person's own access token. The request's URI is a path (and query) below
    /// `API_URL`; its `Authorization` header, if any, is replaced. Redirects are answers, not followed.
    ///
    /// A `401` is met with a fresh token and one more try; if that is refused too, this is [`ApiError::Refused`]. `429` and
    /// `503` are [`ApiError::Busy`], and a challenge for scopes is [`ApiError::InsufficientScope`]. Where the person's login
    /// at `PingOne` has ended, this is [`ApiError::LoginRequired`], and the MCP client is told to log in again.
    ///
    /// A response that is an error is logged: a tool call that fails is a `200` of the MCP endpoint.
    pub async fn fetch(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, ApiError> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let result = self.api.fetch(request).await;
        match &result {
            Ok(response) if response.status().is_client_error() || response.status().is_server_error() => {
                let retry_after = retry_after(response, self.now);
                let status = response.status().as_u16();
                tracing::warn!(%method, path, status, retry_after, "the API refused a request of a tool");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%method, path, %error, "a request of a tool got no response of the API");
            }
        }
        ApiError::sift(self.record_login_required(result)?, self.now)
    }

    /// What the `PingOne` access token says, after refreshing it if it is about to expire.
    pub async fn api_token(&self) -> Result<ApiToken, ApiError> {
        self.record_login_required(self.api.token().await)
    }

    /// Whether anything during this request ended with [`ApiError::LoginRequired`].
    pub fn login_required(&self) -> bool {
        self.login_required.load(Ordering::Relaxed)
    }

    fn record_login_required<T>(&self, result: Result<T, ApiError>) -> Result<T, ApiError> {
        if matches!(result, Err(ApiError::LoginRequired)) {
            self.login_required.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("user", &self.user.sub)
            .field("client", &self.client.id)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// Whether the person can be asked before a tool acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// The client can show a form: the tool asks, with an `InputRequiredResult`.
    Ask,
    /// The client cannot ask. The tool does nothing and says so.
    Unavailable,
    /// The client cannot ask, and the operator has named the tool in `UNCONFIRMED_TOOLS`: the tool acts.
    Waived,
}

/// The MCP client of a request. Its name is text that a stranger chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// `client_name`, if it registered one.
    pub name: Option<String>,
}

/// The claims of a `PingOne` access token.
#[derive(Clone, Debug)]
pub struct ApiToken {
    /// `iss`.
    pub issuer: String,
    /// `sub`: the person, as the API sees them.
    pub subject: String,
    /// `aud`: the resources that accept it.
    pub audience: Vec<String>,
    /// `scope`.
    pub scopes: Vec<String>,
    /// `exp`.
    pub expires_at: Timestamp,
    /// The token itself, only where the operator set `WHO_AM_I_TOKEN=full`.
    pub raw: Option<Secret<String>>,
}

/// The way to the API in one person's name. Implemented by the flow that holds the grant, and by tests.
pub trait Api: Send + Sync + 'static {
    /// See [`Caller::fetch`].
    fn fetch(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, ApiError>>;

    /// See [`Caller::api_token`].
    fn token(&self) -> BoxFuture<'_, Result<ApiToken, ApiError>>;
}
