//! Requests in, responses out: what an OIDC client sees of the simulator, and what a person does.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http_body_util::BodyExt as _;
use pingone_sim::{Failure, ResourceMode, SimConfig, SimEnvironment, Simulator};
use serde_json::{Value, json};
use tower_service::Service as _;
use url::{Url, form_urlencoded};

const CALLBACK: &str = "https://app.example/callback";
const API: &str = "https://api.example";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const SCOPES: &str = "openid profile offline_access todo:read";

/// A clock that is moved by hand, and a counter for randomness.
struct Frozen {
    now: AtomicU64,
    drawn: AtomicU64,
}

impl SimEnvironment for Frozen {
    fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        use sha2::{Digest as _, Sha256};
        let drawn = self.drawn.fetch_add(1, Ordering::SeqCst);
        for (byte, random) in buffer.iter_mut().zip(Sha256::digest(drawn.to_be_bytes())) {
            *byte = random;
        }
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }
}

struct World {
    sim: Simulator,
    environment: Arc<Frozen>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// A parameter of the redirect.
    fn told(&self, name: &str) -> Option<String> {
        let location = Url::parse(self.headers.get(header::LOCATION)?.to_str().ok()?).ok()?;
        location.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    fn cookie(&self) -> String {
        let cookie =
            self.headers.get(header::SET_COOKIE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        cookie.split(';').next().unwrap_or_default().to_owned()
    }

    fn flow(&self) -> String {
        let value = self.text.split("name=\"flow\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        value.unwrap_or_else(|| panic!("no flow: {}", self.text)).to_owned()
    }

    /// The code that the simulator shows because it sends no mail.
    fn mailed(&self) -> String {
        self.text
            .split("The code is <code>")
            .nth(1)
            .and_then(|rest| rest.split('<').next())
            .expect("a code")
            .to_owned()
    }
}

impl World {
    fn new() -> Self {
        let environment = Arc::new(Frozen { now: AtomicU64::new(1_767_225_600), drawn: AtomicU64::new(0) });
        let config = SimConfig::demo("https://auth.pingone.example", CALLBACK, API);
        Self { sim: Simulator::new(config, Arc::clone(&environment) as Arc<dyn SimEnvironment>), environment }
    }

    fn advance(&self, seconds: u64) {
        self.environment.now.fetch_add(seconds, Ordering::SeqCst);
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.sim.router().call(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    fn at(&self, path: &str) -> String {
        format!("/{}/as/{path}", self.sim.config().environment_id)
    }

    async fn authorize(&self, otherwise: &[(&str, &str)], cookie: &str) -> Answer {
        let config = self.sim.config();
        let mut params = vec![
            ("response_type", "code"),
            ("client_id", config.application.client_id.as_str()),
            ("redirect_uri", CALLBACK),
            ("scope", SCOPES),
            ("state", "s"),
            ("nonce", "n"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("acr_values", config.policy_id.as_str()),
        ];
        params.retain(|(name, _)| !otherwise.iter().any(|(other, _)| other == name));
        params.extend(otherwise);
        self.send(
            "GET",
            &self.at(&format!("authorize?{}", form(&params))),
            &[("cookie", cookie)],
            String::new(),
        )
        .await
    }

    async fn submit(&self, flow: &str, action: &str, fields: &[(&str, &str)]) -> Answer {
        let path = format!("/{}/davinci/flow", self.sim.config().environment_id);
        let body = form(&[&[("flow", flow), ("action", action)], fields].concat());
        self.send("POST", &path, &[], body).await
    }

    async fn sign_on(&self, username: &str, password: &str) -> Answer {
        let page = self.authorize(&[], "").await;
        self.submit(&page.flow(), "SIGNON", &[("username", username), ("password", password)]).await
    }

    async fn token(&self, fields: &[(&str, &str)]) -> Answer {
        let application = &self.sim.config().application;
        let basic = STANDARD.encode(format!("{}:{}", application.client_id, application.client_secret));
        self.send("POST", &self.at("token"), &[("authorization", &format!("Basic {basic}"))], form(fields))
            .await
    }

    async fn redeem(&self, code: &str) -> Answer {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.token(&fields).await
    }

    async fn refresh(&self, token: &str) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// Somebody who needs no pages.
    async fn code(&self) -> String {
        self.authorize(&[("login_hint", "auto")], "").await.told("code").expect("a code")
    }

    async fn tokens(&self) -> Value {
        self.redeem(&self.code().await).await.json()
    }
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn claims(token: &Value) -> Value {
    let payload = token.as_str().and_then(|token| token.split('.').nth(1)).expect("a JWT");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn every_answer_says_that_it_is_a_simulators_and_has_a_correlation_id() {
    let world = World::new();
    for path in ["/", "/nowhere", &world.at("jwks"), &world.at("authorize")] {
        let answer = world.send("GET", path, &[], String::new()).await;
        assert_eq!(answer.headers["x-pingone-simulator"], "true", "{path}");
        assert_eq!(answer.headers["correlation-id"].len(), 36, "{path}");
    }
    let page = world.authorize(&[], "").await;
    assert!(page.text.contains("This is a simulator, not PingOne."));
}

#[tokio::test]
async fn discovery_names_endpoints_and_keys_have_no_alg() {
    let world = World::new();
    let discovery =
        world.send("GET", &world.at(".well-known/openid-configuration"), &[], String::new()).await.json();
    assert_eq!(discovery["issuer"], world.sim.config().issuer());
    assert_eq!(discovery["registration_endpoint"], Value::Null);
    let keys = world.send("GET", &world.at("jwks"), &[], String::new()).await.json();
    let keys = keys["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2, "the current one and the next");
    assert!(
        keys.iter().all(|key| key["alg"].is_null()
            && key["use"] == "sig"
            && key["n"].as_str().unwrap().len() == 342)
    );
}

#[tokio::test]
async fn a_person_signs_on_approves_and_comes_back_with_a_code() {
    let world = World::new();
    let consent = world.sign_on("alice", "Alice-demo-1").await;
    assert!(
        consent.text.contains("See your to-do list") && consent.text.contains("APPROVE"),
        "{}",
        consent.text
    );
    let back = world.submit(&consent.flow(), "APPROVE", &[]).await;
    assert_eq!((back.status, back.told("state").as_deref()), (StatusCode::FOUND, Some("s")));
    let tokens = world.redeem(&back.told("code").unwrap()).await.json();
    let id_token = claims(&tokens["id_token"]);
    assert_eq!((&id_token["nonce"], &id_token["preferred_username"]), (&json!("n"), &json!("alice")));
    assert_eq!(id_token["acr"], world.sim.config().policy_id);
    assert_eq!(claims(&tokens["access_token"])["aud"], json!([API]));
    let again = world.authorize(&[], &consent.cookie()).await;
    assert!(again.told("code").is_some(), "session and consent are remembered");
    let asked = world.authorize(&[("prompt", "login")], &consent.cookie()).await;
    assert!(asked.text.contains("SIGNON"));
}

#[tokio::test]
async fn wrong_passwords_are_counted_and_lock_the_account() {
    let world = World::new();
    for remaining in (0..5).rev() {
        let page = world.sign_on("alice", "wrong").await;
        assert!(page.text.contains(&format!("{remaining} attempts remaining")), "{}", page.text);
    }
    assert!(world.sign_on("alice", "Alice-demo-1").await.text.contains("locked"));
    assert!(world.sign_on("carol", "Carol-demo-1").await.text.contains("locked"));
    assert!(world.sign_on("nobody", "x").await.text.contains("Incorrect username or password."));
}

#[tokio::test]
async fn a_forgotten_password_is_reset_with_a_code() {
    let world = World::new();
    let page = world.authorize(&[], "").await;
    let page = world.submit(&page.flow(), "TROUBLE", &[]).await;
    let page = world.submit(&page.flow(), "RECOVER", &[("username", "carol")]).await;
    let wrong = world.submit(&page.flow(), "RESET", &[("code", "x"), ("password", "New-password-1")]).await;
    assert!(wrong.text.contains("Invalid verification code"));
    let code = page.mailed();
    let weak = world.submit(&page.flow(), "RESET", &[("code", &code), ("password", "weak")]).await;
    assert!(weak.text.contains("password policy"));
    world.submit(&page.flow(), "RESET", &[("code", &code), ("password", "New-password-1")]).await;
    assert!(world.sign_on("alice", "Alice-demo-1").await.text.contains("APPROVE"), "others are as before");
}

#[tokio::test]
async fn somebody_new_registers_verifies_and_is_asked_for_consent() {
    let world = World::new();
    let page = world.authorize(&[], "").await;
    let page = world.submit(&page.flow(), "REGISTER", &[]).await;
    let fields = |username: &'static str| {
        [
            ("username", username),
            ("email", "d@example.com"),
            ("password", "Dora-demo-1"),
            ("given_name", "<b>Dora</b>"),
        ]
    };
    assert!(world.submit(&page.flow(), "REGISTER", &fields("alice")).await.text.contains("already in use"));
    let page = world.submit(&page.flow(), "REGISTER", &fields("dora")).await;
    let code = page.mailed();
    let consent = world.submit(&page.flow(), "VERIFY", &[("code", &code)]).await;
    assert!(consent.text.contains("dora") && !consent.text.contains("<b>"), "{}", consent.text);
}

#[tokio::test]
async fn declining_is_told_with_the_error_that_the_flows_author_chose() {
    let world = World::new();
    let consent = world.sign_on("alice", "Alice-demo-1").await;
    assert_eq!(
        world.submit(&consent.flow(), "DECLINE", &[]).await.told("error").as_deref(),
        Some("access_denied")
    );
    world.sim.configure(|pingone| pingone.decline_error = "invalid_request".into());
    let answer = world.authorize(&[("login_hint", "auto-deny")], "").await;
    assert_eq!(answer.told("error").as_deref(), Some("invalid_request"));
    assert!(answer.told("error_description").unwrap().contains("(Correlation ID: "));
}

#[tokio::test]
async fn a_wrong_application_or_address_is_shown_and_not_redirected() {
    let world = World::new();
    for (name, value) in [("client_id", "x"), ("redirect_uri", "https://evil.example/"), ("redirect_uri", "")]
    {
        let answer = world.authorize(&[(name, value)], "").await;
        assert_eq!(
            (answer.status, answer.headers.get(header::LOCATION)),
            (StatusCode::BAD_REQUEST, None),
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_else_is_wrong_is_told_to_the_application() {
    let world = World::new();
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("acr_values", "Single_Factor", "invalid_request"),
        ("scope", "openid nonsense", "invalid_scope"),
        ("scope", "openid p1:read:user todo:read", "invalid_scope"),
        ("resource", "https://other.example", "invalid_target"),
        ("prompt", "none", "login_required"),
    ] {
        let answer = world.authorize(&[(name, value)], "").await;
        assert_eq!(
            (answer.told("error").as_deref(), answer.told("state").as_deref()),
            (Some(error), Some("s")),
            "{name}={value}"
        );
    }
    world.sim.configure(|pingone| pingone.resource_mode = ResourceMode::Rejected);
    let answer = world.authorize(&[("resource", API)], "").await;
    assert!(
        answer.told("error_description").unwrap().contains("May not request scopes for multiple resources")
    );
}

#[tokio::test]
async fn a_code_is_good_once_soon_and_for_its_verifier() {
    let world = World::new();
    let code = world.code().await;
    assert_eq!(world.redeem(&code).await.status, StatusCode::OK);
    assert_eq!(world.redeem(&code).await.json()["error"], "invalid_grant");
    let code = world.code().await;
    world.advance(60);
    assert_eq!(world.redeem(&code).await.json()["error"], "invalid_grant");
    let code = world.code().await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", CHALLENGE),
    ];
    assert_eq!(world.token(&fields).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn a_client_with_a_wrong_secret_or_method_hears_the_same() {
    let world = World::new();
    let application = &world.sim.config().application;
    let wrong = format!("Basic {}", STANDARD.encode(format!("{}:wrong", application.client_id)));
    let post = form(&[
        ("client_id", &application.client_id),
        ("client_secret", &application.client_secret),
        ("grant_type", "refresh_token"),
    ]);
    for (headers, body) in [(vec![("authorization", wrong.as_str())], String::new()), (vec![], post)] {
        let answer = world.send("POST", &world.at("token"), &headers, body).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (StatusCode::UNAUTHORIZED, &json!("invalid_client"))
        );
        assert!(answer.text.contains("Unsupported authentication method"));
    }
}

#[tokio::test]
async fn a_rotated_refresh_token_takes_its_family_with_it() {
    let world = World::new();
    let first = world.tokens().await["refresh_token"].as_str().unwrap().to_owned();
    let second = world.refresh(&first).await.json()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(world.refresh(&first).await.json()["error"], "invalid_grant");
    assert_eq!(world.refresh(&second).await.json()["error"], "invalid_grant", "the successor too");
    world.sim.configure(|pingone| pingone.refresh_grace_seconds = 10);
    let first = world.tokens().await["refresh_token"].as_str().unwrap().to_owned();
    world.refresh(&first).await;
    assert_eq!(world.refresh(&first).await.status, StatusCode::OK, "within the grace period");
}

#[tokio::test]
async fn refresh_tokens_die_with_their_session_unless_configured_otherwise() {
    let world = World::new();
    let token = world.tokens().await["refresh_token"].as_str().unwrap().to_owned();
    for _ in 0..10 {
        world.code().await;
    }
    assert_eq!(
        world.refresh(&token).await.json()["error"],
        "invalid_grant",
        "the eleventh session purged the first"
    );
    world.sim.configure(|pingone| pingone.skip_token_session_validation = true);
    assert_eq!(world.refresh(&token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_refresh_token_is_given_for_offline_access_and_can_be_revoked() {
    let world = World::new();
    let answer = world.authorize(&[("login_hint", "auto"), ("scope", "openid todo:read")], "").await;
    assert_eq!(world.redeem(&answer.told("code").unwrap()).await.json()["refresh_token"], Value::Null);
    let token = world.tokens().await["refresh_token"].as_str().unwrap().to_owned();
    let application = &world.sim.config().application;
    let basic = format!(
        "Basic {}",
        STANDARD.encode(format!("{}:{}", application.client_id, application.client_secret))
    );
    world.send("POST", &world.at("revoke"), &[("authorization", &basic)], form(&[("token", &token)])).await;
    assert_eq!(world.refresh(&token).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn userinfo_says_what_the_scopes_allow_and_nothing_after_sign_off() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.tokens().await["access_token"].as_str().unwrap());
    let answer =
        world.send("GET", &world.at("userinfo"), &[("authorization", &bearer)], String::new()).await.json();
    assert_eq!((&answer["preferred_username"], &answer["email"]), (&json!("auto"), &Value::Null));
    world.sim.end_sessions();
    let answer = world.send("GET", &world.at("userinfo"), &[("authorization", &bearer)], String::new()).await;
    assert_eq!((answer.status, &answer.json()["code"]), (StatusCode::UNAUTHORIZED, &json!("ACCESS_FAILED")));
}

#[tokio::test]
async fn what_is_forced_happens_once_or_until_it_is_cleared() {
    let world = World::new();
    let force = |always: bool| json!({"failure": {"token": [503, "{}"]}, "always": always}).to_string();
    let headers = [("content-type", "application/json")];
    assert_eq!(
        world.send("POST", "/sim/failures", &headers, force(false)).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(world.redeem("x").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.redeem("x").await.status, StatusCode::BAD_REQUEST);
    world.send("POST", "/sim/failures", &headers, force(true)).await;
    for _ in 0..3 {
        assert_eq!(world.redeem("x").await.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    world.send("DELETE", "/sim/failures", &[], String::new()).await;
    assert_eq!(world.redeem("x").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.sim.requests("token"), 6);
}

#[tokio::test]
async fn claims_can_be_forced() {
    let world = World::new();
    world.sim.force(Failure::IdTokenClaim("acr".into(), json!("Single_Factor")));
    world.sim.force(Failure::TokenMember("scope".into(), Value::Null));
    let tokens = world.tokens().await;
    assert_eq!(
        (&claims(&tokens["id_token"])["acr"], &tokens["scope"]),
        (&json!("Single_Factor"), &Value::Null)
    );
}

#[tokio::test]
async fn keys_people_and_tokens_survive_a_restart_with_a_state_file() {
    let folder = std::env::temp_dir().join(format!("pingone-sim-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("state.json");
    let world = World::new();
    let open = || {
        let environment = Arc::clone(&world.environment) as Arc<dyn SimEnvironment>;
        let config = world.sim.config().clone();
        World {
            sim: Simulator::with_state_file(config, environment, &file).unwrap(),
            environment: Arc::clone(&world.environment),
        }
    };
    let before = open();
    let token = before.tokens().await["refresh_token"].as_str().unwrap().to_owned();
    let keys = before.send("GET", &before.at("jwks"), &[], String::new()).await.text;
    let after = open();
    assert_eq!(after.send("GET", &after.at("jwks"), &[], String::new()).await.text, keys);
    assert_eq!(after.refresh(&token).await.status, StatusCode::OK);
    std::fs::remove_dir_all(folder).unwrap();
}
