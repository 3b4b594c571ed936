//! The home page: a description of this server, and the ways to connect an application.

use askama::Template;
use axum::body::Body;
use http::{Response, StatusCode};

use super::{Frame, Wording, render};
use crate::config::Brand;

/// The content of the home page.
pub(crate) struct HomePage<'a> {
    /// The URL of the MCP endpoint.
    pub(crate) resource: &'a str,
    /// The name for this server in the settings of an application.
    pub(crate) short_name: String,
    pub(crate) tools: Vec<HomeTool<'a>>,
}

/// A tool on the home page.
pub(crate) struct HomeTool<'a> {
    pub(crate) title: &'a str,
    pub(crate) is_read_only: bool,
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomeTemplate<'a> {
    frame: Frame<'a>,
    page: &'a HomePage<'a>,
}

/// Renders the home page.
pub(crate) fn home(brand: &Brand, page: &HomePage<'_>, words: &Wording) -> Response<Body> {
    let title = format!("Let AI agents use {}", words.api);
    render(StatusCode::OK, None, &HomeTemplate { frame: Frame::new(brand, &title), page })
}
