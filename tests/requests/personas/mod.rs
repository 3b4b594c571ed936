//! Whole lives of clients, each with the requests that this program sends: discovery, login, calls, expiry, a restart, a new
//! server key, a further scope, disconnection, and the next login.
//!
//! `./dev clients --all` does the same with programs that a registry has. Hosted clients and editors are only here.

mod table;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future::join;
use harness::browser::Browser;
use http::StatusCode;
use serde_json::{Value, json};
use url::Url;

use crate::{
    client_assertion::{publish_client, signed_by},
    return_page::opened_url,
    world::{DEPUTY, HOUR, Response, Tokens, VERIFIER, World, agent_ids},
};

/// A client and its habits.
struct Persona {
    name: &'static str,
    known: Known,
    /// The redirect URI that it sends.
    redirect_uri: &'static str,
    method: TokenMethod,
    /// The method of its first request to the MCP endpoint.
    probe: &'static str,
    /// The paths at which it looks for metadata.
    discovery: &'static [&'static str],
    /// Parameters of the authorization request.
    authorize: Vec<Parameter>,
    /// Parameters of a request with a code.
    redeem: Vec<Parameter>,
    /// Parameters of a request with a refresh token.
    refresh: Vec<Parameter>,
    refreshes: Refreshes,
    /// The revision of MCP.
    revision: &'static str,
    /// The origin of the page that it runs in.
    browser_origin: Option<&'static str>,
}

type Parameter = (&'static str, &'static str);

/// How the server knows it.
enum Known {
    /// It registers this metadata.
    Registers(Value),
    /// By this document.
    Document(Value),
}

/// How it authenticates at the token endpoint.
#[derive(Clone, Copy, PartialEq)]
enum TokenMethod {
    None,
    SecretBasic,
    SecretPost,
    Assertion,
}

#[derive(Clone, Copy, PartialEq)]
enum Refreshes {
    /// After a `401`.
    Once,
    /// Twice at the same time, in two processes, which go on with their own response.
    TwiceAtOnce,
    /// Twice at the same time, from two addresses. One response is lost.
    FromTwoAddresses,
    /// Before each call, because the token ends soon.
    BeforeEachCall,
}

/// A persona in a world.
struct Client<'a> {
    world: &'a World,
    persona: Persona,
    id: String,
    secret: String,
}

macro_rules! personas {
    ($($test:ident: $persona:ident,)*) => {$(
        #[tokio::test]
        async fn $test() {
            live(table::$persona()).await;
        }
    )*};
}

personas! {
    chatgpt_stays_connected: chatgpt,
    claude_code_stays_connected: claude_code,
    claude_stays_connected: claude,
    claude_that_registers_stays_connected: claude_that_registers,
    codex_stays_connected: codex,
    copilot_cli_stays_connected: copilot_cli,
    copilot_studio_stays_connected: copilot_studio,
    cursor_stays_connected: cursor,
    gemini_cli_stays_connected: gemini_cli,
    inspector_stays_connected: inspector,
    mcp_hub_stays_connected: mcp_hub,
    mcp_remote_stays_connected: mcp_remote,
    vs_code_stays_connected: vs_code,
}

async fn live(persona: Persona) {
    let world = World::with(&settings(OLD_KEY));
    let mut browser = world.browser();
    let mut client = Client { world: &world, persona, id: String::new(), secret: String::new() };

    let challenged = client.discover().await;
    client.become_known().await;
    let tokens = client.log_in(&mut browser, &[]).await;
    let mut tokens = client.use_tools(tokens).await;

    world.host.advance(HOUR);
    assert_eq!(client.call(&tokens, "who_am_i").await.status, StatusCode::UNAUTHORIZED);
    tokens = client.refresh(&tokens).await;
    tokens = client.use_tools(tokens).await;

    world.start(&settings(OLD_KEY));
    tokens = client.use_tools(tokens).await;
    tokens = client.refresh(&tokens).await;
    tokens = client.use_tools(tokens).await;

    // A new server key, and later without the old one.
    let both = [NEW_KEY, OLD_KEY].join(",");
    world.start(&settings(&both));
    tokens = client.use_tools(tokens).await;
    tokens = client.refresh(&tokens).await;
    world.start(&settings(NEW_KEY));
    tokens = client.use_tools(tokens).await;
    tokens = client.refresh(&tokens).await;
    tokens = client.use_tools(tokens).await;

    // A login for less, and then for what a call needs.
    let narrow = client.log_in(&mut browser, &[("scope", "todo:read")]).await;
    let refused = client.call(&narrow, "create_new_todo").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
    let challenge = refused.header("www-authenticate");
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    let needed = parameter(&challenge, "scope");
    assert_eq!(needed, challenged, "{challenge}");
    let wide = client.log_in(&mut browser, &[("scope", &needed)]).await;
    client.use_tools(wide).await;

    // The user disconnects it. It learns that, and logs in with the same id.
    let mut own = world.browser();
    let page = world.sign_in_to_agents(&mut own, "alice").await;
    assert_eq!(agent_ids(&page).len(), 3, "{}", page.text);
    assert_eq!(own.submit(&page, &[("confirm", "yes")], "end-all").await.status, StatusCode::OK);
    assert_eq!(client.call(&tokens, "who_am_i").await.status, StatusCode::UNAUTHORIZED);
    let refused = client.token(&client.refresh_form(&tokens.refresh), &world.address).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(refused.json()["error"], "invalid_grant");
    let tokens = client.log_in(&mut browser, &[]).await;
    client.use_tools(tokens).await;
}

