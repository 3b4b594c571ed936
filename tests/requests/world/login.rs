//! Logins in a browser, and their results.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use harness::browser::{Browser, Page};
use http::StatusCode;
use pingone_sim::Failure;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::{CALLBACK, CHALLENGE, DEPUTY, Response, VERIFIER, World};

pub(crate) const HOUR: u64 = 3600;

/// The tokens of a client after a login.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) client: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) response: Value,
}

impl World {
    pub(crate) async fn register(&self, metadata: &Value) -> Value {
        let response = self.post_json("/register", metadata).await;
        assert_eq!(response.status, StatusCode::CREATED, "{}", response.text);
        response.json()
    }

    /// A public client whose redirect URI is [`CALLBACK`].
    pub(crate) async fn client(&self) -> String {
        let metadata = json!({
            "client_name": "Test client", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none",
        });
        self.register(&metadata).await["client_id"].as_str().expect("an id").to_owned()
    }

    /// The path of a valid authorization request, with some parameters replaced.
    #[expect(clippy::unused_self, reason = "reads as what the world's client asks")]
    pub(crate) fn authorize_path(&self, client: &str, overrides: &[(&str, &str)]) -> String {
        let mut params = vec![
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", CALLBACK),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("state", "client-state"),
        ];
        params.retain(|(name, _)| !overrides.iter().any(|(other, _)| other == name));
        params.extend(overrides);
        format!(
            "/authorize?{}",
            form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
        )
    }

    pub(crate) fn authorize_url(&self, client: &str, overrides: &[(&str, &str)]) -> String {
        format!("{DEPUTY}{}", self.authorize_path(client, overrides))
    }

    /// The page after the approval of a new client that sends these parameters.
    pub(crate) async fn approved_page(&self, browser: &mut Browser, parameters: &[(&str, &str)]) -> Page {
        let client = self.client().await;
        let page = browser.open(&self.authorize_url(&client, parameters)).await;
        browser.submit(&page, &[], "approve").await
    }

    /// Alice approves `client` and logs in where the pages ask for it. Ends at the client's redirect URI.
    pub(crate) async fn log_in_to(&self, browser: &mut Browser, client: &str) -> Page {
        self.log_in(browser, "alice", &self.authorize_url(client, &[])).await
    }

    /// Opens `url`, approves, logs in and consents where the pages ask for it.
    pub(crate) async fn log_in(&self, browser: &mut Browser, user: &str, url: &str) -> Page {
        let mut page = browser.open(url).await;
        if page.url.path() == "/authorize" {
            page = browser.submit(&page, &[], "approve").await;
        }
        self.finish_at_pingone(browser, user, page).await
    }

    /// The code of a successful login of Alice.
    pub(crate) async fn code(&self, client: &str) -> String {
        let page = self.log_in_to(&mut self.browser(), client).await;
        code_at_client(&page).unwrap_or_else(|| panic!("no code at {}:\n{}", page.url, page.text))
    }

    pub(crate) async fn redeem(&self, client: &str, code: &str) -> Response {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", CALLBACK),
        ];
        self.post_form("/token", &form).await
    }

    pub(crate) async fn refresh(&self, client: &str, token: &str) -> Response {
        let form = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
        self.post_form("/token", &form).await
    }

    /// A new client after a login of Alice.
    pub(crate) async fn connected(&self) -> Tokens {
        self.connected_as("alice", &[]).await
    }

    pub(crate) async fn connected_as(&self, user: &str, overrides: &[(&str, &str)]) -> Tokens {
        let client = self.client().await;
        let page = self.log_in(&mut self.browser(), user, &self.authorize_url(&client, overrides)).await;
        let code = code_at_client(&page).unwrap_or_else(|| panic!("no code at {}:\n{}", page.url, page.text));
        let response = self.redeem(&client, &code).await;
        assert_eq!(response.status, StatusCode::OK, "{}", response.text);
        Tokens::of(&client, &response)
    }
}

impl Tokens {
    pub(crate) fn of(client: &str, response: &Response) -> Self {
        Self::from_json(client, response.json())
    }

