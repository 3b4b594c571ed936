//! What a grant is worth when everything happens at once: requests whose steps interleave at every verb of the store, clients
//! that hang up, storage that fails, a process that ends.
//!
//! Each run follows from its seed. `DEPUTY_SEEDS` is how many there are (150), `DEPUTY_SEED` runs one of them again.
//! What happens to one request alone is in [`failure_points`], for every place at which it can happen.

mod failure_points;
mod host;
mod logins;
mod scheduler;

use std::sync::{Arc, Mutex};

use axum::{Router, body::Body};
use deputy::host::Host as _;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower_service::Service as _;
use url::form_urlencoded;

use self::{
    host::{ContendedHost, Failures},
    scheduler::{Dice, Tasks},
};
use crate::world::{CALLBACK, DEPUTY, Tokens, VERIFIER, World};

/// What one request was, and what it was answered.
#[derive(Clone, Debug)]
struct Outcome {
    kind: &'static str,
    status: StatusCode,
    location: String,
    json: Value,
}

/// How rough a run is.
#[derive(Clone, Copy)]
struct Weather {
    /// One in so many steps; 0 is never.
    hang_ups: usize,
    store_failures: Failures,
    /// One in so many steps; 0 is never.
    crashes: usize,
    /// The process ends after so many steps.
    crash_after: Option<usize>,
    /// At one in so many steps some seconds pass; 0 is never.
    clock: usize,
}

const CALM: Weather =
    Weather { hang_ups: 0, store_failures: Failures::Never, crashes: 0, crash_after: None, clock: 0 };
const ROUGH: Weather = Weather { hang_ups: 30, store_failures: Failures::OneIn(40), ..CALM };

/// Every other run.
const fn weather(seed: u64) -> Weather {
    if seed.is_multiple_of(2) { CALM } else { ROUGH }
}

/// One run.
struct Run<'a> {
    world: &'a World,
    dice: Dice,
    weather: Weather,
    tasks: Tasks,
    host: ContendedHost,
    router: Router,
    outcomes: Arc<Mutex<Vec<Outcome>>>,
}

/// Whether a run was cut off, and at which moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    AllAnswered,
    Crashed { renewing: bool },
}

impl<'a> Run<'a> {
    fn new(world: &'a World, seed: u64, weather: Weather) -> Self {
        let (tasks, dice) = (Tasks::default(), Dice::new(seed));
        let store_dice = Dice::new(!seed);
        let host = ContendedHost::new(world.host.clone(), tasks.clone(), store_dice, weather.store_failures);
        let router = world.server(Arc::new(host.clone())).router();
        Self { world, dice, weather, tasks, host, router, outcomes: Arc::default() }
    }

