//! The HTML pages.

use askama::Template;
use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use sha2::{Digest as _, Sha256};

use crate::{
    encoding::base64_encode,
    oauth::{ApprovedClients, AuthorizationRequest, Client},
    types::ClientId,
};

/// The page on which a user approves a client.
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
    /// Whether tools may give the client the user's PingOne access token.
    reveals_token: bool,
    handle: &'a str,
    /// For how many days the approval is remembered, if it is.
    days: Option<u64>,
    script: &'a str,
    nonce: &'a str,
}

/// A page that says what happened, and what to do.
#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    style: &'a str,
    title: &'a str,
    text: &'a str,
    advice: &'a str,
}

/// The words for the API and its scopes on pages.
#[derive(Clone, Debug)]
pub struct Wording {
    /// The API, as in "Allow an application to use *your to-do list* as you?"
    pub api: String,
    /// Each scope, and what it allows.
    pub scopes: Vec<(String, String)>,
}

impl Wording {
    /// The words for `api`, and for what each scope allows.
    pub fn new(api: &str, scopes: &[(&str, &str)]) -> Self {
        let scopes = scopes.iter().map(|(scope, words)| ((*scope).to_owned(), (*words).to_owned())).collect();
        Self { api: api.to_owned(), scopes }
    }
}

/// The parts of the approval page that are not of the authorization request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApprovalForm<'a> {
    /// The handle of the stored authorization request.
    pub(crate) handle: &'a str,
    /// The CSP nonce of the script.
    pub(crate) nonce: &'a str,
    /// Whether the approval will be remembered.
    pub(crate) is_remembered: bool,
    /// Whether tools may give the client the user's PingOne access token.
    pub(crate) reveals_token: bool,
}

/// Renders the approval page for `request`.
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

/// Renders a page with a message.
pub(crate) fn message(status: StatusCode, title: &str, text: &str, advice: &str) -> Response<Body> {
    render(status, None, &MessagePage { style: STYLE, title, text, advice })
}

fn render(status: StatusCode, nonce: Option<&str>, page: &impl Template) -> Response<Body> {
    // Rendering to a `String` fails only if the `Display` of a value does. All values here are strings.
    let mut response = Response::new(Body::from(page.render().unwrap_or_default()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // No `form-action`: Chromium applies it to every redirect after the form is sent, and would silently stop the login
    // at PingOne and the redirect back to the client.
    let script = nonce.map(|nonce| format!(" script-src 'nonce-{nonce}';")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}';{script} frame-ancestors 'none'; base-uri 'none'",
        base64_encode(&Sha256::digest(STYLE.as_bytes()))
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
