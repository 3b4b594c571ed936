//! `GET /`, and the icon of the pages.

use std::sync::Arc;

use axum::extract::State;

use crate::{
    app::App,
    config::short_name,
    http::Response,
    pages::{self, HomePage, HomeTool},
};

/// `GET /`.
pub(crate) async fn get(State(app): State<Arc<App>>) -> Response {
    let tools = app.tools.iter();
    let page = HomePage {
        resource: &app.config.public_url.resource(),
        short_name: short_name(&app.config.brand.name),
        tools: tools.map(|tool| HomeTool { title: &tool.title, is_read_only: tool.is_read_only }).collect(),
    };
    pages::home(&app.config.brand, &page, &app.wording)
}

/// `GET /icon` and `GET /favicon.ico`.
pub(crate) async fn icon(State(app): State<Arc<App>>) -> Response {
    pages::icon(&app.config.brand)
}
