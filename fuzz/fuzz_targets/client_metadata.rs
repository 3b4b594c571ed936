//! A registration request, and a client metadata document of the same bytes.
#![no_main]

use std::sync::LazyLock;

use deputy::{
    config::{Config, RedirectPolicy},
    host::Timestamp,
    oauth::{Client, RegistrationParams, SealedClient, register},
    types::{ClientId, ClientIdUrl},
};
use deputy_fuzz::config;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const DOCUMENT: &str = "https://client.example/metadata.json";

static CONFIG: LazyLock<Config> = LazyLock::new(config);

fuzz_target!(|body: &[u8]| {
    if let Ok(text) = std::str::from_utf8(body)
        && let Ok(url) = ClientIdUrl::parse(text)
    {
        let parsed = url::Url::parse(text).expect("a URL");
        assert_eq!(parsed.as_str(), text, "the fetched URL is the client_id");
        assert_eq!((parsed.scheme(), parsed.username(), parsed.fragment()), ("https", "", None));
        assert_eq!(parsed.host_str(), Some(url.host()));
    }
    if let Ok(text) = std::str::from_utf8(body) {
        assert_eq!(SealedClient::open(text, &CONFIG), None, "a client_id cannot be forged");
    }
    if let Ok(params) = RegistrationParams::parse(body, &CONFIG.redirect_policy) {
        let (id, response) = register(params, &CONFIG, Timestamp(1), &|buffer: &mut [u8]| buffer.fill(7));
        assert!(id.len() <= ClientId::LONGEST, "{} bytes", id.len());
        let SealedClient { client, is_retiring } = SealedClient::open(&id, &CONFIG).expect("its own client_id");
        assert!(!is_retiring);
        assert_safe(&client);
        let response: Value = serde_json::from_str(response.expose()).expect("JSON");
        assert_eq!(response["redirect_uris"].as_array().map(Vec::len), Some(client.redirect_uris.len()));
        assert_eq!(response["client_secret"].is_string(), client.secret.is_some());
    }
    let url = ClientIdUrl::parse(DOCUMENT).expect("a valid URL");
    if let Ok(client) = Client::from_document(&url, body, &RedirectPolicy::default()) {
        assert_eq!(client.id.as_str(), DOCUMENT);
        assert!(client.secret.is_none() && client.name.is_some());
        assert_safe(&client);
    }
});

/// The name can be shown to a user, and the redirect URIs are safe to redirect to.
fn assert_safe(client: &Client) {
    let name = client.display_name();
    assert!(
        name.chars().count() <= 100 && !name.chars().any(char::is_control) && !name.trim().is_empty(),
        "{name:?}"
    );
    assert!((1..=16).contains(&client.redirect_uris.len()));
    for uri in &client.redirect_uris {
        let scheme = uri.as_str().split(':').next().unwrap_or_default().to_ascii_lowercase();
        assert!(
            !["javascript", "data", "vbscript", "file", "blob", "about"].contains(&scheme.as_str()),
            "{uri}"
        );
    }
}
