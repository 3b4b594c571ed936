//! The steps of a user in the browser, from the authorization request to the redirect back to the client.

use harness::{browser::Browser, network::Network, remote::Remote};
use url::Url;

use crate::demo::Demo;

/// A user of the demo.
pub(crate) struct User {
    username: &'static str,
    password: &'static str,
}

pub(crate) const ALICE: User = User { username: "alice", password: "Alice-demo-1" };
pub(crate) const BOB: User = User { username: "bob", password: "Bob-demo-1" };

impl User {
    /// Opens the authorization URL, approves, signs on and consents. Returns the URL of the redirect back to the
    /// client.
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
