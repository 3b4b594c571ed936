//! The page on which a user approves a client.

use askama::Template;
use axum::body::Body;
use http::{Response, StatusCode};

use super::{Frame, Wording, render};
use crate::{
    config::Brand,
    oauth::{ApprovedClients, AuthorizationRequest, Client},
    types::{ClientId, Reference},
};

/// The page on which a user approves a client.
#[derive(Template)]
#[template(path = "approve.html")]
struct ApproveTemplate<'a> {
    frame: Frame<'a>,
    client: &'a str,
    /// The host of the client's metadata document, and its URL.
    document: Option<(&'a str, &'a str)>,
    host: &'a str,
    redirect_uri: &'a str,
    /// The redirect URI's scheme, with its colon, if it is for private use.
    private_use_scheme: Option<&'a str>,
    is_on_this_computer: bool,
    words: &'a Wording,
    page: &'a ApprovalPage<'a>,
    /// For how many days the approval is remembered, if it is.
    days: Option<u64>,
    script: &'a str,
}

/// The parts of the approval page that are not of the authorization request.
#[derive(Debug)]
pub(crate) struct ApprovalPage<'a> {
    /// The reference of the login.
    pub(crate) reference: Reference,
    /// The handle of the stored authorization request.
    pub(crate) handle: &'a str,
    pub(crate) scopes: Vec<ScopeChoice<'a>>,
    /// The titles of the tools that need no scope.
    pub(crate) other_tools: Vec<&'a str>,
    /// The titles of the tools that are new since the user approved the same request.
    pub(crate) new_tools: Vec<&'a str>,
    /// Whether some of the scopes, and not all of them, open tools that only read.
    pub(crate) can_be_read_only: bool,
    /// The CSP nonce of the script.
    pub(crate) nonce: &'a str,
    /// Whether the approval will be remembered.
    pub(crate) is_remembered: bool,
    /// Whether tools may give the client the user's PingOne access token.
    pub(crate) reveals_token: bool,
}

/// A scope that the user can leave out.
#[derive(Debug)]
pub(crate) struct ScopeChoice<'a> {
    pub(crate) scope: &'a str,
    pub(crate) is_checked: bool,
    /// The titles of the tools that need it.
    pub(crate) tools: Vec<&'a str>,
}

/// Renders the approval page for `request`.
pub(crate) fn approve(
    brand: &Brand,
    request: &AuthorizationRequest,
    client: &Client,
    page: &ApprovalPage<'_>,
    words: &Wording,
) -> Response<Body> {
    let uri = request.target.redirect_uri();
    let host = uri.host();
    let document = match &client.id {
        ClientId::Document(url) => Some((url.host(), url.as_str())),
        ClientId::Configured(_) | ClientId::Registered(_) => None,
    };
    render(
        StatusCode::OK,
        Some(page.nonce),
        &ApproveTemplate {
            frame: Frame { reference: Some(page.reference), ..Frame::new(brand, "Connect an application") },
            client: client.display_name(),
            document,
            host: &host,
            redirect_uri: uri.as_str(),
            private_use_scheme: uri.is_private_use().then_some(&host),
            is_on_this_computer: uri.is_loopback() || uri.is_private_use(),
            words,
            page,
            days: page.is_remembered.then_some(ApprovedClients::LIFETIME / (24 * 3600)),
            script: include_str!("../../templates/approve.js"),
        },
    )
}
