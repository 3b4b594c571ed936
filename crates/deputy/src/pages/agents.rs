//! *Your agents*: the connected clients of a user.

use askama::Template;
use axum::body::Body;
use http::{Response, StatusCode};

use super::{Frame, Wording, render};
use crate::config::Brand;

/// The content of *Your agents*.
pub(crate) struct AgentsPage<'a> {
    /// The name of the user who signed in.
    pub(crate) user: &'a str,
    pub(crate) notice: Option<Notice<'a>>,
    /// The hidden value that the forms send back.
    pub(crate) token: &'a str,
    pub(crate) agents: Vec<AgentCard<'a>>,
}

/// A sentence about the request that was just made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Notice<'a> {
    /// It had the effect that the user wanted.
    Done(&'a str),
    /// It had not.
    Problem(&'a str),
}

/// One connected client.
pub(crate) struct AgentCard<'a> {
    /// The name of the grant in forms.
    pub(crate) id: String,
    /// The name that the client chose.
    pub(crate) name: Option<&'a str>,
    /// The host of the client's metadata document.
    pub(crate) document_host: Option<&'a str>,
    pub(crate) redirect_host: Option<&'a str>,
    /// Whether that is a loopback address.
    pub(crate) is_on_this_computer: bool,
    pub(crate) scopes: Vec<&'a str>,
    /// Times in words.
    pub(crate) connected: String,
    /// When a tool was called last, and its title.
    pub(crate) last_call: Option<(String, String)>,
    /// Calls in the last day.
    pub(crate) calls: u32,
    pub(crate) can_be_read_only: bool,
}

#[derive(Template)]
#[template(path = "agents.html")]
struct AgentsTemplate<'a> {
    frame: Frame<'a>,
    words: &'a Wording,
    page: &'a AgentsPage<'a>,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInTemplate<'a> {
    frame: Frame<'a>,
    notice: Option<Notice<'a>>,
}

/// Renders *Your agents*.
pub(crate) fn agents(brand: &Brand, page: &AgentsPage<'_>, words: &Wording) -> Response<Body> {
    render(StatusCode::OK, None, &AgentsTemplate { frame: Frame::new(brand, TITLE), words, page })
}

/// Renders the page that asks the user to sign in.
pub(crate) fn sign_in(brand: &Brand, status: StatusCode, notice: Option<Notice<'_>>) -> Response<Body> {
    render(status, None, &SignInTemplate { frame: Frame::new(brand, TITLE), notice })
}

const TITLE: &str = "Your agents";
