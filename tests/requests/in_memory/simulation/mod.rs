//! Concurrent requests for one grant: their steps interleave at every operation of the store, clients hang up, storage fails,
//! and the process ends.
//!
//! A seed determines a run. `DEPUTY_SEEDS` is the number of seeds (150), and `DEPUTY_SEED` repeats one of them.
//! [`failure_points`] covers every failure of a single request. With `DEPUTY_SIMULATION=postgres`, every operation runs on
//! PostgreSQL too ([`mirror`]).

mod events;
mod failure_points;
mod host;
mod logins;
mod mirror;
mod operator;
mod scheduler;

use std::sync::{Arc, Mutex};

use axum::{Router, body::Body};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower_service::Service as _;
use url::form_urlencoded;

use self::{
    host::{ContendedHost, Failures},
    scheduler::{Dice, Tasks},
};
use crate::world::{CALLBACK, DEPUTY, Tokens, VERIFIER, World, with_expiring_token};

/// A request and its response.
#[derive(Clone, Debug)]
struct Outcome {
    kind: &'static str,
    status: StatusCode,
    location: String,
    json: Value,
}

/// The failures of a run.
#[derive(Clone, Copy)]
struct Faults {
    /// One in this many steps; 0 is never.
    hang_ups: usize,
    store_failures: Failures,
    /// One in this many steps; 0 is never.
    crashes: usize,
    /// The process ends after this many steps.
    crash_after: Option<usize>,
    /// Some seconds pass at one in this many steps; 0 is never.
    clock: usize,
}

const NO_FAULTS: Faults =
    Faults { hang_ups: 0, store_failures: Failures::Never, crashes: 0, crash_after: None, clock: 0 };
const MANY_FAULTS: Faults = Faults { hang_ups: 30, store_failures: Failures::OneIn(40), ..NO_FAULTS };

/// Every other run has faults.
const fn faults_for(seed: u64) -> Faults {
    if seed.is_multiple_of(2) { NO_FAULTS } else { MANY_FAULTS }
}

/// One run of concurrent requests.
struct Run<'a> {
    world: &'a World,
    dice: Dice,
    faults: Faults,
    tasks: Tasks,
    host: ContendedHost,
    router: Router,
    outcomes: Arc<Mutex<Vec<Outcome>>>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    AllFinished,
    Crashed { refreshing: bool },
}

impl<'a> Run<'a> {
    fn new(world: &'a World, seed: u64, faults: Faults) -> Self {
        let (tasks, dice) = (Tasks::default(), Dice::new(seed));
        let store_dice = Dice::new(!seed);
        let host = ContendedHost::new(world.host.clone(), tasks.clone(), store_dice, faults.store_failures);
        let router = world.server(host.parts()).router_with_admin();
        Self { world, dice, faults, tasks, host, router, outcomes: Arc::default() }
    }

    /// A client sends a request.
    fn send(&self, kind: &'static str, request: Request<Body>) {
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

    fn form(&self, kind: &'static str, path: &str, form: &[(&str, &str)]) {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post(format!("{DEPUTY}{path}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(body));
        self.send(kind, request.expect("a request"));
    }

    fn redeem(&self, client: &str, code: &str) {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", CALLBACK),
        ];
        self.form("redeem", "/token", &form);
    }

