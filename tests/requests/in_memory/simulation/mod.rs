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
mod run;
mod scheduler;

use http::StatusCode;
use serde_json::json;

use self::{
    host::Failures,
    run::{End, Faults, NO_FAULTS, Outcome, Run, faults_for},
};
use crate::world::{Tokens, World, with_expiring_token};

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
