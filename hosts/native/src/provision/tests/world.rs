//! The simulated PingOne without an application, and runs against it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::body::Body;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use deputy::{config::Config, secret::Secret};
use http::{Request, header};
use http_body_util::BodyExt as _;
use pingone_sim::{Failure, ManagementFault, SimConfig, Simulator};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tower_service::Service as _;
use url::{Url, form_urlencoded};

use super::{
    super::{
        ProvisionError, RequiredSetup, reconcile,
        report::{Line, Verb},
        run::Run,
        sign_in,
        webhook::WebhookSecret,
    },
    local::{Fixed, Local},
};
use crate::{
    env_file::EnvFile,
    management::{Management, Probe, Worker},
};

/// The audience of the API.
pub(super) const API: &str = "https://todo.example.com";

/// The scopes of the API, and their words in the document.
pub(super) const DESCRIPTIONS: [(&str, &str); 2] =
    [("todo:read", "See your to-do list"), ("todo:write", "Change it")];

/// The role with which the worker of a run also reads the flow.
pub(super) const READS_FLOWS: &str = "DaVinci Admin Read Only";

/// A webhook.
pub(super) const WEBHOOK: (&str, &str) = ("PINGONE_WEBHOOK_SECRET", "0123456789abcdef0123456789abcdef");

/// A webhook with a new secret.
pub(super) const NEW_WEBHOOK: (&str, &str) = ("--webhook", "on");

/// The secret that a run makes.
pub(super) const NEW_SECRET: &str = "fedcba9876543210fedcba9876543210";

/// The action of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Plan,
    Apply,
    Prune,
    Verify,
}

/// The outcome of a run.
pub(super) struct Ran {
    pub(super) lines: Vec<Line>,
    pub(super) error: Option<ProvisionError>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<String>,
}

pub(super) struct World {
    pub(super) sim: Simulator,
    local: Arc<Local>,
}

impl World {
    pub(super) fn new() -> Self {
        let config = SimConfig::demo("http://localhost:8789", "https://unused.example/", API);
        let sim = Simulator::new(config.without_application(), Arc::new(Fixed::default()));
        sim.configure(|settings| settings.tenant.provisioner_roles.push(READS_FLOWS.to_owned()));
        Self { local: Arc::new(Local::new(sim.clone())), sim }
    }

    /// A world in which new objects are not found at once.
    pub(super) fn inconsistent() -> Self {
        let world = Self::new();
        world.sim.configure(|settings| settings.tenant.management_lag = 2);
        world
    }

    /// A run with these variables changed; an empty value removes one.
    pub(super) async fn run(&self, mode: Mode, changed: &[(&str, &str)]) -> Ran {
        let wanted = self.wanted(changed);
        let (management, pushes) = match self.sign_in(&wanted.config).await {
            Ok(signed_in) => signed_in,
            Err(error) => {
                return Ran { lines: Vec::new(), error: Some(error), client_id: None, client_secret: None };
            }
        };
        let applies = matches!(mode, Mode::Apply | Mode::Prune);
        let mut run =
            Run { management: &management, applies, prunes: mode == Mode::Prune, pushes, lines: Vec::new() };
        let result = reconcile(&mut run, &wanted).await;
        let lines = run.lines;
        let printed = format!("{lines:?}{:?}", result.as_ref().err());
        for secret in self.secrets() {
            assert!(!printed.contains(&secret), "{printed}");
        }
        match result {
            Ok(outcome) => {
                let (id, secret) = outcome.map(|it| (it.client_id, it.client_secret)).unzip();
                let secret = secret.flatten().map(|secret| secret.expose().clone());
                Ran { lines, error: None, client_id: id, client_secret: secret }
            }
            Err(error) => Ran { lines, error: Some(error), client_id: None, client_secret: None },
        }
    }

    /// Every secret that a run gets.
    fn secrets(&self) -> [String; 3] {
        [self.sim.config().provisioner.client_secret.clone(), WEBHOOK.1.to_owned(), NEW_SECRET.to_owned()]
    }

