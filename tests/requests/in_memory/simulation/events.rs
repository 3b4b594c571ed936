//! PingOne reports the end of a user's logins, while requests of the user's clients are under way.

use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::json;

use super::{Run, faults_for, for_each_seed};
use crate::world::{DEPUTY, WEBHOOK_SECRET, with_expiring_token};

impl Run<'_> {
    /// PingOne reports that Alice's account was locked.
    pub(super) fn report(&self) {
        let events = json!([self.world.event("USER.LOCKED", "alice")]).to_string();
        let request = Request::post(format!("{DEPUTY}/pingone/events"))
            .header("authorization", format!("Bearer {WEBHOOK_SECRET}"))
            .header("content-type", "application/json")
            .body(Body::from(events));
        self.send("report", request.expect("a request"));
    }

    /// Whether the report was accepted. Otherwise PingOne delivers it again.
    pub(super) fn was_reported(&self) -> bool {
        self.outcomes("report").iter().any(|outcome| outcome.status == StatusCode::OK)
    }
}

#[tokio::test]
async fn grant_that_an_event_ends_stays_ended_under_requests() {
    for_each_seed(async |world, seed| {
        let tokens = with_expiring_token(world, 30).await;
        let mut run = Run::new(world, seed, faults_for(seed));
        for _ in 0..2 {
            run.refresh(&tokens);
            run.call(&tokens);
        }
        run.report();
        run.run_to_end();
        if run.was_reported() {
            run.assert_ended(&tokens).await;
        }
    })
    .await;
}

#[tokio::test]
async fn code_that_is_redeemed_during_an_event_gives_no_access() {
    let mut raced = 0;
    for_each_seed(async |world, seed| {
        // A later login than that of the run before.
        world.host.advance(1);
        let client = world.client().await;
        let code = world.code(&client).await;
        // A grant whose entry in the index of its user could not be written is not found.
        let mut run = Run::new(world, seed, faults_for(2 * seed));
        run.redeem(&client, &code);
        run.report();
        run.run_to_end();
        assert!(run.was_reported());
        let issued = run.issued("redeem", &client);
        raced += issued.len();
        for tokens in &issued {
            assert!(run.is_revoked(tokens).await, "a login that has ended gives access");
        }
    })
    .await;
    assert!(raced > 0, "no redemption came before the end");
}
