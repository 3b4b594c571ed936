//! The program `todo-api`, started as a process.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use axum::{Json, Router, routing::get};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::identity::{AUDIENCE, CURRENT, claims};

fn command(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_todo-api"));
    command.env_clear().arg("--data-dir").arg(data_dir).args(["--listen", "127.0.0.1:0"]);
    command
}

/// The exit status and standard error of a program that does not start.
fn failure(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert_eq!(String::from_utf8(stdout).unwrap(), "");
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn missing_variables_are_named() {
    let folder = TempDir::new().unwrap();
    let (code, text) = failure(&mut command(folder.path()));
    assert_eq!(code, Some(2));
    assert!(text.contains("--pingone-issuer") && text.contains("--api-identifier"), "{text}");
}

#[test]
fn wrong_variables_are_named_without_their_values() {
    let folder = TempDir::new().unwrap();
    let mut command = command(folder.path());
    command.env("PINGONE_ISSUER", "http://hunter2.example/as").env("API_IDENTIFIER", "");
    let (code, text) = failure(&mut command);
    assert_eq!(code, Some(1));
    assert!(text.contains("PINGONE_ISSUER must") && text.contains("API_IDENTIFIER must"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

/// Starts an issuer with a discovery document and keys, and returns its URL.
async fn issuer() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}/env/as", listener.local_addr().unwrap());
    let discovery = json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/jwks") });
    let router = Router::new()
        .route("/env/as/.well-known/openid-configuration", get(async move || Json(discovery)))
        .route("/env/as/jwks", get(async || Json(json!({ "keys": [CURRENT.jwk()] }))));
    tokio::spawn(async move { axum::serve(listener, router).await });
    issuer
}

struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    fn start(issuer: &str, data_dir: &Path) -> Self {
        let mut command = command(data_dir);
        command.env("PINGONE_ISSUER", issuer).args(["--api-identifier", AUDIENCE]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let (_, address) = line.split_once("address=").unwrap();
        let address = address.split(' ').next().unwrap().parse().unwrap();
        Self { child, address }
    }

    async fn request(&self, method: reqwest::Method, issuer: &str, body: Option<Value>) -> Value {
        let mut claims = claims("alice");
        claims["iss"] = json!(issuer);
        claims["iat"] = json!(0);
        claims["exp"] = json!(4_000_000_000_u64);
        let token = CURRENT.sign(&CURRENT.header(), &claims);
        let mut request = reqwest::Client::new()
            .request(method, format!("http://{}/api/todos", self.address))
            .header("authorization", format!("Bearer {token}"));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.unwrap().bytes().await.unwrap();
        serde_json::from_slice(&response).unwrap()
    }

    /// Sends SIGTERM and returns the exit status.
    fn terminate(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

#[cfg(unix)]
#[tokio::test]
async fn restarted_program_has_the_todos() {
    // This fails if another test has installed a provider, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = TempDir::new().unwrap();
    let issuer = issuer().await;
    let program = Running::start(&issuer, folder.path());
    let body = Some(json!({ "todoText": "buy milk" }));
    let created = program.request(reqwest::Method::POST, &issuer, body).await;
    assert_eq!(created["todos"][0]["text"], "buy milk", "{created}");
    assert_eq!(program.terminate(), Some(0));
    let program = Running::start(&issuer, folder.path());
    assert_eq!(program.request(reqwest::Method::GET, &issuer, None).await, created);
    assert_eq!(program.terminate(), Some(0));
}