    fn wanted(&self, changed: &[(&str, &str)]) -> RequiredSetup {
        let (issuer, policy) = (self.sim.config().issuer(), self.sim.config().policy_id.clone());
        let given = |name: &str| -> Option<String> {
            let set = match name {
                "PUBLIC_URL" => Some("https://deputy.example.com"),
                "PINGONE_ISSUER" => Some(issuer.as_str()),
                "PINGONE_DV_POLICY_ID" => Some(policy.as_str()),
                "API_IDENTIFIER" | "API_URL" => Some(API),
                "SERVER_KEY" => Some("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
                _ => None,
            };
            let value = changed.iter().find(|(held, _)| *held == name).map(|(_, value)| *value).or(set);
            value.filter(|value| !value.is_empty()).map(str::to_owned)
        };
        let zeros = "0".repeat(32);
        let placeholder = |name: &str| match name {
            "PINGONE_CLIENT_ID" | "PINGONE_CLIENT_SECRET" => Some("not-known-yet".to_owned()),
            "PINGONE_DV_POLICY_ID" => Some(zeros.clone()),
            "PINGONE_WEBHOOK_SECRET" => given("--webhook").map(|_| NEW_SECRET.to_owned()),
            _ => None,
        };
        let config = Config::parse(|name| given(name).or_else(|| placeholder(name))).unwrap();
        let has_webhook = config.pingone.webhook.is_some();
        RequiredSetup {
            config,
            application_name: "Deputy".to_owned(),
            resource_name: "Deputy API".to_owned(),
            scope_descriptions: DESCRIPTIONS
                .map(|(scope, words)| (scope.to_owned(), words.to_owned()))
                .into(),
            client_id: given("PINGONE_CLIENT_ID"),
            policy_id: given("PINGONE_DV_POLICY_ID"),
            client_secret: given("PINGONE_CLIENT_SECRET").map(Secret::new),
            is_written: given("--output").is_none_or(|output| output != "none"),
            has_secret_file: given("PINGONE_CLIENT_SECRET_FILE").is_some(),
            server_key: Secret::new(String::new()),
            webhook_secret: has_webhook
                .then(|| WebhookSecret::read(given(WEBHOOK.0).as_deref(), NEW_SECRET.to_owned())),
        }
    }

    async fn sign_in(&self, config: &Config) -> Result<(Management, bool), ProvisionError> {
        let worker = &self.sim.config().provisioner;
        let file = format!(
            "PINGONE_WORKER_CLIENT_ID={}\nPINGONE_WORKER_CLIENT_SECRET={}",
            worker.client_id, worker.client_secret
        );
        let worker = Worker::read(&EnvFile::parse(&file).unwrap(), None).unwrap();
        let probe = Probe::within(self.local.clone(), Duration::from_mins(10));
        sign_in(&probe, config, worker).await
    }

    /// The management API, as an administrator uses it.
    pub(super) async fn management(&self) -> Management {
        self.sign_in(&self.wanted(&[]).config).await.unwrap().0
    }

    /// Lets a later request fail: the next one is number 1.
    pub(super) fn fail(&self, number: u64, fault: ManagementFault) {
        let number = self.sim.requests("management") + number;
        self.sim.force(Failure::ManagementRequest(number, fault));
    }

    /// Lets an administrator set members of the object at `path` a moment before the next request to it.
    pub(super) fn edit_before_request(&self, path: &str, members: Value) {
        *self.local.edit.lock().unwrap() = Some((path.to_owned(), members));
    }

    /// Breaks the network after some requests, of which the last takes effect or does not. [`World::recover`] repairs it.
    pub(super) fn break_after(&self, requests: u64, last_takes_effect: bool) {
        let last = self.local.sent.load(Ordering::SeqCst) + requests;
        *self.local.last.lock().unwrap() = Some((last, last_takes_effect));
    }

    pub(super) fn recover(&self) {
        *self.local.last.lock().unwrap() = None;
    }

    /// The pauses so far, in milliseconds.
    pub(super) fn pauses(&self) -> Vec<u64> {
        self.local.pauses.lock().unwrap().clone()
    }

    /// The requests to the management API so far.
    pub(super) fn requests(&self) -> u64 {
        self.local.sent.load(Ordering::SeqCst)
    }

    /// The objects of each collection, without their ids.
    pub(super) async fn objects(&self) -> Vec<(String, usize)> {
        let management = self.management().await;
        let mut objects = Vec::new();
        for (collection, below) in [
            ("resources", &["scopes"][..]),
            ("applications", &["grants", "flowPolicyAssignments", "signOnPolicyAssignments"]),
            ("subscriptions", &[]),
        ] {
            let items = management.list(&format!("/{collection}"), collection).await.unwrap();
            objects.push((collection.to_owned(), items.len()));
            for item in items.iter().filter(|item| item["type"] == "CUSTOM" || item["type"] == "WEB_APP") {
                for name in below {
                    let path = format!("/{collection}/{}/{name}", item["id"].as_str().unwrap());
                    let items = management.list(&path, name).await.unwrap();
                    objects.push(((*name).to_owned(), items.len()));
                }
            }
        }
        objects
    }

    /// The path of the scopes of the API.
    pub(super) async fn scopes(&self) -> String {
        let resources = self.management().await.list("/resources", "resources").await.unwrap();
        let api = resources.iter().find(|resource| resource["audience"] == API).unwrap();
        format!("/resources/{}/scopes", api["id"].as_str().unwrap())
    }

    /// Changes the object of a collection that `is_it` selects, as an administrator does in the console.
    pub(super) async fn edit(
        &self,
        collection: &str,
        is_it: impl Fn(&Value) -> bool,
        change: impl FnOnce(&mut Value),
    ) {
        let management = self.management().await;
        let name = collection.rsplit('/').next().unwrap();
        let items = management.list(collection, name).await.unwrap();
        let mut object = items.into_iter().find(is_it).unwrap();
        change(&mut object);
        let path = format!("{collection}/{}", object["id"].as_str().unwrap());
        management.replace(&path, &object).await.unwrap();
    }

    /// The tokens of a user who approves without pages.
    pub(super) async fn log_in(&self, client_id: &str, client_secret: &str) -> Value {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        let callback = "https://deputy.example.com/callback";
        let query = form(&[
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", callback),
            ("scope", "openid profile offline_access todo:read todo:write"),
            ("resource", API),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("acr_values", &self.sim.config().policy_id),
            ("login_hint", "auto"),
        ]);
        let issuer = self.sim.config().issuer();
        let request = Request::get(format!("{issuer}/authorize?{query}")).body(Body::empty()).unwrap();
        let response = self.sim.router().call(request).await.unwrap();
        let location = response.headers()[header::LOCATION].to_str().unwrap();
        let location = Url::parse(location).unwrap();
        let code = location.query_pairs().find(|(name, _)| name == "code");
        let code = code.unwrap_or_else(|| panic!("no code: {location}")).1.into_owned();
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", callback),
            ("code_verifier", verifier),
        ];
        let basic = STANDARD.encode(format!("{client_id}:{client_secret}"));
        let request = Request::post(format!("{issuer}/token"))
            .header(header::AUTHORIZATION, format!("Basic {basic}"))
            .body(Body::from(form(&fields)))
            .unwrap();
        let response = self.sim.router().call(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }
}

/// The objects of the lines with this verb.
pub(super) fn verbs(lines: &[Line], verb: Verb) -> Vec<&str> {
    lines.iter().filter(|line| line.verb == verb).map(|line| line.object.as_str()).collect()
}

/// The details of the lines with this verb.
pub(super) fn details(lines: &[Line], verb: Verb) -> Vec<&str> {
    lines.iter().filter(|line| line.verb == verb).map(|line| line.detail.as_str()).collect()
}

/// The claims of a JWT.
pub(super) fn claims(token: &Value) -> Value {
    let payload = token.as_str().and_then(|token| token.split('.').nth(1)).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
