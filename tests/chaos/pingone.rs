//! The simulated PingOne, in a process of its own.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::deputy::program;

/// The control interface of the simulator on a port.
#[derive(Clone)]
pub(crate) struct PingOne {
    http: reqwest::Client,
    url: String,
}

/// A process with the simulator. Dropping this value ends it.
pub(crate) struct Simulator {
    process: Child,
    /// The variables that Deputy needs, with their values.
    pub(crate) variables: Vec<(String, String)>,
}

impl Simulator {
    /// Its Deputy is at `deputy`.
    pub(crate) fn start(port: u16, deputy: &str, audience: &str, webhook_secret: &str) -> Self {
        let mut process = Command::new(program("pingone-sim"))
            .args(["--listen", &format!("127.0.0.1:{port}"), "--api-identifier", audience])
            .args(["--redirect-uri", &format!("{deputy}/callback")])
            .args(["--webhook-url", &format!("{deputy}/pingone/events")])
            .args(["--webhook-secret", webhook_secret])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().take(4);
        let variables = lines.map(|line| {
            let line = line.unwrap();
            let (name, value) = line.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        });
        let variables = variables.collect();
        Self { process, variables }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // Both fail if the process has ended by itself, which is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl PingOne {
    pub(crate) fn at(port: u16, http: &reqwest::Client) -> Self {
        Self { http: http.clone(), url: format!("http://localhost:{port}") }
    }

    pub(crate) fn origin(&self) -> &str {
        &self.url
    }

    /// Forces this failure until [`PingOne::heal`].
    pub(crate) async fn fail(&self, failure: Value) {
        self.send("POST", "/sim/failures", Some(json!({ "failure": failure, "always": true }))).await;
    }

    pub(crate) async fn heal(&self) {
        self.send("DELETE", "/sim/failures", None).await;
    }

    /// Changes these settings, and no others.
    pub(crate) async fn configure(&self, settings: Value) {
        let mut all = self.state().await["settings"].clone();
        for (name, value) in settings.as_object().unwrap() {
            all[name] = value.clone();
        }
        self.send("PUT", "/sim/settings", Some(all)).await;
    }

    /// Makes a key the current one that was not published before.
    pub(crate) async fn rotate_to_an_unseen_key(&self) {
        // The first rotation leads to the next key, which is already published.
        self.keys("rotate", json!({})).await;
        self.keys("rotate", json!({})).await;
    }

    /// Changes the keys: `drop-old`, `foreign`, `replace`, `rotate` or `same-kid`.
    pub(crate) async fn keys(&self, change: &str, details: Value) {
        self.send("POST", &format!("/sim/keys/{change}"), Some(details)).await;
    }

    pub(crate) async fn add_user(&self, username: &str, password: &str) {
        self.send("POST", "/sim/users", Some(json!({ "username": username, "password": password }))).await;
    }

    /// Acts on a user: `lock`, `disable`, `delete`, `revoke-consent` or `end-sessions`.
    pub(crate) async fn act_on(&self, username: &str, action: &str) {
        self.send("POST", &format!("/sim/users/{username}/{action}"), None).await;
    }

    /// `sub` of every user.
    pub(crate) async fn subs(&self) -> Vec<String> {
        let state = self.state().await;
        let users = state["users"].as_array().unwrap().iter();
        users.map(|user| user["id"].as_str().unwrap().to_owned()).collect()
    }

    /// The number of requests to all endpoints so far.
    pub(crate) async fn requests(&self) -> u64 {
        self.state().await["requests"].as_object().unwrap().values().filter_map(Value::as_u64).sum()
    }

    /// The number of refreshes so far, with refused ones.
    pub(crate) async fn refreshes(&self) -> u64 {
        self.state().await["requests"]["refresh"].as_u64().unwrap_or_default()
    }

    /// The number of requests for the discovery document and for the key set so far.
    pub(crate) async fn documents(&self) -> u64 {
        let requests = self.state().await["requests"].clone();
        ["discovery", "jwks"].iter().filter_map(|endpoint| requests[endpoint].as_u64()).sum()
    }

    /// The number of times that a user's refresh tokens have been rotated.
    pub(crate) async fn rotations(&self, username: &str) -> u64 {
        let state = self.state().await;
        let users = state["users"].as_array().unwrap();
        let user = users.iter().find(|user| user["username"] == username);
        // A deleted user has none.
        let user = user.map(|user| user["id"].clone()).unwrap_or_default();
        let families = state["families"].as_array().unwrap().iter();
        families
            .filter(|family| family["user"] == user)
            .filter_map(|family| family["rotations"].as_u64())
            .sum()
    }

    async fn state(&self) -> Value {
        serde_json::from_slice(&self.send("GET", "/sim/state", None).await).unwrap()
    }

    async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Vec<u8> {
        let mut request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{method} {path}: {}", response.status());
        response.bytes().await.unwrap().to_vec()
    }
}
