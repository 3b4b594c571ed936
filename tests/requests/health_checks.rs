//! Health checks: `/health`, `/healthz` and `/readyz`.

use http::StatusCode;
use pingone_sim::Failure;

use crate::world::{HOUR, PINGONE, World};

#[tokio::test]
async fn process_check_tells_the_version_and_asks_nothing() {
    let world = World::new();
    let response = world.get("/healthz").await;
    assert_eq!((response.status, response.header("cache-control").as_str()), (StatusCode::OK, "no-store"));
    assert_eq!(response.json()["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn readiness_needs_the_documents_of_pingone_once() {
    let world = World::new();
    world.pingone.force_always(Failure::Jwks(503));
    let response = world.get("/readyz").await;
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.json()["reason"].as_str().unwrap().contains("PingOne"), "{}", response.text);
    world.pingone.clear_failures();
    world.host.advance(60);
    assert_eq!(world.get("/readyz").await.status, StatusCode::OK);
    // They are old, and PingOne is down.
    world.pingone.force_always(Failure::Discovery(503));
    world.host.advance(12 * HOUR);
    assert_eq!(world.get("/readyz").await.status, StatusCode::OK);
    world.host.advance(24 * HOUR);
    assert_eq!(world.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn readiness_checks_cause_few_requests_to_pingone() {
    let world = World::new();
    world.pingone.force_always(Failure::Discovery(503));
    for _ in 0..20 {
        assert_eq!(world.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert!(world.requests_to_pingone() <= 2, "{}", world.requests_to_pingone());
    assert_eq!(world.get("/health").await.status, StatusCode::OK, "{PINGONE} does not matter to it");
}
