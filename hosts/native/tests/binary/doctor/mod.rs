//! `deputy doctor` and `deputy provision` against a simulated PingOne and an API.

mod healthy;
mod misconfigurations;
mod provision;
mod seeds;
mod upstream;

use std::path::Path;

use pingone_sim::Failure;
use serde_json::Value;

use crate::support::{deputy, stderr};
use upstream::{KEY, Run, Upstream};

/// A fault of PingOne or of the variables, and the failure that is found.
struct Fault {
    failure: Option<Failure>,
    variables: &'static [(&'static str, &'static str)],
    check: &'static str,
    fix: &'static str,
}

impl Fault {
    const fn of_pingone(failure: Failure, check: &'static str, fix: &'static str) -> Self {
        Self { failure: Some(failure), variables: &[], check, fix }
    }

    const fn of(
        variables: &'static [(&'static str, &'static str)],
        check: &'static str,
        fix: &'static str,
    ) -> Self {
        Self { failure: None, variables, check, fix }
    }
}

#[test]
fn configuration_that_admits_no_client_is_a_failure() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let closed = [("DYNAMIC_CLIENT_REGISTRATION", "off"), ("CLIENT_ID_METADATA_DOCUMENTS", "off")];
    let run = upstream.doctor(folder.path(), &[], &closed);
    assert_eq!((run.output.status.code(), run.verdict("clients")), (Some(1), "failure"));
    let run = upstream.doctor(folder.path(), &[], &[closed[0], closed[1], ("CLIENTS", CLIENTS)]);
    assert_eq!(run.verdict("clients"), "ok", "{:#}", run.document);
}

#[test]
fn right_configuration_has_no_failure_and_a_callback_url() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let run = upstream.doctor(folder.path(), &[], &[]);
    assert!(run.output.status.success(), "{:#}", run.document);
    let groups = ["tenant", "login", "deployment"];
    let skipped: Vec<_> =
        run.checks().filter(|check| check["verdict"] == "skipped").map(|check| &check["check"]).collect();
    assert_eq!(skipped, groups, "{:#}", run.document);
    assert_eq!(run.checks().filter(|check| check["verdict"] == "ok").count(), 18, "{:#}", run.document);
    assert_eq!(run.checks().count(), 21, "{:#}", run.document);
    let callback = run.check("callback");
    assert!(callback["seen"].as_str().unwrap().contains("http://localhost:8787/callback"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the check leaves a file");
}

#[test]
fn former_command_name_is_an_alias() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let mut command = deputy(folder.path(), &["check", "--json"]);
    let output = command.envs(upstream.variables()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn fault_is_found_and_told_with_its_fix_without_secrets() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    for Fault { failure, variables, check, fix } in [
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
        Fault::of(&[("DOCTOR_API_PATH", "/open")], "API", "protect"),
        Fault::of(&[("DATA_DIR", "/proc/nothing")], "data folder", "DATA_DIR"),
    ] {
        if let Some(failure) = failure {
            upstream.pingone.force(failure);
        }
        let run = upstream.doctor(folder.path(), &[], variables);
        upstream.pingone.clear_failures();
        assert_eq!(run.output.status.code(), Some(1), "{:#}", run.document);
        let failures: Vec<_> = run.checks().filter(|check| check["verdict"] == "failure").collect();
        assert_eq!(failures.len(), 1, "{:#}", run.document);
        assert_eq!(failures[0]["check"], check, "{:#}", run.document);
        assert!(failures[0]["fix"].as_str().unwrap().contains(fix), "{:#}", run.document);
        let printed = run.printed();
        for secret in [&upstream.pingone.config().application.client_secret, WRONG_SECRET, KEY] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}

#[test]
fn wrong_configuration_is_a_line_for_each_mistake() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let wrong = [("PINGONE_ISSUER", "nonsense"), ("SERVER_KEY", "short")];
    let run = upstream.doctor(folder.path(), &[], &wrong);
    assert_eq!(run.output.status.code(), Some(2), "{:#}", run.document);
    assert_eq!(
        run.checks().filter(|check| check["check"] == "configuration").count(),
        2,
        "{:#}",
        run.document
    );
    let text = deputy(folder.path(), &["doctor"]).output().unwrap();
    assert_eq!(text.status.code(), Some(2));
    let lines = String::from_utf8(text.stdout).unwrap();
    assert!(lines.lines().any(|line| line.starts_with("failure  configuration: PINGONE_ISSUER")), "{lines}");
}

#[test]
fn warning_fails_with_strict_only() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let warned = [("PINGONE_CLIENT_ID", "not-a-uuid")];
    let run =
        |arguments: &[&str], variables: &[(&str, &str)]| upstream.doctor(folder.path(), arguments, variables);
    // The client id of the simulator is a UUID, so nothing else than that warning needs a PingOne.
    upstream.pingone.force_always(Failure::Discovery(404));
    assert_eq!(run(&[], &warned).verdict("client id"), "warning");
    upstream.pingone.clear_failures();
    let no_path = [("DOCTOR_API_PATH", ""), ("API_URL", upstream.open_api.as_str())];
    let lenient = run(&[], &no_path);
    assert_eq!(
        (lenient.output.status.code(), lenient.verdict("API")),
        (Some(0), "warning"),
        "{:#}",
        lenient.document
    );
    assert_eq!(run(&["--strict"], &no_path).output.status.code(), Some(1));
}

