//! A window in which every endpoint of PingOne fails while all tokens expire.

use serde_json::json;

use crate::world::{Price, World, outage, users};

#[tokio::test(flavor = "multi_thread")]
async fn outage_leads_to_one_refresh_for_each_grant() {
    let mut world = World::start().await;
    let pingone = world.pingone.clone();
    for failure in [json!({ "token": [500, "{}"] }), json!({ "jwks": 500 }), json!({ "discovery": 500 })] {
        pingone.fail(failure).await;
    }
    let load = world.load().await;
    load.during(outage()).await;
    let paused = world.deputy.metric(&world.http, "deputy_refreshes_paused").await;
    pingone.heal().await;
    let before = pingone.refreshes().await;
    load.during(2 * outage()).await;
    let after = pingone.refreshes().await - before;
    let closed = world.deputy.metric(&world.http, "deputy_refreshes_paused").await;
    world.finish("PingOne: all endpoints fail at once", load, Price::default()).await;
    // One refresh for each grant whose token expired meanwhile, and one more in a long run.
    let most = users() as u64 * (1 + 2 * outage() / 60);
    assert!(after <= most, "{after} refreshes of {} grants after the window", users());
    assert_eq!((paused.as_deref(), closed.as_deref()), (Some("1"), Some("0")));
}