    fn refresh(&self, tokens: &Tokens) {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", tokens.client.as_str()),
            ("refresh_token", tokens.refresh.as_str()),
        ];
        self.form("refresh", "/token", &form);
    }

    fn revoke(&self, tokens: &Tokens) {
        let form = [("client_id", tokens.client.as_str()), ("token", tokens.refresh.as_str())];
        self.form("revoke", "/revoke", &form);
    }

    fn call(&self, tokens: &Tokens) {
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
    fn use_tokens(&self, tokens: &Tokens, times: usize) {
        for _ in 0..times {
            self.refresh(tokens);
            self.call(tokens);
        }
    }

    fn happens(&mut self, one_in: usize) -> bool {
        one_in > 0 && self.dice.below(one_in) == 0
    }

    /// Runs the tasks in an order that the seed determines, until all have finished or the process ends.
    fn run_to_end(&mut self) -> End {
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

    fn outcomes(&self, kind: &str) -> Vec<Outcome> {
        self.outcomes.lock().unwrap().iter().filter(|outcome| outcome.kind == kind).cloned().collect()
    }

    /// Whether a request of this kind succeeded.
    fn succeeded(&self, kind: &str) -> bool {
        self.outcomes(kind).iter().any(|outcome| outcome.status == StatusCode::OK)
    }

    /// The token responses of this kind.
    fn issued(&self, kind: &str, client: &str) -> Vec<Tokens> {
        let good = self.outcomes(kind).into_iter().filter(|outcome| outcome.status == StatusCode::OK);
        good.map(|outcome| Tokens::from_json(client, outcome.json)).collect()
    }

    /// Whether both of these tokens are refused once no other request is open.
    async fn is_revoked(&self, tokens: &Tokens) -> bool {
        let call = self.world.call(&tokens.access, "who_am_i", json!({})).await;
        let refresh = self.world.refresh(&tokens.client, &tokens.refresh).await;
        call.status == StatusCode::UNAUTHORIZED && refresh.status == StatusCode::BAD_REQUEST
    }

    /// Asserts that a grant has ended, with the tokens that were issued for it meanwhile.
    async fn assert_ended(&self, tokens: &Tokens) {
        assert!(self.is_revoked(tokens).await, "the ended grant lives");
        for issued in self.issued("refresh", &tokens.client) {
            assert!(self.is_revoked(&issued).await, "a token that was issued meanwhile lives");
        }
    }

    /// Refreshes these tokens once no other request is open.
    async fn refreshed(&self, tokens: &Tokens) -> Tokens {
        let response = self.world.refresh(&tokens.client, &tokens.refresh).await;
        assert_eq!(response.status, StatusCode::OK, "{}", response.text);
        Tokens::of(&tokens.client, &response)
    }
}

/// Runs `run` for each seed. 50 seeds share a world.
async fn for_each_seed(mut run: impl AsyncFnMut(&World, u64)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seeds = match number("DEPUTY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("DEPUTY_SEEDS").unwrap_or(150),
    };
    let mut world = World::new();
    for seed in seeds {
        if seed % 50 == 0 {
            world = World::new();
        }
        let failed = PrintsItsSeed(seed);
        run(&world, seed).await;
        std::mem::forget(failed);
    }
}

/// Lets `end` end a grant by requests of this kind, while clients use its tokens. If one succeeds, no token gives access any more.
async fn assert_end_holds(kind: &str, end: impl Fn(&Run<'_>, &Tokens)) {
    let mut ended = 0;
    for_each_seed(async |world, seed| {
        let tokens = with_expiring_token(world, 30).await;
        let mut run = Run::new(world, seed, faults_for(seed));
        run.use_tokens(&tokens, 2);
        end(&run, &tokens);
        run.run_to_end();
        if run.succeeded(kind) {
            ended += 1;
            run.assert_ended(&tokens).await;
        }
    })
    .await;
    let is_one_seed = std::env::var_os("DEPUTY_SEED").is_some();
    assert!(ended > 0 || is_one_seed, "no end succeeded");
}

struct PrintsItsSeed(u64);

impl Drop for PrintsItsSeed {
    fn drop(&mut self) {
        eprintln!("this was DEPUTY_SEED={}", self.0);
    }
}

#[tokio::test]
async fn concurrent_redemptions_succeed_once_and_replay_revokes() {
    for_each_seed(async |world, seed| {
        let client = world.client().await;
        let code = world.code(&client).await;
        let mut run = Run::new(world, seed, faults_for(seed));
        let attempts = 1 + seed % 4;
        for _ in 0..attempts {
            run.redeem(&client, &code);
        }
        run.run_to_end();
        let issued = run.issued("redeem", &client);
        assert!(issued.len() <= 1, "{issued:?}");
        let replayed = run
            .outcomes("redeem")
            .iter()
            .any(|outcome| outcome.json["error_description"] == "the code was used before");
        for tokens in &issued {
            if replayed {
                assert!(run.is_revoked(tokens).await, "a replay went unpunished");
            } else if attempts == 1 {
                run.refreshed(tokens).await;
            }
        }
        let late = world.redeem(&client, &code).await;
        assert!(late.status == StatusCode::OK && issued.is_empty() || late.status == StatusCode::BAD_REQUEST);
    })
    .await;
}

#[tokio::test]
async fn concurrent_refreshes_ask_pingone_once_and_keep_the_grant() {
    for_each_seed(async |world, seed| {
        let tokens = with_expiring_token(world, 30).await;
        let before = world.pingone.requests("refresh");
        let mut run = Run::new(world, seed, faults_for(seed));
        run.use_tokens(&tokens, 3);
        run.run_to_end();
        assert!(world.pingone.requests("refresh") - before <= 1, "PingOne was asked twice");
        let issued = run.issued("refresh", &tokens.client);
        assert!(issued.windows(2).all(|pair| pair[0].refresh == pair[1].refresh), "{issued:?}");
        // An abandoned lease has expired now, and so has PingOne's first access token.
        world.host.advance(61);
        // A client that lost the response can repeat the refresh.
        let first = run.refreshed(issued.first().unwrap_or(&tokens)).await;
        let second = run.refreshed(&first).await;
        assert_eq!(world.call(&second.access, "get_my_todo_list", json!({})).await.status, StatusCode::OK);
        assert!(world.pingone.requests("refresh") - before <= 1, "PingOne was asked twice");
        // The first refresh token was spent long ago, so it is a replay.
        assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.status, StatusCode::BAD_REQUEST);
        assert!(run.is_revoked(&second).await, "a replay went unpunished");
    })
    .await;
}

#[tokio::test]
async fn revoked_grant_stays_revoked_under_concurrent_requests() {
    assert_end_holds("revoke", |run, tokens| {
        run.revoke(tokens);
        run.revoke(tokens);
    })
    .await;
}

#[tokio::test]
async fn crash_costs_a_grant_only_during_a_refresh_at_pingone() {
    for_each_seed(async |world, seed| {
        let tokens = with_expiring_token(world, 30).await;
        let mut run = Run::new(world, seed, Faults { crashes: 60, ..NO_FAULTS });
        run.use_tokens(&tokens, 2);
        let end = run.run_to_end();
        let issued = run.issued("refresh", &tokens.client);
        // The lease of the crashed process expires.
        world.host.advance(61);
        let newest = issued.first().unwrap_or(&tokens);
        if end == (End::Crashed { refreshing: true }) {
            let response = world.refresh(&tokens.client, &newest.refresh).await;
            assert!(matches!(response.status, StatusCode::OK | StatusCode::BAD_REQUEST), "{}", response.text);
            return;
        }
        let next = run.refreshed(newest).await;
        assert_eq!(world.call(&next.access, "get_my_todo_list", json!({})).await.status, StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn refreshes_of_a_grant_never_overlap_while_time_passes() {
    let (mut lost, mut survived) = (0, 0);
    for_each_seed(async |world, seed| {
        let tokens = with_expiring_token(world, 30).await;
        let began = world.host.now();
        let mut run = Run::new(world, seed, Faults { clock: 12, ..faults_for(seed) });
        run.use_tokens(&tokens, 3);
        run.run_to_end();
        assert!(!run.host.overlapped(), "PingOne was asked by two at a time");
        // A lost response ends the grant: PingOne has rotated its refresh token, and the new one is lost.
        lost += run.host.lost();
        let tolerated = world.host.now().since(began) < 100;
        if run.host.lost() == 0 && tolerated {
            world.host.advance(61);
            let issued = run.issued("refresh", &tokens.client);
            let next = run.refreshed(issued.first().unwrap_or(&tokens)).await;
            assert_eq!(world.call(&next.access, "get_my_todo_list", json!({})).await.status, StatusCode::OK);
            survived += 1;
        }
    })
    .await;
    println!("{survived} survived, {lost} responses of PingOne were lost");
}

#[tokio::test]
async fn user_index_lists_exactly_the_live_grants() {
    for_each_seed(async |_, seed| {
        // A new world: grants of other runs would keep the index from becoming empty.
        let world = &World::new();
        let mut leaving = vec![world.connected().await];
        if seed % 3 == 0 {
            leaving.push(world.connected().await);
        }
        let client = world.client().await;
        let codes = [world.code(&client).await, world.code(&client).await];
        let mut run = Run::new(world, seed, faults_for(seed));
        for (tokens, code) in leaving.iter().zip(&codes) {
            run.revoke(tokens);
            run.redeem(&client, code);
        }
        run.run_to_end();
        let calm = seed % 2 == 0;
        for tokens in run.issued("redeem", &client) {
            if calm {
                failure_points::is_listed(world, &tokens, true);
            }
            // The next refresh repairs an index that could not be written.
            failure_points::is_listed(world, &run.refreshed(&tokens).await, true);
        }
        if calm {
            for tokens in &leaving {
                failure_points::is_listed(world, tokens, false);
            }
        }
    })
    .await;
}
