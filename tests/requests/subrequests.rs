//! What a request costs on Workers, which bill and bound subrequests: reads and writes of clients (KV), of other records
//! (a Durable Object each), and fetches. The counts are the same on every host.

use http::StatusCode;
use serde_json::json;

use crate::world::{PINGONE, Tokens, World};

/// Seconds for which PingOne's access tokens are good here.
const HOUR: u64 = 3600;

/// What `work` costs: clients, other records, fetches.
async fn cost(world: &World, work: impl Future<Output = StatusCode>) -> (StatusCode, [u64; 3]) {
    let before = world.subrequests().await;
    let status = work.await;
    let after = world.subrequests().await;
    (status, std::array::from_fn(|index| after[index] - before[index]))
}

async fn list(world: &World, tokens: &Tokens) -> StatusCode {
    world.call(&tokens.access, "get_my_todo_list", json!({})).await.status
}

/// A client whose user's token has expired, of a PingOne whose keys are known.
async fn with_an_expired_token(world: &World) -> Tokens {
    let tokens = world.connected().await;
    world.host.advance(HOUR - 61);
    let tokens = Tokens::of(&tokens.client, &world.refresh(&tokens.client, &tokens.refresh).await);
    world.host.advance(61);
    // Whose login brings the keys of the hour.
    world.connected_as("bob", &[]).await;
    tokens
}

#[tokio::test]
async fn call_with_a_usable_token_costs_two_subrequests() {
    let world = World::new();
    let tokens = world.connected().await;
    assert_eq!(cost(&world, list(&world, &tokens)).await, (StatusCode::OK, [0, 1, 1]));
}

#[tokio::test]
async fn call_with_a_refresh_costs_eight_subrequests() {
    let world = World::new();
    let tokens = with_an_expired_token(&world).await;
    assert_eq!(cost(&world, list(&world, &tokens)).await, (StatusCode::OK, [0, 6, 2]));
}

/// The first one also enters the grant in the user's index for longer: two more.
#[tokio::test]
async fn client_refresh_costs_six_subrequests() {
    let world = World::new();
    let tokens = world.connected().await;
    let first = Tokens::of(&tokens.client, &world.refresh(&tokens.client, &tokens.refresh).await);
    let refresh = async { world.refresh(&first.client, &first.refresh).await.status };
    assert_eq!(cost(&world, refresh).await, (StatusCode::OK, [2, 4, 0]));
}

#[tokio::test]
async fn calls_during_a_pingone_outage_ask_it_once() {
    let world = World::new();
    let tokens = with_an_expired_token(&world).await;
    world.network.unplug(PINGONE);
    assert_eq!(cost(&world, list(&world, &tokens)).await, (StatusCode::OK, [0, 5, 1]));
    // The failure stands in the grant: nothing is written, and nobody is asked.
    for _ in 0..3 {
        assert_eq!(cost(&world, list(&world, &tokens)).await, (StatusCode::OK, [0, 2, 0]));
    }
}
