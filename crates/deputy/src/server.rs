//! The route table, and what holds for every route.

use std::{ops::Deref, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
    routing::{MethodRouter, any, get, post},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use url::Url;

use crate::{
    config::Config,
    flow::{self, Documents, Provider},
    host::{Endpoint, Host, RetryAfter, StoreError, Timestamp},
    http::{Answer, body, empty, error, json, remainder},
    limits::{Concurrent, Registrations, admitted, in_background, stranger, with_retry_after},
    mcp::{Front, Handler, Rules},
    oauth::{
        ErrorCode, authorization_server_metadata, is_loopback, key_set, openid_provider_metadata,
        protected_resource_metadata,
    },
    pages::{self, Wording},
    readiness::Readiness,
};

/// Everything a request needs. Cheap to clone.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

/// What is shared by all requests.
pub struct Inner {
    pub(crate) config: Config,
    pub(crate) provider: Provider,
    pub(crate) documents: Documents,
    pub(crate) front: Front,
    pub(crate) concurrent: Concurrent,
    pub(crate) registrations: Registrations,
    readiness: Readiness,
    pub(crate) wording: Wording,
    host: Arc<dyn Host>,
}

impl Deref for Server {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Server {
    /// A server on `host` whose tools are those of `handler`.
    pub fn new(config: Config, host: Arc<dyn Host>, handler: Arc<dyn Handler>, wording: Wording) -> Self {
        let sleeper = Arc::clone(&host);
        let rules = rules(&config, &*handler);
        let front = Front::new(handler, Arc::new(move |duration| sleeper.sleep(duration)), rules);
        Self(Arc::new(Inner {
            config,
            provider: Provider::default(),
            documents: Documents::default(),
            front,
            concurrent: Concurrent::new(host.capacity()),
            readiness: Readiness::default(),
            registrations: Registrations::default(),
            wording,
            host,
        }))
    }

    /// Asks `PingOne` for its discovery document, so that a wrong `PINGONE_ISSUER` is in the log at the start and not at the
    /// first login.
    pub async fn check_upstream(&self) {
        if let Err(error) = self.provider.discovery(self.host(), &self.config).await {
            let issuer = self.config.upstream.issuer.as_str();
            tracing::warn!(issuer, %error, "PINGONE_ISSUER cannot be used: nobody can log in until that is mended");
        }
    }

    /// The HTTP interface.
    pub fn router(&self) -> Router {
        let metadata = Router::new().route("/jwks", get(keys));
        let metadata = well_known(metadata, "oauth-protected-resource", &get(resource_metadata));
        let metadata = well_known(metadata, "oauth-authorization-server", &get(server_metadata));
        let metadata = well_known(metadata, "openid-configuration", &get(provider_metadata));
        let for_programs = metadata
            .route("/register", post(register))
            .route("/token", post(token))
            .route("/revoke", post(revoke))
            .method_not_allowed_fallback(method_not_allowed)
            .layer(middleware::from_fn(with_plain_bodies))
            .layer(middleware::from_fn(open_to_all_origins));
        let for_browsers = Router::new()
            .route("/authorize", get(authorize))
            .route("/approve", post(approve))
            .route("/callback", get(callback))
            .route("/health", get(health))
            .method_not_allowed_fallback(method_not_allowed)
            .layer(middleware::from_fn(with_plain_bodies));
        let endpoint = Router::new()
            .route("/mcp", any(mcp))
            // As people paste it. Every document names the endpoint without the slash.
            .route("/mcp/", any(mcp))
            .layer(middleware::from_fn(with_plain_bodies))
            .layer(middleware::from_fn_with_state(self.clone(), open_to_allowed_origins));
        Router::new()
            .merge(for_programs)
            .merge(for_browsers)
            .merge(endpoint)
            .fallback(not_found)
            .layer(middleware::from_fn_with_state(self.clone(), for_every_request))
            .layer(middleware::from_fn_with_state(self.clone(), remainder::taken))
            .with_state(self.clone())
    }

    /// The time of a request.
    pub(crate) fn now(&self) -> Timestamp {
        self.host.now()
    }

    /// The host's randomness, for the pure parts.
    pub(crate) fn random(&self) -> impl Fn(&mut [u8]) + Sync + '_ {
        |buffer| self.host.fill_random(buffer)
    }

    pub(crate) fn host(&self) -> &dyn Host {
        &*self.host
    }

    /// Whether pages of `origin` may call the MCP endpoint: our own, those the operator names, and on this computer
    /// alone every page of this computer.
    pub(crate) fn allows_origin(&self, origin: &str) -> bool {
        let url = &self.config.public_url;
        let local = || {
            let parsed =
                Url::parse(origin).ok().filter(|parsed| parsed.origin().ascii_serialization() == origin);
            parsed.is_some_and(|parsed| parsed.host().is_some_and(|host| is_loopback(&host)))
        };
        origin == url.issuer()
            || self.config.allowed_origins.iter().any(|allowed| allowed.admits(origin))
            || url.is_loopback() && local()
    }
}

async fn resource_metadata(State(server): State<Server>) -> Answer {
    document(protected_resource_metadata(&server.config))
}

async fn server_metadata(State(server): State<Server>) -> Answer {
    document(authorization_server_metadata(&server.config))
}

async fn provider_metadata(State(server): State<Server>) -> Answer {
    document(openid_provider_metadata(&server.config))
}

async fn keys() -> Answer {
    document(key_set())
}

/// A public document that changes with the configuration only.
fn document(document: serde_json::Value) -> Answer {
    let mut response = json(StatusCode::OK, &document);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}

async fn authorize(State(server): State<Server>, request: Request) -> Answer {
    // `HEAD` would begin a login whose answer nobody reads.
    if request.method() != Method::GET {
        return method_not_allowed().await;
    }
    if in_background(request.headers()) {
        return page_in_background();
    }
    if let Err(wait) = admitted(&server, request.headers(), request.extensions(), Endpoint::Authorize).await {
        return page_too_many(wait);
    }
    match request.uri().query().unwrap_or_default() {
        query if query.len() > QUERY => page_too_long(),
        query => {
            let source = stranger(request.extensions());
            page(flow::authorize::authorize(&server, request.headers(), source, query).await)
        }
    }
}

async fn callback(State(server): State<Server>, request: Request) -> Answer {
    if request.method() != Method::GET {
        return method_not_allowed().await;
    }
    match request.uri().query().unwrap_or_default() {
        query if query.len() > QUERY => page_too_long(),
        query => page(flow::callback::callback(&server, request.headers(), query).await),
    }
}

/// Serves a document wherever clients look for it: at the origin, and for the endpoint by either way of adding a well-known
/// path (RFC 8414 §3.1, RFC 9728 §3.1), with a final slash if they have pasted one.
fn well_known(router: Router<Server>, name: &str, document: &MethodRouter<Server>) -> Router<Server> {
    let inserted = ["", "/", "/mcp", "/mcp/"].map(|path| format!("/.well-known/{name}{path}"));
    let paths = inserted.into_iter().chain([format!("/mcp/.well-known/{name}")]);
    paths.fold(router, |router, path| router.route(&path, document.clone()))
}

/// What the configuration says of the tools. What cannot work is said now, before a client meets it.
fn rules(config: &Config, handler: &dyn Handler) -> Rules {
    let mut ungrantable = Vec::new();
    for (scope, name) in handler.declared_scopes() {
        if !config.api.scopes.contains(&scope) {
            tracing::warn!(
                scope,
                name,
                "API_SCOPES does not have a scope that this needs, so that no client can use it: add the scope to \
                 API_SCOPES if clients are to have it"
            );
            ungrantable.push(scope);
        }
    }
    let unconfirmed = config.unconfirmed_tools.clone();
    for tool in unconfirmed.iter().filter(|tool| handler.input_schema(tool).is_none()) {
        tracing::warn!(tool, "UNCONFIRMED_TOOLS names a tool that there is not");
    }
    Rules { ungrantable, unconfirmed }
}

async fn approve(State(server): State<Server>, request: Request) -> Answer {
    let (head, stream) = request.into_parts();
    match body(server.host(), stream, BODY).await {
        Ok(form) => page(flow::approve::approve(&server, &head.headers, form).await),
        Err(error) => pages::message(
            error.status(),
            "Not approved",
            "The form is too long, or did not arrive whole.",
            "Start again.",
        ),
    }
}

async fn register(State(server): State<Server>, request: Request) -> Answer {
    if let Err(wait) = admitted(&server, request.headers(), request.extensions(), Endpoint::Register).await {
        return too_many(wait);
    }
    let (head, stream) = request.into_parts();
    match body(server.host(), stream, BODY).await {
        Ok(body) => document_or_failure(flow::register::register(&server, &head, body).await),
        Err(refusal) => error(refusal.status(), ErrorCode::InvalidClientMetadata, refusal),
    }
}

async fn token(State(server): State<Server>, request: Request) -> Answer {
    if let Err(wait) = admitted(&server, request.headers(), request.extensions(), Endpoint::Token).await {
        return too_many(wait);
    }
    let (head, stream) = request.into_parts();
    match body(server.host(), stream, BODY).await {
        Ok(form) => document_or_failure(flow::token::token(&server, &head.headers, form).await),
        Err(refusal) => error(refusal.status(), ErrorCode::InvalidRequest, refusal),
    }
}

async fn revoke(State(server): State<Server>, request: Request) -> Answer {
    if let Err(wait) = admitted(&server, request.headers(), request.extensions(), Endpoint::Token).await {
        return too_many(wait);
    }
    let (head, stream) = request.into_parts();
    match body(server.host(), stream, BODY).await {
        Ok(form) => document_or_failure(flow::revoke::revoke(&server, &head.headers, form).await),
        Err(refusal) => error(refusal.status(), ErrorCode::InvalidRequest, refusal),
    }
}

async fn mcp(State(server): State<Server>, request: Request<Body>) -> Answer {
    document_or_failure(flow::mcp::mcp(&server, request).await)
}

async fn health(State(server): State<Server>) -> Answer {
    let (status, document) = if server.readiness.look(server.host()).await.is_ok() {
        (StatusCode::OK, serde_json::json!({ "status": "ok" }))
    } else {
        let reason = "records cannot be written and read; the log says why";
        let document = serde_json::json!({ "status": "unavailable", "reason": reason });
        (StatusCode::SERVICE_UNAVAILABLE, document)
    };
    let mut response = json(status, &document);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn not_found() -> Answer {
    error(StatusCode::NOT_FOUND, ErrorCode::InvalidRequest, "there is nothing at this address")
}

async fn method_not_allowed() -> Answer {
    error(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::InvalidRequest, "this address does not take this method")
}

/// RFC 6585 §4.
pub(crate) fn too_many(wait: RetryAfter) -> Answer {
    let text = "too many requests from this address; try again later";
    with_retry_after(error(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TemporarilyUnavailable, text), wait)
}

fn page_too_many(wait: RetryAfter) -> Answer {
    let text = "Too many connections were begun from your network within a minute.";
    let advice = "Wait a minute, and start the connection again from the application.";
    with_retry_after(pages::message(StatusCode::TOO_MANY_REQUESTS, "Too many requests", text, advice), wait)
}

fn page_in_background() -> Answer {
    tracing::info!("authorization request refused: a page of another site made it in the background");
    let text = "A page of another site asked for this in the background.";
    let advice = "Start the connection from the application.";
    pages::message(StatusCode::BAD_REQUEST, "This link cannot be used", text, advice)
}

fn page_too_long() -> Answer {
    let text = "The link that brought you here is too long.";
    pages::message(
        StatusCode::URI_TOO_LONG,
        "This link cannot be used",
        text,
        "Start again from the application.",
    )
}

/// A page, or the page that says that we failed.
fn page(result: Result<Answer, StoreError>) -> Answer {
    result.unwrap_or_else(|error| {
        tracing::error!(%error, "internal failure");
        let text = "The server could not do its work. This is not your fault.";
        let advice = "Start the connection again from the application in a moment.";
        pages::message(StatusCode::SERVICE_UNAVAILABLE, "Something went wrong", text, advice)
    })
}

/// A document, or the document that says that we failed.
fn document_or_failure(result: Result<Answer, StoreError>) -> Answer {
    result.unwrap_or_else(|failure| {
        tracing::error!(error = %failure, "internal failure");
        let text = "the server could not do its work; try again later";
        error(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::TemporarilyUnavailable, text)
    })
}

/// On this computer, names that lead here by rebinding DNS are refused. And no answer is guessed at, framed or cached
/// beyond what it says.
async fn for_every_request(State(server): State<Server>, request: Request, next: Next) -> Response {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let mut response = match (hosts.next(), hosts.next()) {
        (_, Some(_)) => two_hosts(),
        (host, None) => {
            // RFC 9112 §3.2.2: a target in absolute form overrides `Host`. HTTP/2 has the authority only.
            let target = request.uri().authority().map(|authority| authority.as_str().as_bytes());
            match target.or(host.map(HeaderValue::as_bytes)) {
                Some(named) if !host_is_ours(&server, named) => misdirected(),
                // Requests inside a process name none.
                Some(_) | None => next.run(request).await,
            }
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if server.config.public_url.is_https() {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(year);
    }
    response
}

/// Whether the request is addressed to this server. Judged on a loopback address only: elsewhere nothing is derived from
/// `Host`, and proxies change it.
fn host_is_ours(server: &Server, host: &[u8]) -> bool {
    let url = &server.config.public_url;
    if !url.is_loopback() {
        return true;
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let names = ["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}{port}"));
    names.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(host))
}

/// RFC 9112 §3.2.
fn two_hosts() -> Answer {
    error(StatusCode::BAD_REQUEST, ErrorCode::InvalidRequest, "a request names one host")
}

fn misdirected() -> Answer {
    let text = "this server does not answer to that host name";
    error(StatusCode::MISDIRECTED_REQUEST, ErrorCode::InvalidRequest, text)
}

/// Bodies are read as they are. A compressed one would be taken for nonsense (RFC 9110 §15.5.16, §12.5.3).
async fn with_plain_bodies(request: Request, next: Next) -> Response {
    let codings = request.headers().get_all(header::CONTENT_ENCODING).iter();
    let mut codings = codings.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let plain = |coding: &[u8]| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity");
    if request.method() != Method::POST || codings.all(|coding| plain(coding.trim_ascii())) {
        return next.run(request).await;
    }
    let text = "the body must not be compressed: send it without Content-Encoding";
    let mut response = error(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::InvalidRequest, text);
    response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    response
}

/// Endpoints that take no cookies may be called by every page.
async fn open_to_all_origins(request: Request, next: Next) -> Response {
    let preflight = request.method() == Method::OPTIONS;
    let mut response = if preflight { empty(StatusCode::NO_CONTENT) } else { next.run(request).await };
    allow(response.headers_mut(), HeaderValue::from_static("*"), preflight);
    response
}

/// The MCP endpoint may be called by pages of admitted origins, who can read its challenges too.
async fn open_to_allowed_origins(State(server): State<Server>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let allowed = origin.filter(|origin| origin.to_str().is_ok_and(|origin| server.allows_origin(origin)));
    let preflight = request.method() == Method::OPTIONS;
    let mut response = if preflight { flow::mcp::preflight() } else { next.run(request).await };
    response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = allowed {
        allow(response.headers_mut(), origin, preflight);
    }
    response
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue, preflight: bool) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let pairs: &[(HeaderName, &'static str)] = if preflight { &PREFLIGHT } else { &EXPOSED };
    for (name, value) in pairs {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

const EXPOSED: [(HeaderName, &str); 1] =
    [(header::ACCESS_CONTROL_EXPOSE_HEADERS, "WWW-Authenticate, MCP-Protocol-Version, Mcp-Session-Id")];
const PREFLIGHT: [(HeaderName, &str); 3] = [
    // `DELETE` ends a session. It is refused, but by an answer that the page can read.
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE, OPTIONS"),
    // `*` does not cover Authorization (Fetch §4.10).
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "Authorization, Content-Type, Accept, Last-Event-ID, MCP-Protocol-Version, \
      Mcp-Session-Id, Mcp-Method, Mcp-Name, *",
    ),
    (header::ACCESS_CONTROL_MAX_AGE, "600"),
];

/// Bytes of a query.
const QUERY: usize = 16 * 1024;
/// Bytes of a form or a registration.
const BODY: usize = 64 * 1024;