    pub(crate) fn from_json(client: &str, response: Value) -> Self {
        let text = |name| response[name].as_str().unwrap_or_default().to_owned();
        Self {
            client: client.to_owned(),
            access: text("access_token"),
            refresh: text("refresh_token"),
            response,
        }
    }
}

/// The code that Deputy redirected to the client. A refused callback stays at Deputy, with PingOne's code in its URL.
pub(crate) fn code_at_client(page: &Page) -> Option<String> {
    page.query("code").filter(|_| page.url.origin().ascii_serialization() != DEPUTY)
}

/// The name of a client that registered, which stands for its `client_id` in logs, audit events and lists.
pub(crate) fn known_name(client_id: &str) -> &str {
    client_id.split('.').next().unwrap_or_default()
}

/// The handle in the form of an approval page.
pub(crate) fn handle_in(page: &str) -> Option<&str> {
    page.split_once("name=\"handle\" value=\"")?.1.split('"').next()
}

/// The `Cookie` header of `browser` for Deputy.
pub(crate) fn cookie_header(browser: &Browser) -> String {
    let names = browser.cookie_names(DEPUTY).into_iter();
    let pairs = names
        .map(|name| format!("{name}={}", browser.cookie(DEPUTY, &name).expect("a cookie with this name")));
    pairs.collect::<Vec<_>>().join("; ")
}

/// The error that the authorization request at `path` redirects to the client, with its `state` and `iss`.
pub(crate) async fn authorization_error(world: &World, path: &str) -> String {
    let response = world.get(path).await;
    assert_eq!(response.status, StatusCode::SEE_OTHER, "{path}: {}", response.text);
    let location = response.location();
    assert!(location.as_str().starts_with(&format!("{CALLBACK}?error=")), "{location}");
    assert_eq!(location.fragment(), None);
    let pairs: Vec<_> = location.query_pairs().into_owned().collect();
    let names: Vec<_> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["error", "error_description", "state", "iss"]);
    assert_eq!((pairs[2].1.as_str(), pairs[3].1.as_str()), ("client-state", "https://deputy.example"));
    pairs[0].1.clone()
}

/// The error that a login with this failure at PingOne redirects to the client.
pub(crate) async fn login_error(failure: Failure) -> String {
    let world = World::new();
    world.pingone.force(failure);
    let client = world.client().await;
    let page = world.log_in_to(&mut world.browser(), &client).await;
    error_at_client(&world, &page)
}

/// The error at the client's redirect URI, with `state` and `iss` and without a code.
pub(crate) fn error_at_client(world: &World, page: &Page) -> String {
    assert!(page.url.as_str().starts_with(CALLBACK), "{}: {}", page.url, page.text);
    assert_eq!(
        (page.query("state").as_deref(), page.query("iss").as_deref()),
        (Some("client-state"), Some(DEPUTY))
    );
    assert_eq!(page.query("code"), None);
    let secret = &world.config.application.client_secret;
    assert!(!page.url.as_str().contains(secret.as_str()));
    page.query("error").expect("an error")
}

/// The unused callback URL of a login that Alice has finished at PingOne.
pub(crate) async fn finished_at_pingone(world: &World, browser: &mut Browser, client: &str) -> Url {
    let page = browser.open(&world.authorize_url(client, &[])).await;
    let page = browser.submit(&page, &[], "approve").await;
    // Deputy is unreachable when the browser returns, so that the callback stays unused.
    world.network.unplug(DEPUTY);
    let callback = world.log_in(browser, "alice", page.url.as_str()).await;
    assert_eq!(callback.url.path(), "/callback");
    world.start(&[]);
    callback.url
}

/// New tokens of Deputy, while PingOne's access token expires in `left` seconds.
pub(crate) async fn with_expiring_token(world: &World, left: u64) -> Tokens {
    let tokens = world.connected().await;
    world.host.advance(HOUR - 61);
    let tokens = Tokens::of(&tokens.client, &world.refresh(&tokens.client, &tokens.refresh).await);
    world.host.advance(61 - left);
    tokens
}

/// The claims of a JWT, unverified.
pub(crate) fn claims(jwt: &str) -> Value {
    let payload = jwt.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("JSON")
}
