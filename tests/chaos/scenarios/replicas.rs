//! Three replicas behind HAProxy on one PostgreSQL database. For the native host only.

use std::{env, iter, path::PathBuf, sync::Arc, thread, time::Duration};

use futures_util::future::join_all;
use serde_json::json;
use tokio::{join, task::spawn_blocking, time::sleep};

use crate::{
    database::Database,
    deputy::deputy,
    user::{Outcome, User},
    world::{Load, Price, World, outage, users},
};

/// Sends the same request of a user this many times at once, and returns the copies of the user with their outcomes.
async fn race(user: &User, request: impl AsyncFn(&mut User) -> Outcome) -> Vec<(User, Outcome)> {
    join_all((0..RACERS).map(|_| async {
        let mut racer = user.clone();
        let outcome = request(&mut racer).await;
        (racer, outcome)
    }))
    .await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL and HAProxy"]
async fn races_across_replicas_use_nothing_twice() {
    let mut world = World::start_replicas(3).await;
    for number in 0..3 {
        let name = format!("racer-{number}");
        let (user, code) = User::authorized(&world.http, &world.url, &world.pingone, &name).await;
        let redeemed = race(&user, async |racer: &mut User| racer.redeem(&code).await).await;
        let won = redeemed.iter().filter(|(_, outcome)| *outcome == Outcome::Ok).count();
        assert_eq!(won, 1, "a code is redeemed once");
        let refused = redeemed.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Lost(_))).count();
        assert_eq!(
            won + refused,
            RACERS,
            "{:?}",
            redeemed.iter().map(|(_, outcome)| outcome).collect::<Vec<_>>()
        );
    }
    // PingOne's tokens are refreshed after two seconds, by a refresh of the client's tokens or by a call.
    sleep(Duration::from_secs(3)).await;
    for user in &mut world.users {
        let before = world.pingone.rotations(&user.name).await;
        let refreshed = race(user, async |racer: &mut User| racer.refresh().await).await;
        let failed = refreshed.iter().find(|(_, outcome)| *outcome != Outcome::Ok);
        assert!(failed.is_none(), "{:?}", failed.map(|(_, outcome)| outcome));
        let (first, _) = &refreshed[0];
        assert!(
            refreshed.iter().all(|(racer, _)| racer.has_tokens_of(first)),
            "a refresh token was used twice"
        );
        *user = first.clone();
        let called = race(user, async |racer: &mut User| racer.call().await).await;
        // One user has 64 requests at a time in one process.
        let ok = called.iter().filter(|(_, outcome)| *outcome == Outcome::Ok).count();
        assert!(ok > RACERS / 4, "{ok} calls");
        // A valid token is refreshed in the background.
        sleep(Duration::from_secs(1)).await;
        let rotations = world.pingone.rotations(&user.name).await - before;
        assert_eq!(rotations, 1, "PingOne's tokens were refreshed {rotations} times");
    }
    // The three users are well afterwards.
    let load = world.load().await;
    load.during(outage()).await;
    // The results of the copies are not counted.
    let price = Price { unaudited: true, uncounted: true, ..Price::default() };
    world.finish("replicas: after 200 equal requests at once", load, price).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL and HAProxy"]
async fn kill_of_a_replica_during_races_uses_nothing_twice() {
    let mut world = World::start_replicas(3).await;
    world.pingone.configure(json!({ "refresh_grace_seconds": 120 })).await;
    world.pingone.fail(json!({ "token_response_after": 1_500 })).await;
    // PingOne's tokens are refreshed after two seconds.
    sleep(Duration::from_secs(3)).await;
    let World { deputy, others, users, pingone, http, url, .. } = &mut world;
    // A code in a race, too: its one success may be a response that is lost.
    let mut codes = Vec::new();
    for number in 0..3 {
        codes.push(User::authorized(http, url, pingone, &format!("racer-{number}")).await);
    }
    let (mut codes_redeemed, mut answered_races) = (0, 0);
    let deputies = iter::once(deputy).chain(others);
    for ((deputy, user), (racer, code)) in deputies.zip(&mut *users).zip(codes) {
        let before = pingone.refreshes().await;
        let kill = async {
            while pingone.refreshes().await == before {
                sleep(Duration::from_millis(5)).await;
            }
            deputy.kill();
        };
        let redeemed = race(&racer, async |racer: &mut User| racer.redeem(&code).await);
        let refreshed = race(user, async |racer: &mut User| racer.refresh().await);
        let (redeemed, refreshed, ()) = join!(redeemed, refreshed, kill);
        let succeeded = redeemed.iter().filter(|(_, outcome)| *outcome == Outcome::Ok).count();
        assert!(succeeded <= 1);
        codes_redeemed += succeeded;
        let lost = refreshed.iter().find(|(_, outcome)| matches!(outcome, Outcome::Lost(_)));
        assert!(lost.is_none(), "{:?}", lost.map(|(_, outcome)| outcome));
        let mut answered = refreshed.into_iter().filter(|(_, outcome)| *outcome == Outcome::Ok);
        if let Some((first, _)) = answered.next() {
            answered_races += 1;
            assert!(answered.all(|(other, _)| other.has_tokens_of(&first)), "a refresh token was used twice");
            *user = first;
        }
        deputy.start(http).await;
        // The proxy finds it.
        sleep(Duration::from_secs(1)).await;
    }
    assert!(
        codes_redeemed > 0 && answered_races > 0,
        "{codes_redeemed} codes redeemed, {answered_races} races of refreshes answered"
    );
    world.pingone.heal().await;
    let load = world.load().await;
    load.during(outage()).await;
    // The results of the copies are not counted.
    let price = Price { unaudited: true, uncounted: true, ..Price::default() };
    world.finish("replicas: kill -9 during 200 equal requests, grace of 120 s", load, price).await;
}