    /// A client sends a request.
    fn send(&self, kind: &'static str, request: Request<Body>) {
        let (mut router, outcomes) = (self.router.clone(), Arc::clone(&self.outcomes));
        self.tasks.client(async move {
            let Ok(response) = router.call(request).await;
            let (head, body) = response.into_parts();
            let bytes = body.collect().await.expect("a whole answer").to_bytes();
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

    fn happens(&mut self, one_in: usize) -> bool {
        one_in > 0 && self.dice.below(one_in) == 0
    }

    /// Lets everything go on, in some order, until nothing is left to do or the process ends.
    fn until_the_end(&mut self) -> End {
        for step in 0..100_000 {
            let must_end = self.weather.crash_after == Some(step);
            if must_end || self.happens(self.weather.crashes) {
                let renewing = self.host.is_renewing();
                self.tasks.crash();
                return End::Crashed { renewing };
            }
            if !self.tasks.step(&mut self.dice) {
                return End::AllAnswered;
            }
            if self.happens(self.weather.clock) {
                self.world.host.advance(1 + self.dice.below(5) as u64);
            }
            if self.happens(self.weather.hang_ups) {
                self.tasks.hang_up(&mut self.dice);
            }
        }
        panic!("it never ends");
    }

    fn outcomes(&self, kind: &str) -> Vec<Outcome> {
        self.outcomes.lock().unwrap().iter().filter(|outcome| outcome.kind == kind).cloned().collect()
    }

    /// The token responses of this kind.
    fn issued(&self, kind: &str, client: &str) -> Vec<Tokens> {
        let good = self.outcomes(kind).into_iter().filter(|outcome| outcome.status == StatusCode::OK);
        good.map(|outcome| Tokens::from_json(client, outcome.json)).collect()
    }

    /// Whether, when all is quiet, neither of these tokens is good for anything.
    async fn is_dead(&self, tokens: &Tokens) -> bool {
        let call = self.world.call(&tokens.access, "who_am_i", json!({})).await;
        let refresh = self.world.refresh(&tokens.client, &tokens.refresh).await;
        call.status == StatusCode::UNAUTHORIZED && refresh.status == StatusCode::BAD_REQUEST
    }

    /// New tokens for these, when all is quiet.
    async fn refreshed(&self, tokens: &Tokens) -> Tokens {
        let answer = self.world.refresh(&tokens.client, &tokens.refresh).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        Tokens::of(&tokens.client, &answer)
    }
}

/// The seeds to run. A world serves a few of them.
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
        let failed = SaysItsSeed(seed);
        run(&world, seed).await;
        std::mem::forget(failed);
    }
}

struct SaysItsSeed(u64);

impl Drop for SaysItsSeed {
    fn drop(&mut self) {
        eprintln!("this was DEPUTY_SEED={}", self.0);
    }
}

/// Tokens of ours that are fresh, while PingOne's has half a minute left.
async fn about_to_expire(world: &World) -> Tokens {
    let tokens = world.connected().await;
    world.host.advance(3600 - 61);
    let tokens = Tokens::of(&tokens.client, &world.refresh(&tokens.client, &tokens.refresh).await);
    world.host.advance(31);
    tokens
}

#[tokio::test]
async fn concurrent_redemptions_succeed_once_and_replay_revokes() {
    for_each_seed(async |world, seed| {
        let client = world.client().await;
        let code = world.code(&client).await;
        let mut run = Run::new(world, seed, weather(seed));
        let attempts = 1 + seed % 4;
        for _ in 0..attempts {
            run.redeem(&client, &code);
        }
        run.until_the_end();
        let issued = run.issued("redeem", &client);
        assert!(issued.len() <= 1, "{issued:?}");
        let replayed = run
            .outcomes("redeem")
            .iter()
            .any(|outcome| outcome.json["error_description"] == "the code was used before");
        for tokens in &issued {
            if replayed {
                assert!(run.is_dead(tokens).await, "a replay went unpunished");
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
        let tokens = about_to_expire(world).await;
        let before = world.pingone.requests("refresh");
        let mut run = Run::new(world, seed, weather(seed));
        for _ in 0..3 {
            run.refresh(&tokens);
            run.call(&tokens);
        }
        run.until_the_end();
        assert!(world.pingone.requests("refresh") - before <= 1, "PingOne was asked twice");
        let issued = run.issued("refresh", &tokens.client);
        assert!(issued.windows(2).all(|pair| pair[0].refresh == pair[1].refresh), "{issued:?}");
        // If a lease was left behind it has run out now, and PingOne's first token has expired.
        world.host.advance(61);
        // An answer that was lost can be had again.
        let first = run.refreshed(issued.first().unwrap_or(&tokens)).await;
        let second = run.refreshed(&first).await;
        assert_eq!(world.call(&second.access, "get_my_todo_list", json!({})).await.status, StatusCode::OK);
        assert!(world.pingone.requests("refresh") - before <= 1, "PingOne was asked twice");
        // And now what was spent long ago is a replay.
        assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.status, StatusCode::BAD_REQUEST);
        assert!(run.is_dead(&second).await, "a replay went unpunished");
    })
    .await;
}

#[tokio::test]
async fn revoked_grant_stays_revoked_under_concurrent_requests() {
    for_each_seed(async |world, seed| {
        let tokens = about_to_expire(world).await;
        let mut run = Run::new(world, seed, weather(seed));
        for _ in 0..2 {
            run.refresh(&tokens);
            run.call(&tokens);
            run.revoke(&tokens);
        }
        run.until_the_end();
        if run.outcomes("revoke").iter().all(|outcome| outcome.status != StatusCode::OK) {
            return;
        }
        assert!(run.is_dead(&tokens).await, "the revoked token lives");
        for issued in run.issued("refresh", &tokens.client) {
            assert!(run.is_dead(&issued).await, "a token that was issued meanwhile lives");
        }
    })
    .await;
}

#[tokio::test]
async fn crash_costs_a_grant_only_during_a_refresh_at_pingone() {
    for_each_seed(async |world, seed| {
        let tokens = about_to_expire(world).await;
        let mut run = Run::new(world, seed, Weather { crashes: 60, ..CALM });
        for _ in 0..2 {
            run.refresh(&tokens);
            run.call(&tokens);
        }
        let end = run.until_the_end();
        let issued = run.issued("refresh", &tokens.client);
        // The lease of a process that is gone runs out.
        world.host.advance(61);
        let newest = issued.first().unwrap_or(&tokens);
        if end == (End::Crashed { renewing: true }) {
            let answer = world.refresh(&tokens.client, &newest.refresh).await;
            assert!(matches!(answer.status, StatusCode::OK | StatusCode::BAD_REQUEST), "{}", answer.text);
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
        let tokens = about_to_expire(world).await;
        let began = world.host.now();
        let mut run = Run::new(world, seed, Weather { clock: 12, ..weather(seed) });
        for _ in 0..3 {
            run.refresh(&tokens);
            run.call(&tokens);
        }
        run.until_the_end();
        assert!(!run.host.overlapped(), "PingOne was asked by two at a time");
        // An answer that is lost costs the login: PingOne has rotated its token, and nobody knows the new one.
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
    println!("{survived} survived, {lost} answers of PingOne were lost");
}

#[tokio::test]
async fn user_index_lists_exactly_the_live_grants() {
    for_each_seed(async |_, seed| {
        // One in which nobody else keeps the index from becoming empty.
        let world = &World::new();
        let mut leaving = vec![world.connected().await];
        if seed % 3 == 0 {
            leaving.push(world.connected().await);
        }
        let client = world.client().await;
        let codes = [world.code(&client).await, world.code(&client).await];
        let mut run = Run::new(world, seed, weather(seed));
        for (tokens, code) in leaving.iter().zip(&codes) {
            run.revoke(tokens);
            run.redeem(&client, code);
        }
        run.until_the_end();
        let calm = seed % 2 == 0;
        for tokens in run.issued("redeem", &client) {
            if calm {
                failure_points::is_listed(world, &tokens, true);
            }
            // What could not be entered at once is with the next refresh.
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
