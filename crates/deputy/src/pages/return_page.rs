//! The last page of a login whose redirect URI has a private-use scheme.

use askama::Template;
use axum::body::Body;
use http::{Response, StatusCode};

use super::{Frame, render};
use crate::{config::Brand, types::Reference};

/// The authorization response that the page passes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReturnPage<'a> {
    pub(crate) reference: Option<Reference>,
    /// The URL of the authorization response.
    pub(crate) url: &'a str,
    /// The scheme of that URL, with its colon.
    pub(crate) scheme: &'a str,
    pub(crate) ending: Ending<'a>,
}

/// How the authorization request ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending<'a> {
    /// The user has approved a client with this name.
    Connected(Option<&'a str>),
    /// The request was refused for this reason.
    Refused(&'a str),
}

#[derive(Template)]
#[template(path = "return.html")]
struct ReturnTemplate<'a> {
    frame: Frame<'a>,
    url: &'a str,
    scheme: &'a str,
    client: Option<&'a str>,
    text: String,
    advice: &'a str,
}

/// Renders the page that opens the client's application.
///
/// A redirect to another scheme than `http` and `https` leaves the browser on the page before, which is a form of
/// `PingOne`. The page opens the application by itself without a script, and with a link where the browser wants a click.
pub(crate) fn return_to_application(brand: &Brand, page: ReturnPage<'_>) -> Response<Body> {
    let ReturnPage { reference, url, scheme, ending } = page;
    let (title, client, text, advice) = match ending {
        Ending::Connected(name) => (
            if name.is_some() { "Connected to" } else { "Connected" },
            name,
            "The login is complete.".to_owned(),
            "If the application does not open, use the button within two minutes. After that, start the connection again \
             from the application.",
        ),
        Ending::Refused(reason) => (
            "Not connected",
            None,
            format!("The application got no access: {reason}."),
            "To connect it after all, start the connection again from the application.",
        ),
    };
    let frame = Frame { reference, ..Frame::new(brand, title) };
    render(StatusCode::OK, None, &ReturnTemplate { frame, url, scheme, client, text, advice })
}