#[test]
fn slow_pingone_ends_the_run_in_ten_seconds() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    upstream.pingone.force_always(Failure::JwksAfter(60));
    upstream.pingone.force_always(Failure::TokenAfter(60));
    let started = tokio::time::Instant::now();
    let run = upstream.doctor(folder.path(), &[], &upstream.worker());
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    assert_eq!(
        (run.verdict("keys"), run.verdict("client secret")),
        ("failure", "failure"),
        "{:#}",
        run.document
    );
}

#[test]
fn worker_is_configured_by_wrangler_file_and_secrets() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let variables = upstream.variables();
    let is_secret = |name: &str| name.contains("SECRET") || name == "SERVER_KEY";
    let vars: Vec<_> = variables
        .iter()
        .filter(|(name, _)| !is_secret(name))
        .map(|(name, value)| format!("    \"{name}\": \"{value}\","))
        .collect();
    let wrangler = format!(
        "// A Worker.\n{{\n  \"name\": \"deputy\",\n  \"vars\": {{\n    // Its address.\n    \"PUBLIC_URL\": \"http://localhost:8787\",\n    \"ACCESS_TOKEN_LIFETIME\": 600,\n    \"CLIENTS\": {CLIENTS},\n{}\n  }}\n}}\n",
        vars.join("\n")
    );
    let secrets: Vec<_> = variables
        .iter()
        .filter(|(name, _)| is_secret(name))
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    write(folder.path(), "wrangler.jsonc", &wrangler);
    write(folder.path(), ".dev.vars", &secrets.join("\n"));
    let arguments = ["doctor", "--json", "--wrangler", "wrangler.jsonc", "--env-file", ".dev.vars"];
    let run = Run::of(deputy(folder.path(), &arguments));
    assert!(run.output.status.success(), "{:#}", run.document);
    assert!(run.checks().all(|check| check["check"] != "data folder"), "{:#}", run.document);
    assert!(run.check("clients")["seen"].as_str().unwrap().starts_with("1 in CLIENTS"), "{:#}", run.document);
    write(folder.path(), "wrangler.jsonc", "{ nothing");
    let output = deputy(folder.path(), &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("wrangler.jsonc (--wrangler, DOCTOR_WRANGLER)"), "{}", stderr(&output));
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

const CLIENTS: &str =
    r#"[{"client_id":"client-a","client_name":"A","redirect_uris":["https://a.example/"]}]"#;

/// The text of a member of a check.
fn text<'a>(check: &'a Value, member: &str) -> &'a str {
    check[member].as_str().unwrap_or_default()
}

const WRONG_SECRET: &str = "another-secret-that-is-wrong";