/// The settings of a Deputy for all these clients.
fn settings(key: &str) -> [(&str, &str); 3] {
    [
        ("COOKIE_ENCRYPTION_KEY", key),
        ("ALLOWED_ORIGINS", "http://localhost:6274"),
        ("PRIVATE_USE_REDIRECT_URIS", "cursor://anysphere.cursor-mcp/oauth/callback"),
    ]
}

impl Client<'_> {
    /// Finds out how to log in. Returns the scopes of the challenge.
    async fn discover(&self) -> String {
        let Persona { probe, discovery, browser_origin, .. } = &self.persona;
        let origin: Vec<_> = browser_origin.iter().map(|origin| ("origin", *origin)).collect();
        let refused = self.world.request(probe, "/mcp", &origin, "").await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        let challenge = refused.header("www-authenticate");
        let metadata = parameter(&challenge, "resource_metadata");
        let mut names_server = false;
        for path in [metadata.as_str()].into_iter().chain(discovery.iter().copied()) {
            let response = self.world.request("GET", path, &origin, "").await;
            assert_eq!(response.status, StatusCode::OK, "{path}");
            assert_eq!(response.header("access-control-allow-origin"), "*", "{path}");
            let document = response.json();
            if let Some(resource) = document.get("resource") {
                assert_eq!(resource, &json!(table::resource()), "{path}");
                assert_eq!(document["authorization_servers"], json!([DEPUTY]), "{path}");
            } else {
                names_server = true;
                assert_eq!(document["issuer"], DEPUTY, "{path}");
                assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]), "{path}");
            }
        }
        assert!(names_server);
        parameter(&challenge, "scope")
    }

    async fn become_known(&mut self) {
        match &self.persona.known {
            Known::Registers(metadata) => {
                let registered = self.world.register(metadata).await;
                let text = |name: &str| registered[name].as_str().unwrap_or_default().to_owned();
                (self.id, self.secret) = (text("client_id"), text("client_secret"));
                let has_secret = self.persona.method != TokenMethod::None;
                assert_eq!(has_secret, !self.secret.is_empty(), "{registered}");
            }
            Known::Document(document) => {
                document["client_id"].as_str().expect("a URL").clone_into(&mut self.id);
                publish_client(self.world, document.clone());
            }
        }
    }

    /// A login of Alice, with some parameters replaced.
    async fn log_in(&self, browser: &mut Browser, replaced: &[(&str, &str)]) -> Tokens {
        let Persona { authorize, redirect_uri, redeem, .. } = &self.persona;
        let kept = authorize.iter().filter(|(name, _)| !replaced.iter().any(|(other, _)| other == name));
        let mut params: Vec<(&str, &str)> = kept.copied().chain(replaced.iter().copied()).collect();
        params.push(("redirect_uri", redirect_uri));
        let page = self.world.log_in(browser, "alice", &self.world.authorize_url(&self.id, &params)).await;
        let is_private_use = !redirect_uri.starts_with("http");
        let arrived: Url = if is_private_use { opened_url(&page) } else { page.url };
        assert!(arrived.as_str().starts_with(redirect_uri), "{arrived}\n{}", page.text);
        let got = |name: &str| {
            arrived.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        assert_eq!((got("state").as_deref(), got("iss").as_deref()), (Some("client-state"), Some(DEPUTY)));
        let code = got("code").expect("a code");
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("code_verifier", VERIFIER),
            ("redirect_uri", redirect_uri),
        ];
        form.extend(redeem);
        let response = self.token(&form, &self.world.address).await;
        assert_eq!(response.status, StatusCode::OK, "{}", response.text);
        assert_eq!(response.header("cache-control"), "no-store");
        assert!(
            response.json()["scope"].is_string() && response.json()["expires_in"].is_u64(),
            "{}",
            response.text
        );
        Tokens::of(&self.id, &response)
    }

    /// A token request from a remote address.
    async fn token(&self, form: &[(&str, &str)], address: &str) -> Response {
        let mut form = form.to_vec();
        let mut headers = vec![
            ("content-type", "application/x-www-form-urlencoded;charset=UTF-8"),
            ("x-test-address", address),
        ];
        headers.extend(self.persona.browser_origin.map(|origin| ("origin", origin)));
        let (basic, assertion);
        match self.persona.method {
            TokenMethod::None => form.push(("client_id", &self.id)),
            TokenMethod::SecretPost => {
                form.extend([("client_id", &*self.id), ("client_secret", &*self.secret)]);
            }
            TokenMethod::SecretBasic => {
                basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", self.id, self.secret)));
                headers.push(("authorization", &basic));
            }
            TokenMethod::Assertion => {
                assertion = signed_by(self.world, &self.id);
                form.extend([
                    ("client_id", &*self.id),
                    ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                    ("client_assertion", &assertion),
                ]);
            }
        }
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.world.request("POST", "/token", &headers, &body).await
    }

    fn refresh_form<'a>(&'a self, token: &'a str) -> Vec<(&'a str, &'a str)> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        form.into_iter().chain(self.persona.refresh.iter().copied()).collect()
    }

    async fn refresh(&self, tokens: &Tokens) -> Tokens {
        let form = self.refresh_form(&tokens.refresh);
        let other = "2001:db8:ffff::1";
        let (first, second) = match self.persona.refreshes {
            Refreshes::Once | Refreshes::BeforeEachCall => {
                (self.token(&form, &self.world.address).await, None)
            }
            Refreshes::TwiceAtOnce => {
                let address = &self.world.address;
                let (first, second) = join(self.token(&form, address), self.token(&form, address)).await;
                (first, Some(second))
            }
            Refreshes::FromTwoAddresses => {
                let lost = self.token(&form, &self.world.address).await;
                (lost, Some(self.token(&form, other).await))
            }
        };
        assert_eq!(first.status, StatusCode::OK, "{}: {}", self.persona.name, first.text);
        let refreshed = Tokens::of(&self.id, &first);
        let Some(second) = second else { return refreshed };
        assert_eq!(second.status, StatusCode::OK, "{}: {}", self.persona.name, second.text);
        // Both processes go on.
        self.use_tools_once(&refreshed).await;
        Tokens::of(&self.id, &second)
    }

    /// Initializes where the revision has that, lists the tools, and calls some. Returns the tokens that it has then.
    async fn use_tools(&self, mut tokens: Tokens) -> Tokens {
        if self.persona.refreshes == Refreshes::BeforeEachCall {
            tokens = self.refresh(&tokens).await;
        }
        self.use_tools_once(&tokens).await;
        tokens
    }

    async fn use_tools_once(&self, tokens: &Tokens) {
        if self.persona.revision != "2026-07-28" {
            let info = json!({ "name": self.persona.name, "version": "1" });
            let params =
                json!({ "protocolVersion": self.persona.revision, "capabilities": {}, "clientInfo": info });
            let initialized = self.send(tokens, "initialize", params).await;
            assert_eq!(initialized.json()["result"]["protocolVersion"], self.persona.revision);
        }
        let listed = self.send(tokens, "tools/list", json!({})).await.json();
        assert_eq!(listed["result"]["tools"].as_array().map(Vec::len), Some(5));
        for tool in ["who_am_i", "create_new_todo", "get_my_todo_list"] {
            let called = self.call(tokens, tool).await;
            assert_eq!(called.status, StatusCode::OK, "{tool}: {}", called.text);
            assert_ne!(called.json()["result"]["isError"], json!(true), "{tool}: {}", called.text);
        }
    }

    async fn call(&self, tokens: &Tokens, tool: &str) -> Response {
        let arguments = if tool == "create_new_todo" { json!({ "text": "Buy milk" }) } else { json!({}) };
        self.send(tokens, "tools/call", json!({ "name": tool, "arguments": arguments })).await
    }

    async fn send(&self, tokens: &Tokens, method: &str, mut params: Value) -> Response {
        let Persona { revision, browser_origin, name, .. } = &self.persona;
        let authorization = format!("Bearer {}", tokens.access);
        let mut headers = vec![
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", revision),
        ];
        headers.extend(browser_origin.map(|origin| ("origin", origin)));
        let tool = params["name"].as_str().map(str::to_owned);
        if *revision == "2026-07-28" {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": revision,
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": { "name": name, "version": "1" },
            });
            headers.push(("mcp-method", method));
            headers.extend(tool.as_deref().map(|tool| ("mcp-name", tool)));
        }
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.world.request("POST", "/mcp", &headers, &message.to_string()).await
    }
}

/// A parameter of a challenge in `WWW-Authenticate`.
fn parameter(challenge: &str, name: &str) -> String {
    let before = format!("{name}=\"");
    let value = challenge.split_once(&before).and_then(|(_, rest)| rest.split('"').next());
    value.unwrap_or_else(|| panic!("no {name} in {challenge}")).to_owned()
}

const OLD_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const NEW_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
