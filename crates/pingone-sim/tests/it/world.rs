//! The simulator with a fixed clock and randomness, and the requests of clients and users.

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
use pingone_sim::{SimConfig, SimEnvironment, Simulator};
use serde_json::Value;
use tower_service::Service as _;
use url::{Url, form_urlencoded};

pub(crate) const CALLBACK: &str = "https://app.example/callback";
pub(crate) const API: &str = "https://api.example";
/// RFC 7636 appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(crate) const SCOPES: &str = "openid profile offline_access todo:read";

/// A clock that only tests advance, and randomness from a counter.
pub(crate) struct Frozen {
    pub(crate) now: AtomicU64,
    pub(crate) drawn: AtomicU64,
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

pub(crate) struct World {
    pub(crate) sim: Simulator,
    pub(crate) environment: Arc<Frozen>,
}

pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// A parameter of the URL that the response redirects to.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let location = Url::parse(self.headers.get(header::LOCATION)?.to_str().ok()?).ok()?;
        location.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    pub(crate) fn cookie(&self) -> String {
        let cookie =
            self.headers.get(header::SET_COOKIE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        cookie.split(';').next().unwrap_or_default().to_owned()
    }

    pub(crate) fn flow(&self) -> String {
        let value = self.text.split("name=\"flow\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        value.unwrap_or_else(|| panic!("no flow: {}", self.text)).to_owned()
    }

    /// The code that the page shows in place of an email.
    pub(crate) fn emailed_code(&self) -> String {
        self.text
            .split("The code is <code>")
            .nth(1)
            .and_then(|rest| rest.split('<').next())
            .expect("a code")
            .to_owned()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let environment = Arc::new(Frozen { now: AtomicU64::new(1_767_225_600), drawn: AtomicU64::new(0) });
        let config = SimConfig::demo("https://auth.pingone.example", CALLBACK, API);
        Self { sim: Simulator::new(config, Arc::clone(&environment) as Arc<dyn SimEnvironment>), environment }
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.environment.now.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.sim.router().call(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Response { status: parts.status, headers: parts.headers, text }
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("/{}/as/{path}", self.sim.config().environment_id)
    }

    pub(crate) async fn authorize(&self, otherwise: &[(&str, &str)], cookie: &str) -> Response {
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

    pub(crate) async fn submit(&self, flow: &str, action: &str, fields: &[(&str, &str)]) -> Response {
        let path = format!("/{}/davinci/flow", self.sim.config().environment_id);
        let body = form(&[&[("flow", flow), ("action", action)], fields].concat());
        self.send("POST", &path, &[], body).await
    }

    pub(crate) async fn sign_on(&self, username: &str, password: &str) -> Response {
        let page = self.authorize(&[], "").await;
        self.submit(&page.flow(), "SIGNON", &[("username", username), ("password", password)]).await
    }

    pub(crate) async fn token(&self, fields: &[(&str, &str)]) -> Response {
        let application = &self.sim.config().application;
        let basic = STANDARD.encode(format!("{}:{}", application.client_id, application.client_secret));
        self.send("POST", &self.at("token"), &[("authorization", &format!("Basic {basic}"))], form(fields))
            .await
    }

    pub(crate) async fn redeem(&self, code: &str) -> Response {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.token(&fields).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Response {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// A code for a user who sees no pages.
    pub(crate) async fn code(&self) -> String {
        self.authorize(&[("login_hint", "auto")], "").await.parameter("code").expect("a code")
    }

    pub(crate) async fn tokens(&self) -> Value {
        self.redeem(&self.code().await).await.json()
    }
}

pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

pub(crate) fn claims(token: &Value) -> Value {
    let payload = token.as_str().and_then(|token| token.split('.').nth(1)).expect("a JWT");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
