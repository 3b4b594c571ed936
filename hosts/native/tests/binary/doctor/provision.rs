//! `deputy provision`, and what `deputy doctor` says of its result.

use std::{path::Path, process::Output};

use deputy_native::env_file::EnvFile;
use serde_json::{Value, json};

use super::{
    upstream::{Run, Upstream},
    write,
};
use crate::support::{deputy, stderr};

/// An empty PingOne, and a folder with a file of the variables that an operator knows at first.
struct Start {
    upstream: Upstream,
    folder: tempfile::TempDir,
}

impl Start {
    fn new() -> Self {
        let (upstream, folder) = (Upstream::start_empty(), tempfile::tempdir().unwrap());
        let config = upstream.pingone.config();
        let variables = format!(
            "PINGONE_ISSUER={}\nPINGONE_DV_POLICY_ID={}\nAPI_IDENTIFIER={api}\nAPI_URL={api}\nLISTEN=127.0.0.1:8787\n",
            config.issuer(),
            config.policy_id,
            api = upstream.api,
        );
        write(folder.path(), "start.env", &variables);
        Self { upstream, folder }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `deputy provision` with these arguments, with the worker's credentials in the environment.
    fn provision(&self, arguments: &[&str]) -> Output {
        let worker = &self.upstream.pingone.config().provisioner;
        let mut command = deputy(self.folder(), &[&["provision"], arguments].concat());
        command
            .env("PINGONE_WORKER_CLIENT_ID", &worker.client_id)
            .env("PINGONE_WORKER_CLIENT_SECRET", &worker.client_secret);
        let output = command.output().unwrap();
        let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
        for secret in self.secrets() {
            assert!(!printed.contains(&secret), "{printed}");
        }
        output
    }

    /// Every secret that is known by now.
    fn secrets(&self) -> Vec<String> {
        let worker = self.upstream.pingone.config().provisioner.client_secret.clone();
        let names = ["PINGONE_CLIENT_SECRET", "PINGONE_WEBHOOK_SECRET", "SERVER_KEY"];
        let file = std::fs::read_to_string(self.folder().join("deputy.env")).unwrap_or_default();
        let file = EnvFile::parse(&file).unwrap();
        let made = names.iter().filter_map(|name| file.get(name).map(str::to_owned));
        made.chain([worker]).collect()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn provisioned_environment_causes_no_alarm() {
    let start = Start::new();
    let from = ["--env-file", "start.env"];
    let planned = start.provision(&[&["plan"], &from[..]].concat());
    assert!(planned.status.success(), "{}", stderr(&planned));
    assert!(stdout(&planned).contains("create   application Deputy\n"), "{}", stdout(&planned));
    assert_eq!(start.provision(&[&["verify"], &from[..]].concat()).status.code(), Some(1));
    let apply = [&["apply", "--webhook", "--output", "deputy.env"], &from[..]].concat();
    let applied = start.provision(&apply);
    assert!(applied.status.success(), "{}{}", stdout(&applied), stderr(&applied));
    assert!(stdout(&applied).ends_with(": SERVER_KEY and PINGONE_WEBHOOK_SECRET\n"), "{}", stdout(&applied));
    let path = start.folder().join("deputy.env");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let written = std::fs::read_to_string(&path).unwrap();
    // The same from the finished file: nothing is left to do, and the file stays as it is.
    assert_eq!(start.provision(&apply).status.code(), Some(2), "an existing file is replaced");
    let from = ["--env-file", "deputy.env"];
    let verified = start.provision(&[&["verify"], &from[..]].concat());
    assert!(verified.status.success(), "{}{}", stdout(&verified), stderr(&verified));
    let again = start.provision(&[&["apply", "--output", "deputy.env", "--replace"], &from[..]].concat());
    assert!(again.status.success(), "{}", stderr(&again));
    assert!(!stdout(&again).contains("New secrets"), "{}", stdout(&again));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);

    let arguments = ["doctor", "--json", "--strict", "--env-file", "deputy.env", "--api-path", "/api/todos"];
    let mut doctor = deputy(start.folder(), &arguments);
    doctor.envs(start.upstream.worker()).env("LOG", "off");
    let run: Run = start.upstream.with_login(doctor);
    assert_eq!(run.alarms(), [""; 0], "{:#}", run.document);
    for check in ["application", "webhook", "policy assignment", "ID token", "refresh", "API with the token"]
    {
        assert_eq!(run.verdict(check), "ok", "{:#}", run.document);
    }
}

#[test]
fn written_variables_name_the_document() {
    let start = Start::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/invoices");
    for name in ["openapi.yaml", "overlay.yaml"] {
        std::fs::copy(examples.join(name), start.folder().join(name)).unwrap();
    }
    let document = ["--openapi", "openapi.yaml", "--openapi-overlay", "overlay.yaml"];
    let apply = ["apply", "--env-file", "start.env", "--output", "deputy.env"];
    let applied = start.provision(&[&apply[..], &document].concat());
    assert!(applied.status.success(), "{}{}", stdout(&applied), stderr(&applied));
    assert!(
        stdout(&applied).contains("create   scope invoice.read: See your invoices\n"),
        "{}",
        stdout(&applied)
    );
    let written = std::fs::read_to_string(start.folder().join("deputy.env")).unwrap();
    assert!(written.contains("OPENAPI=openapi.yaml\nOPENAPI_OVERLAY=overlay.yaml\n"), "{written}");
    // The scopes are those of the document.
    let verified = start.provision(&["verify", "--env-file", "deputy.env"]);
    assert!(verified.status.success(), "{}{}", stdout(&verified), stderr(&verified));
    let mut doctor = deputy(start.folder(), &["doctor", "--env-file", "deputy.env"]);
    let doctor = doctor.env("LOG", "off").output().unwrap();
    assert!(stdout(&doctor).contains("OpenAPI document: 7 tools"), "{}", stdout(&doctor));
}

#[test]
fn written_variables_have_the_address_of_the_url() {
    let start = Start::new();
    let file = std::fs::read_to_string(start.folder().join("start.env")).unwrap();
    write(start.folder(), "start.env", &file.replace("LISTEN=", "#"));
    let apply = ["apply", "--env-file", "start.env", "--listen", "127.0.0.1:9000", "--output", "deputy.env"];
    let applied = start.provision(&apply);
    assert!(applied.status.success(), "{}{}", stdout(&applied), stderr(&applied));
    let verified = start.provision(&["verify", "--env-file", "deputy.env"]);
    assert!(verified.status.success(), "{}{}", stdout(&verified), stderr(&verified));
}

#[test]
fn nothing_is_written_while_a_step_is_left_to_the_operator() {
    let start = Start::new();
    let file = std::fs::read_to_string(start.folder().join("start.env")).unwrap();
    write(start.folder(), "start.env", &file.replace("PINGONE_DV_POLICY_ID", "#"));
    let apply = ["apply", "--json", "--env-file", "start.env", "--output", "deputy.env"];
    let output = start.provision(&apply);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&document["ok"], &document["applied"]), (&json!(false), &json!(true)));
    let lines = document["lines"].as_array().unwrap();
    assert_eq!(lines.iter().filter(|line| line["verb"] == "by hand").count(), 6, "{document:#}");
    assert!(!start.folder().join("deputy.env").exists());
}

