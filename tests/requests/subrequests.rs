//! The number of subrequests per request, which Workers bill and limit: operations on clients (KV) and on other records (one
//! Durable Object each), and fetches. The counts are the same on every host.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use crate::world::{PINGONE, Tokens, World};

/// The lifetime of PingOne's access tokens in seconds.
const HOUR: u64 = 3600;

/// The status of `work`, and its subrequests: clients, other records, fetches.
async fn cost(world: &World, work: impl Future<Output = StatusCode>) -> (StatusCode, [u64; 3]) {
    let before = world.subrequests().await;
    let status = work.await;
    let after = world.subrequests().await;
    (status, std::array::from_fn(|index| after[index] - before[index]))
}

async fn list(world: &World, tokens: &Tokens) -> StatusCode {
    world.call(&tokens.access, "get_my_todo_list", json!({})).await.status
}

/// A client whose PingOne access token has expired, while the keys of PingOne are cached.
async fn with_an_expired_token(world: &World) -> Tokens {
    let tokens = world.connected().await;
    world.host.advance(HOUR - 61);
    let tokens = Tokens::of(&tokens.client, &world.refresh(&tokens.client, &tokens.refresh).await);
    world.host.advance(61);
    // This login makes Deputy cache the current keys.
    world.connected_as("bob", &[]).await;
    note_use(world, &tokens).await;
    tokens
}

/// Calls a tool with wrong arguments, which asks neither PingOne nor the API. The use of the grant is written now, and not
/// again for ten minutes.
async fn note_use(world: &World, tokens: &Tokens) {
    let [_, before, _] = world.subrequests().await;
    world.call(&tokens.access, "create_new_todo", json!({})).await;
    for _ in 0..1000 {
        // The grant is read, then the user's index is read and written.
        if world.subrequests().await[1] == before + 3 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the use was not written");
}

#[tokio::test]
async fn use_is_written_once_in_ten_minutes() {
    let world = World::new();
    let tokens = world.connected().await;
    note_use(&world, &tokens).await;
    world.host.advance(599);
    for _ in 0..3 {
        assert_eq!(cost(&world, list(&world, &tokens)).await, (StatusCode::OK, [0, 1, 1]));
    }
    world.host.advance(1);
    note_use(&world, &tokens).await;
}

#[tokio::test]
async fn call_with_a_usable_token_costs_two_subrequests() {
    let world = World::new();
    let tokens = world.connected().await;
    note_use(&world, &tokens).await;
    assert_eq!(cost(&world, list(&world, &tokens)).await, (StatusCode::OK, [0, 1, 1]));
}

#[tokio::test]
async fn call_with_a_refresh_costs_eight_subrequests() {
    let world = World::new();
    let tokens = with_an_expired_token(&world).await;
    assert_eq!(cost(&world, list(&world, &tokens)).await, (StatusCode::OK, [0, 6, 2]));
}

/// The first refresh costs two more: it extends the entry in the user's index.
#[tokio::test]
async fn client_refresh_costs_two_subrequests() {
    let world = World::new();
    let tokens = world.connected().await;
    let first = Tokens::of(&tokens.client, &world.refresh(&tokens.client, &tokens.refresh).await);
    let refresh = async { world.refresh(&first.client, &first.refresh).await.status };
    assert_eq!(cost(&world, refresh).await, (StatusCode::OK, [0, 2, 0]));
}

#[tokio::test]
async fn calls_during_a_pingone_outage_ask_it_once() {
    let world = World::new();
    let tokens = with_an_expired_token(&world).await;
    world.network.unplug(PINGONE);
    assert_eq!(cost(&world, list(&world, &tokens)).await, (StatusCode::OK, [0, 5, 1]));
    // The grant records the failure, so that further calls write nothing and do not ask PingOne.
    for _ in 0..3 {
        assert_eq!(cost(&world, list(&world, &tokens)).await, (StatusCode::OK, [0, 2, 0]));
    }
}
