//! Many at once. On the Workers runtime of a test machine they would slow down each other, and every other test.

use futures_util::future::join_all;
use http::StatusCode;

use crate::world::{DEPUTY, World};

#[tokio::test]
async fn a_hundred_logins_at_once_get_a_code_each() {
    let world = World::new();
    let client = world.client().await;
    let codes = join_all((0..100).map(|_| world.code(&client))).await;
    let mut different = codes.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 100);
    let answers = join_all(codes.iter().map(|code| world.redeem(&client, code))).await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    assert!(world.network.exchanges().iter().all(|exchange| {
        !exchange.request.uri().to_string().starts_with(DEPUTY) || exchange.response.status().as_u16() < 500
    }));
}
