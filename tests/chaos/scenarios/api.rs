//! The API that the tools call.

use http::StatusCode;

use crate::{
    user::Outcome,
    world::{Price, World, outage},
};

#[tokio::test(flavor = "multi_thread")]
async fn api_refusing_every_token_loses_no_grant() {
    let mut world = World::start().await;
    let load = world.load().await;
    world.api.refuse(StatusCode::UNAUTHORIZED, None);
    load.during(outage()).await;
    world.api.heal();
    world.finish("API: 401 for every token", load, Price::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_of_api_reaches_model() {
    let mut world = World::start().await;
    let load = world.load().await;
    world.api.refuse(StatusCode::TOO_MANY_REQUESTS, Some(7));
    load.during(outage()).await;
    world.api.heal();
    let outcomes = world.finish("API: 429 with Retry-After", load, Price::default()).await;
    let refused = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Refused(text) => Some(text.as_str()),
        _ => None,
    });
    let texts: Vec<_> = refused.filter(|text| !text.contains("7 seconds")).collect();
    assert_eq!(texts, Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn unavailable_api_loses_no_grant() {
    let mut world = World::start().await;
    let load = world.load().await;
    world.api.refuse(StatusCode::SERVICE_UNAVAILABLE, None);
    load.during(outage()).await;
    world.api.heal();
    world.finish("API: 503", load, Price::default()).await;
}
