//! PingOne reports the end of a user's logins, while requests of the user's clients are under way.

use axum::body::Body;
use http::Request;
use serde_json::json;

use super::{Run, assert_end_holds, faults_for, for_each_seed};
use crate::world::{DEPUTY, WEBHOOK_SECRET};

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
}

#[tokio::test]
async fn grant_that_an_event_ends_stays_ended_under_requests() {
    // PingOne delivers a report again that is not accepted.
    assert_end_holds("report", |run, _| run.report()).await;
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
        assert!(run.succeeded("report"));
        let issued = run.issued("redeem", &client);
        raced += issued.len();
        for tokens in &issued {
            assert!(run.is_revoked(tokens).await, "a login that has ended gives access");
        }
    })
    .await;
    assert!(raced > 0, "no redemption came before the end");
}
