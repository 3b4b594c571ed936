//! What a person does in the browser between a client's request and its answer.

use harness::{browser::Browser, network::Network, remote::Remote};
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
            network.serve(&url.origin().ascii_serialization(), Remote::at(url).router());
        }
        let mut browser = Browser::new(network);
        let approval = browser.open(authorization_url).await;
        let sign_on = browser.submit(&approval, &[], "approve").await;
        let credentials = [("username", self.username), ("password", self.password)];
        let consent = browser.submit(&sign_on, &credentials, "SIGNON").await;
        browser.submit(&consent, &[], "APPROVE").await.url
    }
}
