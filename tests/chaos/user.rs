//! A user, and the client that acts for the user.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use harness::{browser::Browser, network::Network, remote::Remote};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::{Url, form_urlencoded};

use crate::pingone::PingOne;

/// A user who has logged in with a client.
#[derive(Clone)]
pub(crate) struct User {
    http: reqwest::Client,
    deputy: String,
    pub(crate) name: String,
    client_id: String,
    access_token: String,
    refresh_token: String,
    /// The responses to tool calls so far that are the result of a tool.
    pub(crate) results: u64,
    /// The tool calls so far without a response.
    pub(crate) unanswered: u64,
}

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    /// The response names a temporary problem.
    Refused(String),
    /// No response, or one that no client expects.
    Failed(String),
    /// The client has to ask its user to log in again.
    Lost(String),
}

impl User {
    /// Registers a client and logs in with it through a browser.
    pub(crate) async fn log_in(http: &reqwest::Client, deputy: &str, pingone: &PingOne, name: &str) -> Self {
        let (mut user, code) = Self::authorized(http, deputy, pingone, name).await;
        assert_eq!(user.redeem(&code).await, Outcome::Ok, "{name}");
        user
    }

    /// Registers a client and gets a code for it through a browser.
    pub(crate) async fn authorized(
        http: &reqwest::Client,
        deputy: &str,
        pingone: &PingOne,
        name: &str,
    ) -> (Self, String) {
        pingone.add_user(name, PASSWORD).await;
        let registration = json!({ "redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none" });
        let request = http.post(format!("{deputy}/register")).header("content-type", "application/json");
        let response = request.body(registration.to_string()).send().await.unwrap().bytes().await.unwrap();
        let registered: Value = serde_json::from_slice(&response).unwrap();
        let client_id = registered["client_id"].as_str().unwrap_or_else(|| panic!("{registered}")).to_owned();
        let user = Self {
            http: http.clone(),
            deputy: deputy.to_owned(),
            name: name.to_owned(),
            client_id,
            access_token: String::new(),
            refresh_token: String::new(),
            results: 0,
            unanswered: 0,
        };
        let code = user.authorize(pingone).await;
        (user, code)
    }

    /// Redeems a code.
    pub(crate) async fn redeem(&mut self, code: &str) -> Outcome {
        let code = [("grant_type", "authorization_code"), ("code", code), ("code_verifier", VERIFIER)];
        self.token(&[&code[..], &[("redirect_uri", REDIRECT_URI)]].concat()).await
    }

    /// Whether this and another copy of the user have the same refresh token.
    pub(crate) fn has_tokens_of(&self, other: &Self) -> bool {
        self.refresh_token == other.refresh_token
    }

    async fn authorize(&self, pingone: &PingOne) -> String {
        let network = Network::default();
        for origin in [self.deputy.as_str(), pingone.origin()] {
            network.serve(origin, Remote::at(&Url::parse(origin).unwrap()).router());
        }
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let query = form(&[
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", REDIRECT_URI),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", "s"),
        ]);
        let mut browser = Browser::new(network);
        let approval = browser.open(&format!("{}/authorize?{query}", self.deputy)).await;
        let sign_on = browser.submit(&approval, &[], "approve").await;
        let credentials = [("username", self.name.as_str()), ("password", PASSWORD)];
        let consent = browser.submit(&sign_on, &credentials, "SIGNON").await;
        let arrival = browser.submit(&consent, &[], "APPROVE").await;
        arrival.query("code").unwrap_or_else(|| panic!("{}: no code at {}", self.name, arrival.url))
    }

    /// Calls the tool that lists the todos. After a `401` it refreshes its tokens and calls once more, like real
    /// clients.
    pub(crate) async fn call(&mut self) -> Outcome {
        match self.list().await {
            Some(outcome) => outcome,
            None => match self.refresh().await {
                Outcome::Ok => self
                    .list()
                    .await
                    .unwrap_or_else(|| Outcome::Lost("a fresh access token is refused".into())),
                other => other,
            },
        }
    }

    /// Whether Deputy accepts the access token.
    pub(crate) async fn has_access(&mut self) -> bool {
        self.list().await.is_some()
    }

    /// Lists the todos; `None` if Deputy refuses the access token.
    async fn list(&mut self) -> Option<Outcome> {
        let call = json!({ "name": "get_my_todo_list", "arguments": {} });
        let response =
            match self.send(&json!({ "id": 1, "method": "tools/call", "params": call }), None).await {
                Ok(response) => response,
                Err(error) => {
                    self.unanswered += 1;
                    return Some(Outcome::Failed(format!("{error:?}")));
                }
            };
        let status = response.status().as_u16();
        let Ok(text) = response.text().await else {
            self.unanswered += 1;
            return Some(Outcome::Failed(format!("{status}, and a body that was cut off")));
        };
        self.results += u64::from(status == 200);
        // A proxy says so of a replica that was killed.
        self.unanswered += u64::from(status == 502);
        Some(match status {
            200 => outcome(&text),
            401 => return None,
            429 | 502..=504 => Outcome::Refused(format!("{status} {text}")),
            _ => Outcome::Failed(format!("{status} {text}")),
        })
    }

    /// Sends one message to the MCP endpoint.
    pub(crate) async fn send(
        &self,
        message: &Value,
        session: Option<&str>,
    ) -> reqwest::Result<reqwest::Response> {
        let mut message = message.clone();
        message["jsonrpc"] = json!("2.0");
        let mut request = self
            .http
            .post(format!("{}/mcp", self.deputy))
            .header("accept", "application/json, text/event-stream")
            .header("authorization", format!("Bearer {}", self.access_token))
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2025-11-25");
        if let Some(session) = session {
            request = request.header("mcp-session-id", session);
        }
        request.body(message.to_string()).send().await
    }

    /// Refreshes the client's own tokens.
    pub(crate) async fn refresh(&mut self) -> Outcome {
        let token = self.refresh_token.clone();
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", &token)]).await
    }

    async fn token(&mut self, parameters: &[(&str, &str)]) -> Outcome {
        let body = form(&[parameters, &[("client_id", &self.client_id)]].concat());
        let request = self.http.post(format!("{}/token", self.deputy));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Outcome::Failed(format!("{error:?}")),
        };
        let status = response.status().as_u16();
        let text = response.text().await.unwrap_or_default();
        let members: Value = serde_json::from_str(&text).unwrap_or_default();
        match (status, members["access_token"].as_str(), members["refresh_token"].as_str()) {
            (200, Some(access_token), Some(refresh_token)) => {
                (self.access_token, self.refresh_token) = (access_token.to_owned(), refresh_token.to_owned());
                Outcome::Ok
            }
            (400, ..) if members["error"] == "invalid_grant" => Outcome::Lost(text),
            (429 | 502..=504, ..) => Outcome::Refused(format!("{status} {text}")),
            _ => Outcome::Failed(format!("{status} {text}")),
        }
    }
}

/// The outcome of a tool call, from its JSON-RPC message.
fn outcome(text: &str) -> Outcome {
    let message: Value = serde_json::from_str(text).unwrap_or_default();
    let result = &message["result"];
    match result["isError"].as_bool() {
        Some(true) => Outcome::Refused(result["content"][0]["text"].as_str().unwrap_or_default().to_owned()),
        _ if result["structuredContent"]["todos"].is_array() => Outcome::Ok,
        _ => Outcome::Failed(text.to_owned()),
    }
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

const PASSWORD: &str = "Chaos-demo-1";
/// Nothing listens on this port.
const REDIRECT_URI: &str = "http://127.0.0.1:33418/callback";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
