//! `deputy check` against a simulated PingOne and an API, with seeded faults.

use std::{path::Path, process::Output, sync::Arc};

use axum::{Router, routing::get};
use deputy_native::http_server::{self, Server, Shutdown};
use http::StatusCode;
use pingone_sim::{Failure, SimConfig, Simulator, SystemEnvironment};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::{deputy, stderr};

/// A fault of PingOne or of the variables, and the problem that the check finds.
struct Fault {
    failure: Option<Failure>,
    variables: &'static [(&'static str, &'static str)],
    subject: &'static str,
    fix: &'static str,
}

impl Fault {
    const fn of_pingone(failure: Failure, subject: &'static str, fix: &'static str) -> Self {
        Self { failure: Some(failure), variables: &[], subject, fix }
    }

    const fn of(
        variables: &'static [(&'static str, &'static str)],
        subject: &'static str,
        fix: &'static str,
    ) -> Self {
        Self { failure: None, variables, subject, fix }
    }
}

/// A simulated PingOne and an API, each on a port.
struct Upstream {
    pingone: Simulator,
    api: String,
    _servers: tokio::runtime::Runtime,
}

impl Upstream {
    fn start() -> Self {
        let servers =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let bind = || servers.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (pingone_listener, api_listener) = (bind(), bind());
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let api = format!("http://localhost:{}", port(&api_listener));
        let config = SimConfig::demo(
            &format!("http://localhost:{}", port(&pingone_listener)),
            "http://localhost:8787/callback",
            &api,
        );
        let pingone = Simulator::new(config, Arc::new(SystemEnvironment));
        let todos = Router::new()
            .route("/api/todos", get(async || StatusCode::UNAUTHORIZED))
            .route("/open", get(async || StatusCode::OK));
        for (listener, router) in [(pingone_listener, pingone.router()), (api_listener, todos)] {
            servers.spawn(http_server::serve(Server::default(), vec![listener], router, Shutdown::default()));
        }
        Self { pingone, api, _servers: servers }
    }

    /// The output of `deputy check --json` with these variables, and its findings.
    fn check(&self, folder: &Path, variables: &[(&str, &str)]) -> (Output, Value) {
        let config = self.pingone.config();
        let application = &config.application;
        let mut command = deputy(folder, &["check", "--json"]);
        command.envs([
            ("CHECK_API_PATH", "/api/todos"),
            ("PINGONE_ISSUER", config.issuer().as_str()),
            ("PINGONE_DV_POLICY_ID", &config.policy_id),
            ("PINGONE_CLIENT_ID", &application.client_id),
            ("PINGONE_CLIENT_SECRET", &application.client_secret),
            ("API_IDENTIFIER", &self.api),
            ("API_URL", &self.api),
            ("SERVER_KEY", KEY),
            ("LOG", "off"),
        ]);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        let document = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output)));
        (output, document)
    }
}

#[test]
fn configuration_that_admits_no_client_is_a_problem() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let closed = [("DYNAMIC_CLIENT_REGISTRATION", "off"), ("CLIENT_ID_METADATA_DOCUMENTS", "off")];
    let (output, document) = upstream.check(folder.path(), &closed);
    let finding = |document: &Value| {
        let checks = document["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|check| check["subject"] == "clients").unwrap()
    };
    assert_eq!((output.status.code(), finding(&document)["verdict"].as_str()), (Some(1), Some("problem")));
    let client = r#"[{"client_id":"client-a","client_name":"A","redirect_uris":["https://a.example/"]}]"#;
    let (_, document) = upstream.check(folder.path(), &[closed[0], closed[1], ("CLIENTS", client)]);
    assert_eq!(finding(&document)["verdict"], "ok", "{document}");
}

#[test]
fn right_configuration_has_no_problem_and_a_callback_url() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let (output, document) = upstream.check(folder.path(), &[]);
    assert!(output.status.success(), "{document:#}");
    let verdicts: Vec<_> =
        document["checks"].as_array().unwrap().iter().map(|check| &check["verdict"]).collect();
    assert_eq!(verdicts, ["ok"; 9], "{document:#}");
    let callback = document["checks"].as_array().unwrap().iter().find(|check| check["subject"] == "callback");
    assert!(callback.unwrap()["seen"].as_str().unwrap().contains("http://localhost:8787/callback"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the check leaves a file");
}

#[test]
fn fault_is_found_and_told_with_its_fix_without_secrets() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    for Fault { failure, variables, subject, fix } in [
        Fault::of(&[("PINGONE_CLIENT_SECRET", WRONG_SECRET)], "client secret", "PINGONE_CLIENT_SECRET"),
        Fault::of_pingone(Failure::Discovery(404), "discovery", "PINGONE_ISSUER"),
        Fault::of_pingone(
            Failure::DiscoveryIssuer("https://evil.example/as".to_owned()),
            "discovery",
            "PINGONE_ISSUER",
        ),
        Fault::of_pingone(Failure::Jwks(500), "keys", "status page"),
        Fault::of_pingone(Failure::Token(503, String::new()), "client secret", "try again"),
        Fault::of(&[("API_URL", "http://localhost:9")], "API", "API_URL"),
        Fault::of(&[("CHECK_API_PATH", "/open")], "API", "protect"),
        Fault::of(&[("DATA_DIR", "/proc/nothing")], "data folder", "DATA_DIR"),
    ] {
        if let Some(failure) = failure {
            upstream.pingone.force(failure);
        }
        let (output, document) = upstream.check(folder.path(), variables);
        upstream.pingone.clear_failures();
        assert_eq!(output.status.code(), Some(1), "{document:#}");
        let checks = document["checks"].as_array().unwrap();
        let problems: Vec<_> = checks.iter().filter(|check| check["verdict"] == "problem").collect();
        assert_eq!(problems.len(), 1, "{document:#}");
        assert_eq!(problems[0]["subject"], subject, "{document:#}");
        assert!(problems[0]["fix"].as_str().unwrap().contains(fix), "{document:#}");
        let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
        for secret in [&upstream.pingone.config().application.client_secret, WRONG_SECRET, KEY] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}

#[test]
fn wrong_configuration_is_a_line_for_each_mistake() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let wrong = [("PINGONE_ISSUER", "nonsense"), ("SERVER_KEY", "short")];
    let (output, document) = upstream.check(folder.path(), &wrong);
    assert_eq!(output.status.code(), Some(2), "{document:#}");
    let checks = document["checks"].as_array().unwrap();
    assert_eq!(checks.iter().filter(|check| check["subject"] == "configuration").count(), 2, "{document:#}");
    let text = deputy(folder.path(), &["check"]).output().unwrap();
    assert_eq!(text.status.code(), Some(2));
    let lines = String::from_utf8(text.stdout).unwrap();
    assert!(lines.lines().any(|line| line.starts_with("problem configuration: PINGONE_ISSUER")), "{lines}");
}

const WRONG_SECRET: &str = "another-secret-that-is-wrong";
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
