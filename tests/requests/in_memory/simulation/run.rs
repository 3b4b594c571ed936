//! One run of concurrent requests, and its failures.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Body};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower_service::Service as _;
use url::form_urlencoded;

use super::{
    host::{ContendedHost, Failures},
    scheduler::{Dice, Tasks},
};
use crate::world::{CALLBACK, DEPUTY, Tokens, VERIFIER, World};

/// A request and its response.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) kind: &'static str,
    pub(super) status: StatusCode,
    pub(super) location: String,
    pub(super) json: Value,
}

/// The failures of a run.
#[derive(Clone, Copy)]
pub(super) struct Faults {
    /// One in this many steps; 0 is never.
    pub(super) hang_ups: usize,
    pub(super) store_failures: Failures,
    /// One in this many steps; 0 is never.
    pub(super) crashes: usize,
    /// The process ends after this many steps.
    pub(super) crash_after: Option<usize>,
    /// Some seconds pass at one in this many steps; 0 is never.
    pub(super) clock: usize,
}

pub(super) const NO_FAULTS: Faults =
    Faults { hang_ups: 0, store_failures: Failures::Never, crashes: 0, crash_after: None, clock: 0 };
const MANY_FAULTS: Faults = Faults { hang_ups: 30, store_failures: Failures::OneIn(40), ..NO_FAULTS };

/// Every other run has faults.
pub(super) const fn faults_for(seed: u64) -> Faults {
    if seed.is_multiple_of(2) { NO_FAULTS } else { MANY_FAULTS }
}

/// One run of concurrent requests.
pub(super) struct Run<'a> {
    pub(super) world: &'a World,
    pub(super) dice: Dice,
    pub(super) faults: Faults,
    pub(super) tasks: Tasks,
    pub(super) host: ContendedHost,
    pub(super) router: Router,
    pub(super) outcomes: Arc<Mutex<Vec<Outcome>>>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    AllFinished,
    Crashed { refreshing: bool },
}

impl<'a> Run<'a> {
    pub(super) fn new(world: &'a World, seed: u64, faults: Faults) -> Self {
        let (tasks, dice) = (Tasks::default(), Dice::new(seed));
        let store_dice = Dice::new(!seed);
        let host = ContendedHost::new(world.host.clone(), tasks.clone(), store_dice, faults.store_failures);
        let router = world.server(host.parts()).router_with_admin();
        Self { world, dice, faults, tasks, host, router, outcomes: Arc::default() }
    }

    /// A client sends a request.
    pub(super) fn send(&self, kind: &'static str, request: Request<Body>) {
        let (mut router, outcomes) = (self.router.clone(), Arc::clone(&self.outcomes));
        self.tasks.client(async move {
            let Ok(response) = router.call(request).await;
            let (head, body) = response.into_parts();
            let bytes = body.collect().await.expect("a whole response").to_bytes();
            let json = serde_json::from_slice(&bytes).unwrap_or_default();
            let location = head.headers.get("location").and_then(|value| value.to_str().ok());
            let location = location.unwrap_or_default().to_owned();
            outcomes.lock().unwrap().push(Outcome { kind, status: head.status, location, json });
        });
    }

    pub(super) fn form(&self, kind: &'static str, path: &str, form: &[(&str, &str)]) {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post(format!("{DEPUTY}{path}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(body));
        self.send(kind, request.expect("a request"));
    }

    pub(super) fn redeem(&self, client: &str, code: &str) {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", CALLBACK),
        ];
        self.form("redeem", "/token", &form);
    }

    pub(super) fn refresh(&self, tokens: &Tokens) {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", tokens.client.as_str()),
            ("refresh_token", tokens.refresh.as_str()),
        ];
        self.form("refresh", "/token", &form);
    }

    pub(super) fn revoke(&self, tokens: &Tokens) {
        let form = [("client_id", tokens.client.as_str()), ("token", tokens.refresh.as_str())];
        self.form("revoke", "/revoke", &form);
    }

    pub(super) fn call(&self, tokens: &Tokens) {
        let params = json!({ "name": "get_my_todo_list", "arguments": {} });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let request = Request::post(format!("{DEPUTY}/mcp"))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25")
            .header("authorization", format!("Bearer {}", tokens.access))
            .body(Body::from(message.to_string()));
        self.send("call", request.expect("a request"));
    }

    /// Clients refresh and call with these tokens, this many times.
    pub(super) fn use_tokens(&self, tokens: &Tokens, times: usize) {
        for _ in 0..times {
            self.refresh(tokens);
            self.call(tokens);
        }
    }

    pub(super) fn happens(&mut self, one_in: usize) -> bool {
        one_in > 0 && self.dice.below(one_in) == 0
    }

    /// Runs the tasks in an order that the seed determines, until all have finished or the process ends.
    pub(super) fn run_to_end(&mut self) -> End {
        for step in 0..100_000 {
            let must_end = self.faults.crash_after == Some(step);
            if must_end || self.happens(self.faults.crashes) {
                let refreshing = self.host.is_refreshing();
                self.tasks.crash();
                return End::Crashed { refreshing };
            }
            if !self.tasks.step(&mut self.dice) {
                return End::AllFinished;
            }
            if self.happens(self.faults.clock) {
                self.world.host.advance(1 + self.dice.below(5) as u64);
            }
            if self.happens(self.faults.hang_ups) {
                self.tasks.hang_up(&mut self.dice);
            }
        }
        panic!("it never ends");
    }

    pub(super) fn outcomes(&self, kind: &str) -> Vec<Outcome> {
        self.outcomes.lock().unwrap().iter().filter(|outcome| outcome.kind == kind).cloned().collect()
    }

    /// Whether a request of this kind succeeded.
    pub(super) fn succeeded(&self, kind: &str) -> bool {
        self.outcomes(kind).iter().any(|outcome| outcome.status == StatusCode::OK)
    }

    /// The token responses of this kind.
    pub(super) fn issued(&self, kind: &str, client: &str) -> Vec<Tokens> {
        let good = self.outcomes(kind).into_iter().filter(|outcome| outcome.status == StatusCode::OK);
        good.map(|outcome| Tokens::from_json(client, outcome.json)).collect()
    }

    /// Whether both of these tokens are refused once no other request is open.
    pub(super) async fn is_revoked(&self, tokens: &Tokens) -> bool {
        let call = self.world.call(&tokens.access, "who_am_i", json!({})).await;
        let refresh = self.world.refresh(&tokens.client, &tokens.refresh).await;
        call.status == StatusCode::UNAUTHORIZED && refresh.status == StatusCode::BAD_REQUEST
    }

    /// Asserts that a grant has ended, with the tokens that were issued for it meanwhile.
    pub(super) async fn assert_ended(&self, tokens: &Tokens) {
        assert!(self.is_revoked(tokens).await, "the ended grant lives");
        for issued in self.issued("refresh", &tokens.client) {
            assert!(self.is_revoked(&issued).await, "a token that was issued meanwhile lives");
        }
    }

    /// Refreshes these tokens once no other request is open.
    pub(super) async fn refreshed(&self, tokens: &Tokens) -> Tokens {
        let response = self.world.refresh(&tokens.client, &tokens.refresh).await;
        assert_eq!(response.status, StatusCode::OK, "{}", response.text);
        Tokens::of(&tokens.client, &response)
    }
}
