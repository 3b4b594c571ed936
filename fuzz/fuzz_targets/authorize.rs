//! The query of `GET /authorize`, for a registered client.
#![no_main]

use std::sync::LazyLock;

use deputy::{
    config::Config,
    oauth::{AuthMethod, AuthorizationRequest, AuthorizeError, Client, Params, RedirectTarget},
    types::{ClientId, RedirectUri, RegisteredId},
};
use deputy_fuzz::{CALLBACK, config};
use libfuzzer_sys::fuzz_target;

static CONFIG: LazyLock<Config> = LazyLock::new(config);
static CLIENT: LazyLock<Client> = LazyLock::new(|| Client {
    id: ClientId::Registered(RegisteredId::new(&[7; 16])),
    name: None,
    redirect_uris: [CALLBACK, "http://127.0.0.1/cb"]
        .map(|uri| RedirectUri::parse(uri).expect("a valid URI"))
        .into(),
    auth_method: AuthMethod::None,
    secret: None,
    keys: None,
});

fuzz_target!(|query: &[u8]| {
    let params = Params::decode(query);
    let _ = AuthorizationRequest::client_id(&params);
    match AuthorizationRequest::parse(&params, &CLIENT, &CONFIG) {
        Ok(request) => {
            assert_registered(&request.target);
            assert!(request.access.scopes.is_subset(&CONFIG.api.scopes));
        }
        Err(AuthorizeError::Redirect { target, .. }) => assert_registered(&target),
        Err(AuthorizeError::Page(_)) => {}
    }
});

/// The response goes to a redirect URI that the client registered, whatever else the request contains.
fn assert_registered(target: &RedirectTarget) {
    let location = target.response_url(CONFIG.public_url.issuer(), &[("code", "secret")]);
    let url = url::Url::parse(&location).expect("a URL");
    let host = url.host_str().expect("a host");
    let registered = match url.scheme() {
        "https" => url.as_str().starts_with("https://client.example/cb?") && url.port().is_none(),
        "http" => host == "127.0.0.1" && url.path() == "/cb",
        _ => false,
    };
    assert!(registered && url.username().is_empty() && url.fragment().is_none(), "{location}");
    let count = |name| url.query_pairs().filter(|(key, _)| key == name).count();
    assert!(count("code") == 1 && count("iss") == 1 && count("state") <= 1, "{location}");
}
