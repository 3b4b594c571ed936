//! Requests under other host names, as after a DNS rebinding.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use pingone_sim::only_known_hosts;
use tower_service::Service as _;

use crate::world::World;

#[tokio::test]
async fn state_is_served_under_known_hosts_only() {
    let world = World::new();
    let mut router = only_known_hosts(world.sim.router(), "https://sim.example", 8789);
    for (host, expected) in [
        ("localhost:8789", StatusCode::OK),
        ("127.0.0.1:8789", StatusCode::OK),
        ("[::1]:8789", StatusCode::OK),
        ("sim.example", StatusCode::OK),
        ("evil.example:8789", StatusCode::MISDIRECTED_REQUEST),
        ("localhost", StatusCode::MISDIRECTED_REQUEST),
        ("localhost:8789.evil.example", StatusCode::MISDIRECTED_REQUEST),
    ] {
        let request = Request::get("/sim/state").header(header::HOST, host).body(Body::empty()).unwrap();
        assert_eq!(router.call(request).await.unwrap().status(), expected, "{host}");
    }
    let request = Request::get("/sim/state").body(Body::empty()).unwrap();
    assert_eq!(router.call(request).await.unwrap().status(), StatusCode::MISDIRECTED_REQUEST, "no host");
}
