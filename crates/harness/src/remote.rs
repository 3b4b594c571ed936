//! Servers in other processes: forwarding to one of them, and a [`Network`] that they can reach.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use url::Url;

use crate::network::Network;

/// A server that listens at some origin, whatever the requests' own origin says.
#[derive(Clone, Debug)]
pub struct Remote {
    origin: String,
    client: reqwest::Client,
}

impl Remote {
    /// The server at the origin of `url`.
    pub fn at(url: &Url) -> Self {
        // reqwest wants one, also to speak without TLS. It is no harm if there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let no_redirects = reqwest::redirect::Policy::none();
        // A server that answers before it has read all of a body closes the connection, perhaps while it is used again.
        let builder = reqwest::Client::builder().redirect(no_redirects).pool_max_idle_per_host(0);
        let client = builder.build().expect("a client");
        Self { origin: url.origin().ascii_serialization(), client }
    }

    /// The server as a router, for a network to find.
    pub fn router(&self) -> Router {
        let this = self.clone();
        Router::new().fallback(async move |request: Request| this.send(request).await)
    }

    /// Sends a request there, and answers as it does.
    pub async fn send(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a whole body");
        let path = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let url = Url::parse(&format!("{}{path}", self.origin)).expect("an origin and a path are a URL");
        let request = self.client.request(parts.method, url).headers(parts.headers).body(body);
        let response = request.send().await.expect("an answer");
        let (parts, body) = http::Response::<reqwest::Body>::from(response).into_parts();
        http::Response::from_parts(parts, Body::new(body))
    }
}

/// Lets other processes into `network`: a request to the address that is answered goes to the URL that its header
/// `x-test-url` names. Where nobody answers for that, the response has the header `x-test-unplugged`.
pub fn listen(network: &Network) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.set_nonblocking(true).expect("a socket that does not block");
    let address = listener.local_addr().expect("an address");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let network = network.clone();
    let router = Router::new().fallback(async move |request: Request| enter(&network, request).await);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn enter(network: &Network, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let url = parts.headers.remove("x-test-url").and_then(|url| url.to_str().ok()?.parse().ok());
    let Some(url) = url else { return StatusCode::BAD_REQUEST.into_response() };
    parts.uri = url;
    parts.headers.remove(http::header::HOST);
    let body = to_bytes(body, usize::MAX).await.expect("a whole body");
    match network.send(http::Request::from_parts(parts, body)).await {
        Ok(response) => response.map(Body::from),
        Err(_) => [("x-test-unplugged", "")].into_response(),
    }
}
