//! A simulated PingOne and an API, and runs of `deputy doctor` against them.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::Arc,
};

use axum::{Router, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deputy_native::http_server::{self, Server, Shutdown};
use harness::{browser::Browser, network::Network};
use http::{HeaderMap, StatusCode, header};
use pingone_sim::{Settings, SimConfig, Simulator, SystemEnvironment};
use serde_json::Value;
use tokio::net::TcpListener;

use super::text;
use crate::support::{self, deputy, stderr};

/// A simulated PingOne and an API, each on a port.
pub(super) struct Upstream {
    pub(super) pingone: Simulator,
    /// Refuses requests without a token for it.
    pub(super) api: String,
    /// Requires no token.
    pub(super) open_api: String,
    pingone_port: u16,
    servers: tokio::runtime::Runtime,
}

impl Upstream {
    pub(super) fn start() -> Self {
        Self::with(|config| config)
    }

    /// A PingOne without an application and a resource.
    pub(super) fn start_empty() -> Self {
        Self::with(SimConfig::without_application)
    }

    fn with(change: fn(SimConfig) -> SimConfig) -> Self {
        let servers =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let bind = || servers.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (pingone_listener, api_listener) = (bind(), bind());
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let api = format!("http://localhost:{}", port(&api_listener));
        let pingone_port = port(&pingone_listener);
        let config = SimConfig::demo(
            &format!("http://localhost:{pingone_port}"),
            "http://localhost:8787/callback",
            &api,
        );
        let pingone = Simulator::new(change(config), Arc::new(SystemEnvironment));
        pingone.prepare_keys();
        let audience = api.clone();
        let todos = async move |headers: HeaderMap| {
            if audience_of(&headers).is_some_and(|claim| claim == audience) {
                StatusCode::OK
            } else {
                StatusCode::UNAUTHORIZED
            }
        };
        let careless = async |headers: HeaderMap| match audience_of(&headers) {
            Some(_) => StatusCode::OK,
            None => StatusCode::UNAUTHORIZED,
        };
        let todos = Router::new()
            .route("/api/todos", get(todos))
            .route("/careless", get(careless))
            .route("/suspicious", get(async || StatusCode::UNAUTHORIZED))
            .route("/open", get(async || StatusCode::OK));
        for (listener, router) in [(pingone_listener, pingone.router()), (api_listener, todos)] {
            servers.spawn(http_server::serve(Server::default(), vec![listener], router, Shutdown::default()));
        }
        let upstream = Self { open_api: format!("{api}/open"), api, pingone, pingone_port, servers };
        upstream.restore();
        upstream
    }

    /// Gives PingOne the settings of docs/pingone.md.
    pub(super) fn restore(&self) {
        self.pingone.clear_failures();
        self.pingone.configure(|settings| {
            *settings = Settings { refresh_grace_seconds: 120, ..Settings::default() };
        });
    }

    /// The variables of a right configuration.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let config = self.pingone.config();
        let application = &config.application;
        vec![
            ("DOCTOR_API_PATH", "/api/todos".to_owned()),
            ("PINGONE_ISSUER", config.issuer()),
            ("PINGONE_DV_POLICY_ID", config.policy_id.clone()),
            ("PINGONE_CLIENT_ID", application.client_id.clone()),
            ("PINGONE_CLIENT_SECRET", application.client_secret.clone()),
            ("API_IDENTIFIER", self.api.clone()),
            ("API_URL", self.api.clone()),
            ("SERVER_KEY", KEY.to_owned()),
            ("LOG", "off".to_owned()),
        ]
    }

    /// The variables of the worker that reads the tenant.
    pub(super) fn worker(&self) -> [(&'static str, &str); 2] {
        let worker = &self.pingone.config().worker;
        [
            ("PINGONE_WORKER_CLIENT_ID", &worker.client_id),
            ("PINGONE_WORKER_CLIENT_SECRET", &worker.client_secret),
        ]
    }

    /// `deputy doctor --json` with a right configuration and these arguments and variables.
    pub(super) fn doctor(&self, folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
        Run::of(self.command(folder, arguments, variables))
    }

    /// The output of `deputy doctor` with a login by a user who approves everything.
    pub(super) fn doctor_with_login(
        &self,
        folder: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Run {
        self.with_login(self.command(folder, arguments, variables))
    }

    /// A run of this `deputy doctor --json` with a login.
    pub(super) fn with_login(&self, mut command: Command) -> Run {
        command.arg("--login").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut printed = String::new();
        while !printed.lines().last().is_some_and(|line| line.starts_with("http")) {
            if lines.read_line(&mut printed).unwrap() == 0 {
                break;
            }
        }
        // Without an address, the run has ended.
        if let Some(address) = printed.lines().last().filter(|line| line.starts_with("http")) {
            self.log_in(address, &mut child);
        }
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        let mut output = child.wait_with_output().unwrap();
        output.stderr = format!("{printed}{rest}").into_bytes();
        Run::from(output)
    }

    /// The part of the user: the forms of PingOne, whose last redirect leads to the doctor. If it leads elsewhere, the user pastes
    /// its address.
    fn log_in(&self, address: &str, doctor: &mut Child) {
        let network = Network::default();
        network.serve(&format!("http://localhost:{}", self.pingone_port), self.pingone.router());
        let arrival = self.servers.block_on(async {
            let mut browser = Browser::new(network);
            let mut page = browser.open(address).await;
            let credentials = [("username", "alice"), ("password", "Alice-demo-1")];
            for (button, fields) in [("SIGNON", &credentials[..]), ("APPROVE", &[])] {
                if page.text.contains(&format!("value=\"{button}\"")) {
                    page = browser.submit(&page, fields, button).await;
                }
            }
            page.url
        });
        if arrival.host_str() != Some("localhost") {
            writeln!(doctor.stdin.take().unwrap(), "{arrival}").unwrap();
            return;
        }
        let path = &arrival[url::Position::BeforePath..];
        let page = support::get(arrival.port().unwrap(), path);
        assert!(page.contains("You can close this window"), "{page}");
    }

    fn command(&self, folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = deputy(folder, &[&["doctor", "--json"], arguments].concat());
        command.envs(self.variables()).envs(variables.iter().copied());
        command
    }
}

/// `aud` of the bearer token.
fn audience_of(headers: &HeaderMap) -> Option<String> {
    let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims["aud"].as_str().or(claims["aud"][0].as_str()).map(str::to_owned)
}

/// A run of `deputy doctor --json`.
pub(super) struct Run {
    pub(super) output: Output,
    pub(super) document: Value,
}

impl Run {
    pub(super) fn of(mut command: Command) -> Self {
        Self::from(command.output().unwrap())
    }

    fn from(output: Output) -> Self {
        let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        Self { output, document }
    }

    pub(super) fn checks(&self) -> impl Iterator<Item = &Value> {
        self.document["checks"].as_array().unwrap().iter()
    }

    /// The first finding with this name.
    pub(super) fn check(&self, name: &str) -> &Value {
        self.checks()
            .find(|check| check["check"] == name)
            .unwrap_or_else(|| panic!("{name}: {:#}", self.document))
    }

    pub(super) fn verdict(&self, name: &str) -> &str {
        text(self.check(name), "verdict")
    }

    /// Group, name and verdict of each finding that is a warning or a failure.
    pub(super) fn alarms(&self) -> Vec<String> {
        let alarm = |check: &Value| {
            let [group, name, verdict] = ["group", "check", "verdict"].map(|member| text(check, member));
            matches!(verdict, "warning" | "failure").then(|| format!("{verdict} {group}: {name}"))
        };
        self.checks().filter_map(alarm).collect()
    }

    /// Everything that the run printed.
    pub(super) fn printed(&self) -> String {
        format!("{}{}", String::from_utf8_lossy(&self.output.stdout), stderr(&self.output))
    }
}

pub(super) const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
