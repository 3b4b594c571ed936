//! What a person does in the browser between a client's request and its answer.

use axum::{Router, body::Body, extract::Request};
use harness::{browser::Browser, network::Network};
use url::Url;

use crate::demo::Demo;

/// One of the demo's people.
pub(crate) struct Person {
    username: &'static str,
    password: &'static str,
}

pub(crate) const ALICE: Person = Person { username: "alice", password: "Alice-demo-1" };
pub(crate) const BOB: Person = Person { username: "bob", password: "Bob-demo-1" };

impl Person {
    /// Opens what the client asked to open, approves, signs on, consents, and says where the browser arrived.
    pub(crate) async fn authorize(&self, demo: &Demo, authorization_url: &str) -> Url {
        let network = Network::default();
        for url in [&demo.mcp, &demo.pingone] {
            network.serve(&url.origin().ascii_serialization(), server_at(url.clone()));
        }
        let mut browser = Browser::new(network);
        let approval = browser.open(authorization_url).await;
        let sign_on = browser.submit(&approval, &[], "approve").await;
        let credentials = [("username", self.username), ("password", self.password)];
        let consent = browser.submit(&sign_on, &credentials, "SIGNON").await;
        browser.submit(&consent, &[], "APPROVE").await.url
    }
}

/// What listens at `origin`, as a router, which is what the browser of the harness talks to.
fn server_at(origin: Url) -> Router {
    let no_redirects = reqwest::redirect::Policy::none();
    let client = reqwest::Client::builder().redirect(no_redirects).build().unwrap();
    Router::new().fallback(async move |request: Request| {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let url = origin.join(parts.uri.path_and_query().unwrap().as_str()).unwrap();
        let request = client.request(parts.method, url).headers(parts.headers).body(body);
        let response = http::Response::<reqwest::Body>::from(request.send().await.unwrap());
        let (parts, body) = response.into_parts();
        http::Response::from_parts(parts, Body::new(body))
    })
}
