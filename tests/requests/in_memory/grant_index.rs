//! The index of all grants, and grants that are not in it.

use std::sync::Arc;

use deputy::host::{
    BoxFuture, Capacity, GrantEntry, GrantFilter, GrantId, GrantIndex, Host, Page, RecordKey, Store as _,
    StoreError, Timestamp,
};
use http::{Request, StatusCode};
use serde_json::Value;
use tokio::sync::Notify;
use tower_service::Service as _;

use crate::world::{ADMIN_TOKEN, DEPUTY, Tokens, World};

/// Makes every stored grant one of a version without the index.
async fn forget_index(world: &World) {
    let now = Timestamp(world.now());
    world.host.grant_index().clear();
    for (key, record) in world.host.memory().records(now) {
        if matches!(key, RecordKey::Grant(_)) {
            let mut grant: Value = serde_json::from_slice(&record.value).unwrap();
            grant.as_object_mut().unwrap().remove("listed_until").expect("it was in the index");
            let value = grant.to_string().into_bytes();
            world.host.memory().put(&key, value, record.expires_at).await.unwrap();
        }
    }
}

async fn listed(world: &World) -> usize {
    world.admin("GET", "grants", "").await.json()["grants"].as_array().expect("grants").len()
}

#[tokio::test]
async fn grant_of_an_earlier_version_is_listed_after_a_refresh() {
    let world = World::with(&[("ADMIN_TOKEN", ADMIN_TOKEN)]);
    let tokens = world.connected().await;
    forget_index(&world).await;
    assert_eq!(listed(&world).await, 0);
    let refreshed = world.refresh(&tokens.client, &tokens.refresh).await;
    assert_eq!((refreshed.status, listed(&world).await), (StatusCode::OK, 1), "{}", refreshed.text);
}

#[tokio::test]
async fn unlisted_grant_of_a_blocked_client_ends_with_its_refresh() {
    let world = World::with(&[("ADMIN_TOKEN", ADMIN_TOKEN)]);
    let tokens = world.connected().await;
    forget_index(&world).await;
    world.admin("POST", "block", &format!("client={}", tokens.client)).await;
    for error in ["unauthorized_client", "invalid_grant"] {
        let refused = world.refresh(&tokens.client, &tokens.refresh).await;
        assert_eq!(refused.json()["error"], error, "{}", refused.text);
    }
    world.wait_for_revocations_at_pingone(1).await;
}

/// The index of a host, in which an entry waits for its release.
struct Waiting {
    index: Arc<dyn GrantIndex>,
    reached: Notify,
    released: Notify,
}

impl GrantIndex for Waiting {
    fn list(
        &self,
        filter: GrantFilter,
        page: Page,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>> {
        self.index.list(filter, page, now)
    }

    fn enter(
        &self,
        entry: GrantEntry,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.reached.notify_one();
            self.released.notified().await;
            self.index.enter(entry, until, now).await
        })
    }

    fn remove(&self, id: GrantId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.index.remove(id)
    }
}

/// The list of blocked clients is read after the entry. Read before, it would not have the client yet, and the operator does
/// not find the grant yet.
#[tokio::test]
async fn client_blocked_while_its_grant_is_entered_gets_no_tokens() {
    for is_refresh in [false, true] {
        let world = World::with(&[("ADMIN_TOKEN", ADMIN_TOKEN)]);
        let client = world.client().await;
        let code = world.code(&client).await;
        let mut refresh = String::new();
        if is_refresh {
            refresh = Tokens::of(&client, &world.redeem(&client, &code).await).refresh;
            forget_index(&world).await;
        }
        let index = world.host.host().grant_index;
        let index = Arc::new(Waiting { index, reached: Notify::new(), released: Notify::new() });
        let host = Host { grant_index: index.clone(), ..world.host.host() };
        world.network.serve(DEPUTY, world.server(host).router_with_admin());
        let exchange = async {
            if is_refresh {
                world.refresh(&client, &refresh).await
            } else {
                world.redeem(&client, &code).await
            }
        };
        let operate = async {
            index.reached.notified().await;
            let subject = format!("client={client}");
            for path in ["block", "grants/end"] {
                assert_eq!(world.admin("POST", path, &subject).await.status, StatusCode::OK, "{path}");
            }
            index.released.notify_one();
        };
        let (refused, ()) = tokio::join!(exchange, operate);
        assert_eq!(refused.json()["error"], "unauthorized_client", "{}", refused.text);
    }
}

#[tokio::test]
async fn grant_in_use_stays_in_the_index() {
    let world = World::with(&[("ADMIN_TOKEN", ADMIN_TOKEN), ("REFRESH_TOKEN_LIFETIME", "86400")]);
    let mut tokens = world.connected().await;
    for _ in 0..10 {
        world.host.advance(20 * 3600);
        let refreshed = world.refresh(&tokens.client, &tokens.refresh).await;
        assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.text);
        tokens = Tokens::of(&tokens.client, &refreshed);
        assert_eq!(listed(&world).await, 1);
    }
    world.host.advance(25 * 3600);
    assert_eq!(listed(&world).await, 0);
}

#[tokio::test]
async fn public_router_has_no_admin_interface() {
    let world = World::new();
    let server = world.server(world.host.host());
    for (mut router, status) in [
        (server.router(), StatusCode::NOT_FOUND),
        (server.router_with_admin(), StatusCode::OK),
        (server.admin_router(), StatusCode::OK),
    ] {
        let request = Request::get(format!("{DEPUTY}/admin/v1/grants"))
            .header("authorization", format!("Bearer {ADMIN_TOKEN}"))
            .body(axum::body::Body::empty())
            .unwrap();
        let Ok(response) = router.call(request).await;
        assert_eq!(response.status(), status);
    }
}

#[tokio::test]
async fn part_of_an_export_fits_the_operations_of_the_host() {
    let world = World::new();
    world.host.set_capacity(Capacity { operations: 14, ..Capacity::default() });
    world.start(&[("ADMIN_TOKEN", ADMIN_TOKEN), ("ADMIN_EXPORT", "on")]);
    for _ in 0..3 {
        world.connected().await;
    }
    let part = world.admin("GET", "records?limit=50", "").await.json();
    let grants =
        part["records"].as_array().expect("records").iter().filter(|record| record["kind"] == "grant");
    assert_eq!(grants.count(), 2, "two operations for each, and ten others");
    assert!(part["next"].is_string(), "{part}");
}