#[test]
fn configuration_without_a_worker_or_with_a_mistake_is_refused() {
    let start = Start::new();
    let command = deputy(start.folder(), &["provision", "plan", "--env-file", "start.env"]).output().unwrap();
    assert_eq!(command.status.code(), Some(2));
    assert!(stderr(&command).contains("PINGONE_WORKER_CLIENT_ID"), "{}", stderr(&command));
    write(start.folder(), "wrong.env", "PINGONE_ISSUER=nonsense\nAPI_IDENTIFER=x\n");
    let output = start.provision(&["plan", "--env-file", "wrong.env"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    for named in ["PINGONE_ISSUER", "API_URL", "API_IDENTIFER"] {
        assert!(stderr(&output).contains(named), "{named}: {}", stderr(&output));
    }
    // These are found out.
    assert!(!stderr(&output).contains("PINGONE_CLIENT_ID"), "{}", stderr(&output));
}

#[test]
fn secrets_of_a_worker_are_written_for_wrangler() {
    let start = Start::new();
    let variables = std::fs::read_to_string(start.folder().join("start.env")).unwrap();
    let variables = EnvFile::parse(&variables).unwrap();
    // This one is not filled in.
    let client_id = "<client id of Deputy's application in PingOne>";
    let mut vars = json!({ "PUBLIC_URL": "https://deputy.example.com", "PINGONE_CLIENT_ID": client_id });
    for name in ["PINGONE_ISSUER", "PINGONE_DV_POLICY_ID", "API_IDENTIFIER", "API_URL"] {
        vars[name] = json!(variables.get(name).unwrap());
    }
    write(start.folder(), "wrangler.jsonc", &json!({ "name": "deputy", "vars": vars }).to_string());
    let output =
        start.provision(&["apply", "--wrangler", "wrangler.jsonc", "--webhook", "--output", "secrets.json"]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    let secrets = std::fs::read_to_string(start.folder().join("secrets.json")).unwrap();
    let secrets: Value = serde_json::from_str(&secrets).unwrap();
    let names: Vec<_> = secrets.as_object().unwrap().keys().collect();
    assert_eq!(names, ["PINGONE_CLIENT_SECRET", "PINGONE_WEBHOOK_SECRET", "SERVER_KEY"]);
    assert!(stdout(&output).contains("Set PINGONE_CLIENT_ID to "), "{}", stdout(&output));
    for secret in secrets.as_object().unwrap().values() {
        assert!(!stdout(&output).contains(secret.as_str().unwrap()));
    }
}
