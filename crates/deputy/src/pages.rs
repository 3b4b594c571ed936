//! Pages for people.

use askama::Template;
use axum::body::Body;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Response, StatusCode, header};
use sha2::{Digest as _, Sha256};

use crate::{
    oauth::{ApprovedClients, AuthorizationRequest, Client},
    types::ClientId,
};

/// The page on which a person approves a client.
#[derive(Template)]
#[template(path = "approve.html")]
struct ApprovePage<'a> {
    style: &'a str,
    title: &'a str,
    client: &'a str,
    /// The host of the client's metadata document, and its URL.
    document: Option<(&'a str, &'a str)>,
    server: &'a str,
    host: &'a str,
    redirect_uri: &'a str,
    loopback: bool,
    scopes: Vec<(&'a str, &'a str)>,
    /// Whether tools may show the application the token that opens the API.
    reveals_token: bool,
    handle: &'a str,
    /// For how many days the browser answers for the person, where it does.
    days: Option<u64>,
    script: &'a str,
    nonce: &'a str,
}

/// A page that says what happened and what to do.
#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    style: &'a str,
    title: &'a str,
    text: &'a str,
    advice: &'a str,
}

/// What the pages call the server and its scopes.
#[derive(Clone, Debug)]
pub struct Wording {
    /// What the person connects to, such as "your todos".
    pub api: String,
    /// Each scope and what it allows, in words.
    pub scopes: Vec<(String, String)>,
}

impl Wording {
    /// Wording for an API with these scopes.
    pub fn new(api: &str, scopes: &[(&str, &str)]) -> Self {
        let scopes = scopes.iter().map(|(scope, words)| ((*scope).to_owned(), (*words).to_owned())).collect();
        Self { api: api.to_owned(), scopes }
    }
}

/// What the approval page shows beside the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApprovalForm<'a> {
    /// The handle under which the request waits.
    pub(crate) handle: &'a str,
    /// For the one script of the page.
    pub(crate) nonce: &'a str,
    /// Whether the browser skips the page the next time.
    pub(crate) is_remembered: bool,
    /// Whether the application can see the token that opens the API.
    pub(crate) reveals_token: bool,
}

/// The approval page for `request`.
pub(crate) fn approve(
    request: &AuthorizationRequest,
    client: &Client,
    form: &ApprovalForm<'_>,
    words: &Wording,
) -> Response<Body> {
    let uri = request.target.redirect_uri();
    let document = match &client.id {
        ClientId::Document(url) => Some((url.host(), url.as_str())),
        ClientId::Registered(_) => None,
    };
    let in_words =
        |scope| words.scopes.iter().find(|(name, _)| name == scope).map_or("", |(_, text)| text.as_str());
    render(
        StatusCode::OK,
        Some(form.nonce),
        &ApprovePage {
            style: STYLE,
            title: "Connect an application",
            client: client.display_name(),
            document,
            server: &words.api,
            host: &uri.host(),
            redirect_uri: uri.as_str(),
            loopback: uri.is_loopback(),
            scopes: request.access.scopes.iter().map(|scope| (scope, in_words(scope))).collect(),
            reveals_token: form.reveals_token,
            handle: form.handle,
            days: form.is_remembered.then_some(ApprovedClients::LIFETIME / (24 * 3600)),
            script: include_str!("../templates/approve.js"),
            nonce: form.nonce,
        },
    )
}

/// A message.
pub(crate) fn message(status: StatusCode, title: &str, text: &str, advice: &str) -> Response<Body> {
    render(status, None, &MessagePage { style: STYLE, title, text, advice })
}

fn render(status: StatusCode, nonce: Option<&str>, page: &impl Template) -> Response<Body> {
    // Writing to a `String` fails only if a value's `Display` does, and ours are strings.
    let mut response = Response::new(Body::from(page.render().unwrap_or_default()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // No `form-action`: Chromium applies it to the whole chain of redirects after a form, and would silently end the
    // way to `PingOne` and back to the client.
    let script = nonce.map(|nonce| format!(" script-src 'nonce-{nonce}';")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}';{script} frame-ancestors 'none'; base-uri 'none'",
        STANDARD.encode(Sha256::digest(STYLE.as_bytes()))
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

const STYLE: &str = include_str!("../templates/style.css");
