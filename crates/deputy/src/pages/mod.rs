//! The HTML pages.

mod agents;
mod approve;
mod home;
mod icon;
mod return_page;
mod time;

use askama::Template;
use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use sha2::{Digest as _, Sha256};

use crate::{config::Brand, encoding::base64_encode, types::Reference};

pub(crate) use agents::{AgentCard, AgentsPage, Notice, agents, sign_in};
pub(crate) use approve::{ApprovalPage, ScopeChoice, approve};
pub(crate) use home::{HomePage, HomeTool, home};
pub(crate) use icon::icon;
pub(crate) use return_page::{Ending, ReturnPage, return_to_application};
pub(crate) use time::ago;

/// A page that says what happened, and what to do.
#[derive(Template)]
#[template(path = "message.html")]
struct MessageTemplate<'a> {
    frame: Frame<'a>,
    text: &'a str,
    advice: &'a str,
}

/// The parts that all pages have.
struct Frame<'a> {
    style: &'a str,
    title: &'a str,
    brand: &'a Brand,
    /// The reference of the login.
    reference: Option<Reference>,
}

impl<'a> Frame<'a> {
    const fn new(brand: &'a Brand, title: &'a str) -> Self {
        Self { style: STYLE, title, brand, reference: None }
    }
}

/// The words for the API and its scopes on pages.
#[derive(Clone, Debug)]
pub struct Wording {
    /// The API, as in "Allow an application to use *your to-do list* as you?"
    pub api: String,
    /// Each scope, and what it allows.
    pub scopes: Vec<(String, String)>,
    /// Whether a tool shows the client the name, username or e-mail address that `PingOne` gives for the user. The approval page
    /// says so.
    pub shares_profile: bool,
}

impl Wording {
    /// The words for `api`, and for what each scope allows, of tools that may show the client who the user is.
    pub fn new(api: &str, scopes: &[(&str, &str)]) -> Self {
        let scopes = scopes.iter().map(|(scope, words)| ((*scope).to_owned(), (*words).to_owned())).collect();
        Self { api: api.to_owned(), scopes, shares_profile: true }
    }

    /// The same for tools that do not read the user's profile.
    #[must_use]
    pub fn without_profile(self) -> Self {
        Self { shares_profile: false, ..self }
    }

    /// The words of a scope; empty if it has no description.
    fn of_scope(&self, scope: &str) -> &str {
        self.scopes.iter().find(|(name, _)| name == scope).map_or("", |(_, text)| text.as_str())
    }
}

/// Renders a page with a message.
pub(crate) fn message(
    brand: &Brand,
    reference: Option<Reference>,
    status: StatusCode,
    title: &str,
    text: &str,
    advice: &str,
) -> Response<Body> {
    render(
        status,
        None,
        &MessageTemplate { frame: Frame { reference, ..Frame::new(brand, title) }, text, advice },
    )
}

fn render(status: StatusCode, nonce: Option<&str>, page: &impl Template) -> Response<Body> {
    // Rendering to a `String` fails only if the `Display` of a value does. All values here are strings and numbers.
    let mut response = Response::new(Body::from(page.render().unwrap_or_default()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // No `form-action`: Chromium applies it to every redirect after the form is sent, and would silently stop the login
    // at PingOne and the redirect back to the client.
    let script = nonce.map(|nonce| format!(" script-src 'nonce-{nonce}';")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; img-src 'self';{script} frame-ancestors 'none'; base-uri 'none'",
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

const STYLE: &str = include_str!("../../templates/style.css");
