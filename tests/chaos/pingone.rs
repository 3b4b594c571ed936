//! The simulated PingOne, from outside.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::deputy::program;

/// How the tests drive the simulator that listens on a port.
#[derive(Clone)]
pub(crate) struct PingOne {
    http: reqwest::Client,
    url: String,
}

/// The simulator as a process that ends with this value.
pub(crate) struct Simulator {
    process: Child,
    /// What Deputy must know of it: names and values of variables.
    pub(crate) variables: Vec<(String, String)>,
}

impl Simulator {
    pub(crate) fn start(port: u16, callback: &str, audience: &str) -> Self {
        let mut process = Command::new(program("pingone-sim"))
            .args(["--listen", &format!("127.0.0.1:{port}"), "--redirect-uri", callback])
            .args(["--api-identifier", audience])
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
        // It may have ended by itself, and there is nobody to tell.
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

    /// Fails in this way until [`PingOne::heal`].
    pub(crate) async fn fail(&self, failure: Value) {
        self.send("POST", "/sim/failures", Some(json!({ "failure": failure, "always": true }))).await;
    }

    pub(crate) async fn heal(&self) {
        self.send("DELETE", "/sim/failures", None).await;
    }

    /// Sets these knobs, and no others.
    pub(crate) async fn configure(&self, knobs: Value) {
        let mut all = self.state().await["knobs"].clone();
        for (name, value) in knobs.as_object().unwrap() {
            all[name] = value.clone();
        }
        self.send("PUT", "/sim/knobs", Some(all)).await;
    }

    /// Has a key sign that nobody has seen published.
    pub(crate) async fn rotate_to_an_unseen_key(&self) {
        // The first of the two has been published as the next one.
        self.keys("rotate", json!({})).await;
        self.keys("rotate", json!({})).await;
    }

    /// `crowd`, `drop-old`, `replace` or `twin`.
    pub(crate) async fn keys(&self, change: &str, details: Value) {
        self.send("POST", &format!("/sim/keys/{change}"), Some(details)).await;
    }

    pub(crate) async fn add_person(&self, username: &str, password: &str) {
        self.send("POST", "/sim/people", Some(json!({ "username": username, "password": password }))).await;
    }

    /// Requests of all endpoints so far.
    pub(crate) async fn requests(&self) -> u64 {
        self.state().await["requests"].as_object().unwrap().values().filter_map(Value::as_u64).sum()
    }

    /// Refreshes so far, refused ones too.
    pub(crate) async fn refreshes(&self) -> u64 {
        self.state().await["requests"]["refresh"].as_u64().unwrap_or_default()
    }

    /// How often the refresh token of a person has been rotated.
    pub(crate) async fn rotations(&self, username: &str) -> u64 {
        let state = self.state().await;
        let people = state["people"].as_array().unwrap();
        let person = &people.iter().find(|person| person["username"] == username).unwrap()["id"];
        let families = state["families"].as_array().unwrap().iter();
        families
            .filter(|family| family["person"] == *person)
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
