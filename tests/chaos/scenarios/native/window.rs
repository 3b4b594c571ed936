//! Windows in which every endpoint of PingOne fails while all tokens expire.

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::{Price, World, outage, users};

/// A way in which the endpoints fail.
struct Fault {
    name: &'static str,
    /// The failures of the token endpoint, the key set and the discovery document.
    failures: [Value; 3],
    /// Whether the requests that are sent in the window fail within it, so that the circuit breaker opens.
    is_fast: bool,
}

impl Fault {
    fn status() -> Self {
        let failures = [json!({ "token": [500, "{}"] }), json!({ "jwks": 500 }), json!({ "discovery": 500 })];
        Self { name: "fail", failures, is_fast: true }
    }

    fn busy() -> Self {
        let failures =
            [json!({ "token_retry_after": [429, 5] }), json!({ "jwks": 429 }), json!({ "discovery": 429 })];
        Self { name: "respond with 429", failures, is_fast: true }
    }

    fn garbage() -> Self {
        let failures = [
            json!({ "token": [200, "<html>"] }),
            json!({ "jwks_body": "<html>" }),
            // The simulator forces a page with this status.
            json!({ "discovery": 200 }),
        ];
        Self { name: "respond with HTML", failures, is_fast: true }
    }

    fn silence() -> Self {
        let seconds = outage() + 14;
        let failures = [
            json!({ "token_after": seconds }),
            json!({ "jwks_after": seconds }),
            json!({ "discovery_after": seconds }),
        ];
        Self { name: "hang", failures, is_fast: false }
    }

    /// Lets the window pass, and kills Deputy in its middle if `kill` is set. Every grant is refreshed once afterwards, and
    /// also each 31 seconds, half of the lifetime of the tokens.
    async fn window(self, kill: bool) {
        let mut world = World::start().await;
        let pingone = world.pingone.clone();
        let start = pingone.refreshes().await;
        for failure in self.failures {
            pingone.fail(failure).await;
        }
        let load = world.load().await;
        load.during(outage() / 2).await;
        if kill {
            world.deputy.kill();
            world.deputy.start(&world.http).await;
        }
        load.during(outage() - outage() / 2).await;
        let paused = is_paused(&world).await;
        let during = pingone.refreshes().await - start;
        pingone.heal().await;
        let before = Counts::of(&world).await;
        let healed = Instant::now();
        // One request in each pause probes whether PingOne works again.
        let mut seconds = 0;
        while is_paused(&world).await {
            assert!(seconds < LONGEST_PAUSE, "the breaker stays open");
            load.during(1).await;
            seconds += 1;
        }
        load.during(2 * outage()).await;
        let seconds = healed.elapsed().as_secs();
        let after = Counts::of(&world).await.since(&before);
        let then = if kill { ", and Deputy is killed meanwhile" } else { "" };
        let scenario = format!("PingOne: all endpoints {} at once{then}", self.name);
        world.finish(&scenario, load, Price { failed: kill, ..Price::default() }).await;
        // Each process sends a few requests before the breaker opens, and each grant one more that was under way.
        let most = users() as u64 * (2 + outage() / 60) * if kill { 2 } else { 1 };
        assert!((1..=most).contains(&during), "{during} refreshes of {} grants in the window", users());
        let most = users() as u64 * (1 + seconds / 31);
        assert!(
            after.refreshes <= most,
            "{} refreshes of {} grants after the window",
            after.refreshes,
            users()
        );
        // One request at a time reads a document.
        assert!(
            after.documents <= MOST_DOCUMENTS,
            "{} requests for documents after the window",
            after.documents
        );
        if self.is_fast && !kill {
            assert!(paused, "the breaker is open in the window");
        }
    }
}

/// Requests to PingOne.
struct Counts {
    refreshes: u64,
    /// For discovery documents and key sets.
    documents: u64,
}

impl Counts {
    async fn of(world: &World) -> Self {
        let pingone = &world.pingone;
        Self { refreshes: pingone.refreshes().await, documents: pingone.documents().await }
    }

    fn since(&self, earlier: &Self) -> Self {
        let Self { refreshes, documents } = self;
        Self { refreshes: refreshes - earlier.refreshes, documents: documents - earlier.documents }
    }
}

async fn is_paused(world: &World) -> bool {
    world.deputy.metric(&world.http, "deputy_refreshes_paused").await.as_deref() == Some("1")
}

/// Seconds of the longest pause of the breaker, and of a probe without a response.
const LONGEST_PAUSE: u64 = 180;

/// Two of each document, the second for a key that the first did not have.
const MOST_DOCUMENTS: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn failing_endpoints_lead_to_one_refresh_for_each_grant() {
    Fault::status().window(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_endpoints_lead_to_one_refresh_for_each_grant() {
    Fault::busy().window(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_of_endpoints_leads_to_one_refresh_for_each_grant() {
    Fault::garbage().window(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_endpoints_lead_to_one_refresh_for_each_grant() {
    Fault::silence().window(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_while_endpoints_fail_loses_no_grant() {
    Fault::status().window(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_while_endpoints_are_busy_loses_no_grant() {
    Fault::busy().window(true).await;
}
