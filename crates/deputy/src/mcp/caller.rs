//! The caller of a tool, and the tool's access to the API.

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
    secret::Secret,
    types::User,
};

/// The user on whose behalf a request is made, the client that makes it, and the scopes of its access token.
///
/// A tool finds it in the request's extensions. The tool can send requests to the API on behalf of the user. It cannot
/// see the access token of these requests, unless the operator set `WHO_AM_I_TOKEN=full`.
#[derive(Clone)]
pub struct Caller {
    user: Arc<User>,
    client: Arc<Client>,
    scopes: Arc<[String]>,
    declined: Arc<[String]>,
    now: Timestamp,
    api: Arc<dyn Api>,
    login: LoginState,
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
            declined: Arc::default(),
            now,
            api,
            login: LoginState::default(),
            can_ask: false,
            may_act_unasked: false,
        }
    }

    /// Sets whether the client of this request can show a form to its user, and whether the operator allows the called
    /// tool to act without it. [`Caller::new`] sets both to `false`.
    #[must_use]
    pub fn confirming(self, can_ask: bool, may_act_unasked: bool) -> Self {
        Self { can_ask, may_act_unasked, ..self }
    }

    /// Sets the scopes that the user declined. Tools that need one are not listed.
    #[must_use]
    pub fn declining(self, declined: Vec<String>) -> Self {
        Self { declined: declined.into(), ..self }
    }

    /// The scopes that the user declined.
    pub(super) fn declined(&self) -> Arc<[String]> {
        Arc::clone(&self.declined)
    }

    /// How a tool proceeds that needs the user's confirmation before it acts.
    pub const fn confirmation(&self) -> Confirmation {
        match (self.can_ask, self.may_act_unasked) {
            (true, _) => Confirmation::Ask,
            (false, true) => Confirmation::Waived,
            (false, false) => Confirmation::Unavailable,
        }
    }

    /// This caller, for a client that has turned out not to show forms.
    #[cfg(feature = "rmcp-handler")]
    pub(super) fn without_forms(&self) -> Self {
        Self { can_ask: false, ..self.clone() }
    }

    /// The user, as `PingOne` described them at the login.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// The MCP client that this user approved.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The scopes of the access token of this request.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Whether the access token of this request has `scope`.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| held == scope)
    }

    /// The time of this request.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Sends `request` to the API with the user's own access token. The request's URI is a path (and query) below
    /// `API_URL`; its `Authorization` header, if any, is replaced. A redirect is returned, not followed.
    ///
    /// After a `401`, the token is refreshed and the request sent once more; a second `401` is [`ApiError::Refused`].
    /// `429` and `503` are [`ApiError::Busy`], and a challenge for scopes is [`ApiError::InsufficientScope`]. If the
    /// user's login at `PingOne` has ended, this is [`ApiError::LoginRequired`], and the MCP client is told to log in
    /// again.
    pub async fn fetch(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, ApiError> {
        let response = self.login.note(self.api.fetch(request).await)?;
        ApiError::check(response, self.now)
    }

    /// The claims of the `PingOne` access token, which is refreshed first if it is about to expire.
    pub async fn api_token(&self) -> Result<ApiToken, ApiError> {
        self.login.note(self.api.token().await)
    }

    /// The user's login, as this request and its tools find it.
    pub(super) fn login(&self) -> LoginState {
        self.login.clone()
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

/// Whether the user's login at `PingOne` was found to have ended during a request.
///
/// A tool may turn [`ApiError::LoginRequired`] into any result of its own. The state is shared by all clones of a
/// [`Caller`], so that `StreamableHttp` knows of it when the handler has finished, and can respond with 401.
#[derive(Clone, Debug, Default)]
pub(super) struct LoginState(Arc<AtomicBool>);

impl LoginState {
    pub(super) fn has_ended(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn note<T>(&self, result: Result<T, ApiError>) -> Result<T, ApiError> {
        if matches!(result, Err(ApiError::LoginRequired)) {
            self.0.store(true, Ordering::Relaxed);
        }
        result
    }
}

/// Whether the user can be asked before a tool acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// The client can show a form: the tool asks, with an `InputRequiredResult`.
    Ask,
    /// The client cannot ask. The tool does nothing and says so.
    Unavailable,
    /// The client cannot ask, and the operator has named the tool in `UNCONFIRMED_TOOLS`: the tool acts.
    Waived,
}

/// The MCP client of a request. Its name is untrusted text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// `client_id`, or its name if the client registered ([`RegisteredId`](crate::types::RegisteredId)).
    pub id: String,
    /// `client_name`, if it registered one.
    pub name: Option<String>,
}

/// The claims of a `PingOne` access token.
#[derive(Clone, Debug)]
pub struct ApiToken {
    /// `iss`.
    pub issuer: String,
    /// `sub`: the user, as the API sees them.
    pub subject: String,
    /// `aud`: the resources that accept it.
    pub audience: Vec<String>,
    /// `scope`.
    pub scopes: Vec<String>,
    /// `exp`.
    pub expires_at: Timestamp,
    /// The token itself, only if the operator set `WHO_AM_I_TOKEN=full`.
    pub raw: Option<Secret<String>>,
}

/// Access to the API on behalf of one user. Implemented on the user's grant, and by tests.
pub trait Api: Send + Sync + 'static {
    /// See [`Caller::fetch`].
    fn fetch(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, ApiError>>;

    /// See [`Caller::api_token`].
    fn token(&self) -> BoxFuture<'_, Result<ApiToken, ApiError>>;
}
