//! Servers in other processes: forwarding requests to them, and serving a [`Network`] to them.

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

/// A server in another process. Requests go to its origin, whatever their own origin is.
#[derive(Clone, Debug)]
pub struct Remote {
    origin: String,
    client: reqwest::Client,
}

impl Remote {
    /// The server at the origin of `url`.
    pub fn at(url: &Url) -> Self {
        // reqwest needs a provider even without TLS. This fails if there is one already, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let no_redirects = reqwest::redirect::Policy::none();
        // A server that responds before it has read the whole body closes the connection, so connections are not
        // reused.
        let builder = reqwest::Client::builder().redirect(no_redirects).pool_max_idle_per_host(0);
        let client = builder.build().expect("a client");
        Self { origin: url.origin().ascii_serialization(), client }
    }

    /// A router that forwards every request to the server.
    pub fn router(&self) -> Router {
        let this = self.clone();
        Router::new().fallback(async move |request: Request| this.send(request).await)
    }

    /// Forwards a request and returns the response.
    pub async fn send(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a whole body");
        let path = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let url = Url::parse(&format!("{}{path}", self.origin)).expect("an origin and a path are a URL");
        let request = self.client.request(parts.method, url).headers(parts.headers).body(body);
        let response = request.send().await.expect("a response");
        let (parts, body) = http::Response::<reqwest::Body>::from(response).into_parts();
        http::Response::from_parts(parts, Body::new(body))
    }
}

/// Serves `network` to other processes, and returns the address. The header `x-test-url` of a request names the URL
/// that it is for. If the network serves no such URL, the response has the header `x-test-unplugged`.
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