/// Starts the load, and waits until a refresh at PingOne is under way.
async fn load_with_refreshes_under_way(world: &mut World) -> Load {
    world.pingone.fail(json!({ "token_response_after": 1_500 })).await;
    let before = world.pingone.refreshes().await;
    let load = world.load().await;
    while world.pingone.refreshes().await == before {
        sleep(Duration::from_millis(20)).await;
    }
    load
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL and HAProxy"]
async fn kill_of_a_replica_during_refreshes_loses_no_grant() {
    let mut world = World::start_replicas(users()).await;
    world.pingone.configure(json!({ "refresh_grace_seconds": 120 })).await;
    let load = load_with_refreshes_under_way(&mut world).await;
    world.deputy.kill();
    world.pingone.heal().await;
    load.during(outage()).await;
    world.deputy.start(&world.http).await;
    load.during(2).await;
    world.finish("replicas: kill -9 of one, grace of 120 s", load, Price::default()).await;
}

/// With `PREVIOUS_DEPUTY`, the path of an earlier version of the program, this is an update from that version: it creates the
/// database, and both versions use it meanwhile.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL and HAProxy"]
async fn rolling_restart_of_replicas_fails_no_request() {
    let previous = env::var_os("PREVIOUS_DEPUTY").map_or_else(deputy, PathBuf::from);
    let mut world = World::start_replicas_of(&previous, users()).await;
    let load = load_with_refreshes_under_way(&mut world).await;
    world.pingone.heal().await;
    for deputy in iter::once(&mut world.deputy).chain(&mut world.others) {
        deputy.stop().await;
        deputy.update();
        deputy.start(&world.http).await;
        // The proxy finds it.
        sleep(Duration::from_secs(1)).await;
    }
    let outcomes =
        world.finish("replicas: restart of one after another, no grace", load, Price::default()).await;
    let failed = outcomes.iter().find(|outcome| **outcome != Outcome::Ok);
    assert_eq!(failed, None);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL and HAProxy"]
async fn crash_of_the_database_loses_no_grant() {
    let mut world = World::start_replicas(users()).await;
    let load = load_with_refreshes_under_way(&mut world).await;
    for mode in ["immediate", "fast"] {
        let database = world.database.as_ref().unwrap();
        let (stopped, resumed) = (Arc::clone(&database.primary), Arc::clone(&database.primary));
        spawn_blocking(move || stopped.stop(mode)).await.unwrap();
        load.during(outage()).await;
        spawn_blocking(move || resumed.resume()).await.unwrap();
        load.during(2).await;
    }
    world.pingone.heal().await;
    world.finish("replicas: crash and restart of PostgreSQL, no grace", load, Price::default()).await;
}

/// The database is away for less than the four seconds for which requests wait, and so do the checks of the proxy. New calls
/// come meanwhile.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL and HAProxy"]
async fn short_restart_of_the_database_fails_no_call() {
    let mut world = World::start_replicas(3).await;
    let database = Arc::clone(&world.database.as_ref().unwrap().primary);
    let restart = spawn_blocking(move || {
        thread::sleep(Duration::from_millis(500));
        database.stop("fast");
        thread::sleep(Duration::from_millis(1_500));
        database.resume();
    });
    let mut calls = Vec::new();
    while !restart.is_finished() {
        let mut user = world.users[calls.len() % 3].clone();
        calls.push(tokio::spawn(async move { user.call().await }));
        sleep(Duration::from_millis(20)).await;
    }
    restart.await.unwrap();
    let outcomes: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    let failed: Vec<_> = outcomes.iter().filter(|outcome| **outcome != Outcome::Ok).collect();
    assert!(failed.is_empty(), "{} of {}: {:?}", failed.len(), outcomes.len(), failed.first());
    let load = world.load().await;
    load.during(1).await;
    // The results of the copies are not counted.
    let price = Price { unaudited: true, uncounted: true, ..Price::default() };
    world.finish("replicas: after a short restart of PostgreSQL", load, price).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL and HAProxy"]
async fn failover_of_the_database_loses_no_grant() {
    let mut world = World::start_replicas_with_a_standby(users()).await;
    let load = load_with_refreshes_under_way(&mut world).await;
    let Database { primary, standby } = world.database.clone().unwrap();
    let failover = move || {
        primary.stop("immediate");
        standby.unwrap().become_primary();
    };
    spawn_blocking(failover).await.unwrap();
    load.during(outage()).await;
    world.pingone.heal().await;
    load.during(2).await;
    world.finish("replicas: failover to a synchronous standby, no grace", load, Price::default()).await;
}

/// Equal requests at once.
const RACERS: usize = 200;
