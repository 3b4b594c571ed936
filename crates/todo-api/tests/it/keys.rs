//! The fetching and use of the issuer's keys.

use std::sync::LazyLock;

use http::StatusCode;
use serde_json::json;

use crate::{
    identity::{CURRENT, ISSUER, Key, claims, token},
    world::World,
};

static NEXT: LazyLock<Key> = LazyLock::new(|| Key::generate("next", 2048));

fn signed_with(key: &Key) -> String {
    let mut claims = claims("alice");
    claims["exp"] = json!(4_000_000_000_u64);
    key.sign(&key.header(), &claims)
}

async fn status(world: &World, key: &Key) -> u16 {
    world.list(&signed_with(key)).await.status.as_u16()
}

#[tokio::test]
async fn keys_are_fetched_once_for_many_requests() {
    let world = World::new();
    for _ in 0..3 {
        assert_eq!(world.list(&token("alice")).await.status, 200);
    }
    let requests = world.backend.issuer.lock().unwrap().requests.clone();
    assert_eq!(requests, [format!("{ISSUER}/.well-known/openid-configuration"), format!("{ISSUER}/jwks")]);
}

#[tokio::test]
async fn new_key_is_fetched_with_first_token() {
    let world = World::new();
    assert_eq!(status(&world, &CURRENT).await, 200);
    world.backend.issuer.lock().unwrap().keys.push(NEXT.jwk());
    assert_eq!(status(&world, &NEXT).await, 200);
    assert_eq!(status(&world, &CURRENT).await, 200);
    assert_eq!(world.backend.fetches(), 2);
}

#[tokio::test]
async fn unknown_keys_cause_one_fetch_in_30_seconds() {
    let world = World::new();
    assert_eq!(status(&world, &CURRENT).await, 200);
    for _ in 0..5 {
        let response = world.list(&signed_with(&NEXT)).await;
        assert_eq!(response.body["message"], "the token is signed with an unknown key");
    }
    assert_eq!(world.backend.fetches(), 2);
    world.backend.advance(29);
    assert_eq!((status(&world, &NEXT).await, world.backend.fetches()), (401, 2));
    world.backend.advance(1);
    assert_eq!((status(&world, &NEXT).await, world.backend.fetches()), (401, 3));
    assert_eq!(status(&world, &CURRENT).await, 200);
}

#[tokio::test]
async fn withdrawn_key_is_refused_after_an_hour() {
    let world = World::new();
    assert_eq!(status(&world, &CURRENT).await, 200);
    world.backend.issuer.lock().unwrap().keys = vec![NEXT.jwk()];
    world.backend.advance(3599);
    assert_eq!(status(&world, &CURRENT).await, 200);
    world.backend.advance(1);
    assert_eq!(status(&world, &CURRENT).await, 401);
}

#[tokio::test]
async fn keys_are_used_for_a_day_while_issuer_is_down() {
    let world = World::new();
    assert_eq!(status(&world, &CURRENT).await, 200);
    world.backend.issuer.lock().unwrap().status = StatusCode::BAD_GATEWAY;
    world.backend.advance(24 * 3600 - 1);
    assert_eq!(status(&world, &CURRENT).await, 200);
    world.backend.advance(1);
    assert_eq!(status(&world, &CURRENT).await, 503);
}

#[tokio::test]
async fn unavailable_issuer_causes_503_without_challenge() {
    let world = World::new();
    world.backend.issuer.lock().unwrap().status = StatusCode::SERVICE_UNAVAILABLE;
    for _ in 0..3 {
        let response = world.list(&token("alice")).await;
        assert_eq!(response.error(), (503, "temporarily_unavailable"));
        assert_eq!((response.header("retry-after"), response.header("www-authenticate")), ("5", ""));
    }
    assert_eq!(world.backend.fetches(), 1);
    world.backend.issuer.lock().unwrap().status = StatusCode::OK;
    world.backend.advance(5);
    assert_eq!(world.list(&token("alice")).await.status, 200);
}

#[tokio::test]
async fn wrong_discovery_document_is_refused() {
    let jwks_uri = format!("{ISSUER}/jwks");
    for discovery in [
        json!({ "issuer": format!("{ISSUER}/"), "jwks_uri": jwks_uri }),
        json!({ "issuer": ISSUER, "jwks_uri": jwks_uri.replace("https:", "http:") }),
        json!({ "issuer": ISSUER, "jwks_uri": "file:///etc/passwd" }),
        json!({ "issuer": ISSUER }),
    ] {
        let world = World::new();
        world.backend.issuer.lock().unwrap().discovery = discovery;
        assert_eq!(world.list(&token("alice")).await.error(), (503, "temporarily_unavailable"));
        let requests = world.backend.issuer.lock().unwrap().requests.len();
        assert_eq!(requests, 1, "only discovery");
    }
}

#[tokio::test]
async fn keys_for_other_purposes_and_weak_keys_are_ignored() {
    let weak = Key::generate("weak", 1024);
    let with = |key: &Key, member: &str, value: &str| {
        let mut jwk = key.jwk();
        jwk[member] = json!(value);
        jwk
    };
    for (key, jwk) in [
        (&weak, weak.jwk()),
        (&NEXT, with(&NEXT, "use", "enc")),
        (&NEXT, with(&NEXT, "alg", "RS512")),
        (&NEXT, with(&NEXT, "kty", "EC")),
        (&NEXT, with(&NEXT, "n", "*")),
        (&NEXT, json!({ "kty": "oct", "k": "c2VjcmV0" })),
    ] {
        let world = World::new();
        world.backend.issuer.lock().unwrap().keys = vec![jwk.clone(), CURRENT.jwk()];
        assert_eq!((status(&world, key).await, status(&world, &CURRENT).await), (401, 200), "{jwk}");
    }
}
