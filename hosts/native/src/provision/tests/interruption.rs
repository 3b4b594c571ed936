//! Interruptions at every request, in each way. A second run ends right, and nothing is doubled.

use pingone_sim::ManagementFault;

use super::{
    super::report::Verb,
    world::{Mode, WEBHOOK, World, verbs},
};

/// Runs again until PingOne shows everything, and compares it with a run that was not interrupted.
async fn ends_right(world: &World, expected: &[(String, usize)], what: &str) {
    let second = world.run(Mode::Apply, &[WEBHOOK]).await;
    assert!(second.error.is_none(), "{what}: {:?}", second.error);
    // New objects may not be found in the first reads.
    for _ in 0..3 {
        world.run(Mode::Plan, &[WEBHOOK]).await;
    }
    let verified = world.run(Mode::Verify, &[WEBHOOK]).await;
    assert_eq!(verbs(&verified.lines, Verb::Ok).len(), verified.lines.len(), "{what}: {:?}", verified.lines);
    assert_eq!(world.objects().await, expected, "{what}");
    let tokens = world.log_in(&second.client_id.unwrap(), &second.client_secret.unwrap()).await;
    assert!(tokens["access_token"].is_string(), "{what}: {tokens}");
}

/// The requests and the objects of a run that is not interrupted.
async fn whole() -> (u64, Vec<(String, usize)>) {
    let world = World::new();
    assert!(world.run(Mode::Apply, &[WEBHOOK]).await.error.is_none());
    let requests = world.requests();
    (requests, world.objects().await)
}

#[tokio::test]
async fn run_with_any_failing_request_can_be_repeated() {
    let (requests, objects) = whole().await;
    let mut failed = 0;
    for fault in [
        ManagementFault::Cut,
        ManagementFault::CutAfterwards,
        ManagementFault::RetryAfter(1),
        ManagementFault::RetryAfter(3_600),
        ManagementFault::Status(500),
        ManagementFault::StatusAfterwards(504),
    ] {
        for number in 1..=requests {
            let world = World::new();
            world.fail(number, fault);
            let first = world.run(Mode::Apply, &[WEBHOOK]).await;
            failed += u64::from(first.error.is_some());
            ends_right(&world, &objects, &format!("request {number} of {requests}, {fault:?}")).await;
        }
    }
    // A pause that is too long ends the run at each request, and so does an unknown outcome of the last request that creates.
    assert!(failed >= requests, "{failed} of {requests}");
}

#[tokio::test]
async fn run_that_is_killed_at_any_request_can_be_repeated() {
    let (requests, objects) = whole().await;
    for last_takes_effect in [false, true] {
        for number in 1..=requests {
            let world = World::new();
            world.break_after(number, last_takes_effect);
            assert!(world.run(Mode::Apply, &[WEBHOOK]).await.error.is_some(), "{number}");
            world.recover();
            let what = format!("killed at {number}, effect {last_takes_effect}");
            ends_right(&world, &objects, &what).await;
        }
    }
}

#[tokio::test]
async fn run_killed_at_inconsistent_pingone_can_be_repeated() {
    let (_, objects) = whole().await;
    let world = World::inconsistent();
    assert!(world.run(Mode::Apply, &[WEBHOOK]).await.error.is_none());
    for number in 1..=world.requests() {
        let world = World::inconsistent();
        world.break_after(number, true);
        world.run(Mode::Apply, &[WEBHOOK]).await;
        world.recover();
        ends_right(&world, &objects, &format!("killed at {number}")).await;
    }
}

#[tokio::test]
async fn two_runs_at_once_make_one_of_everything() {
    let (_, objects) = whole().await;
    let world = World::inconsistent();
    let (one, other) = tokio::join!(world.run(Mode::Apply, &[]), world.run(Mode::Apply, &[]));
    assert!(one.error.is_none() && other.error.is_none(), "{:?} {:?}", one.error, other.error);
    assert_eq!(one.client_id, other.client_id);
    ends_right(&world, &objects, "two at once").await;
}
