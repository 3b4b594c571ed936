//! `GET /`, and the icon of the pages.

use std::sync::Arc;

use axum::extract::State;

use crate::{
    app::App,
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

/// A name that every application accepts for a server: lower-case letters, digits and hyphens.
fn short_name(name: &str) -> String {
    let letters = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' });
    let words: String = letters.collect();
    let short = words.split_whitespace().collect::<Vec<_>>().join("-");
    if short.is_empty() { "deputy".to_owned() } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_name_has_only_letters_digits_and_hyphens() {
        assert_eq!(short_name("Example's To-Dos; 2"), "example-s-to-dos-2");
        assert_eq!(short_name("待办"), "deputy");
    }
}
