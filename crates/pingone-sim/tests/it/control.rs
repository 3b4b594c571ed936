use std::sync::Arc;

use axum::http::StatusCode;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use pingone_sim::{Failure, SimEnvironment, Simulator};
use serde_json::{Value, json};

use crate::world::{World, claims};

#[tokio::test]
async fn every_response_names_simulator_and_correlation_id() {
    let world = World::new();
    for path in ["/", "/nowhere", &world.at("jwks"), &world.at("authorize")] {
        let response = world.send("GET", path, &[], String::new()).await;
        assert_eq!(response.headers["x-pingone-simulator"], "true", "{path}");
        assert_eq!(response.headers["correlation-id"].len(), 36, "{path}");
    }
    let page = world.authorize(&[], "").await;
    assert!(page.text.contains("This is a simulator, not PingOne."));
}

#[tokio::test]
async fn published_keys_have_no_alg() {
    let world = World::new();
    let discovery =
        world.send("GET", &world.at(".well-known/openid-configuration"), &[], String::new()).await.json();
    assert_eq!(discovery["issuer"], world.sim.config().issuer());
    assert_eq!(discovery["registration_endpoint"], Value::Null);
    let keys = world.send("GET", &world.at("jwks"), &[], String::new()).await.json();
    let keys = keys["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2, "the current key and the next");
    assert!(
        keys.iter().all(|key| key["alg"].is_null()
            && key["use"] == "sig"
            && key["n"].as_str().unwrap().len() == 342)
    );
}

#[tokio::test]
async fn forced_failure_happens_once_or_until_cleared() {
    let world = World::new();
    let force = |always: bool| json!({"failure": {"token": [503, "{}"]}, "always": always}).to_string();
    let headers = [("content-type", "application/json")];
    assert_eq!(
        world.send("POST", "/sim/failures", &headers, force(false)).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(world.redeem("x").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.redeem("x").await.status, StatusCode::BAD_REQUEST);
    world.send("POST", "/sim/failures", &headers, force(true)).await;
    for _ in 0..3 {
        assert_eq!(world.redeem("x").await.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    world.send("DELETE", "/sim/failures", &[], String::new()).await;
    assert_eq!(world.redeem("x").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.sim.requests("token"), 6);
}

#[tokio::test]
async fn forced_claim_replaces_claim_of_token() {
    let world = World::new();
    world.sim.force(Failure::IdTokenClaim("acr".into(), json!("Single_Factor")));
    world.sim.force(Failure::TokenMember("scope".into(), Value::Null));
    let tokens = world.tokens().await;
    assert_eq!(
        (&claims(&tokens["id_token"])["acr"], &tokens["scope"]),
        (&json!("Single_Factor"), &Value::Null)
    );
}

#[tokio::test]
async fn state_file_keeps_keys_and_tokens_over_restart() {
    let folder = std::env::temp_dir().join(format!("pingone-sim-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("state.json");
    let world = World::new();
    let open = || {
        let environment = Arc::clone(&world.environment) as Arc<dyn SimEnvironment>;
        let config = world.sim.config().clone();
        World {
            sim: Simulator::with_state_file(config, environment, &file).unwrap(),
            environment: Arc::clone(&world.environment),
        }
    };
    let before = open();
    let token = before.tokens().await["refresh_token"].as_str().unwrap().to_owned();
    let keys = before.send("GET", &before.at("jwks"), &[], String::new()).await.text;
    let after = open();
    assert_eq!(after.send("GET", &after.at("jwks"), &[], String::new()).await.text, keys);
    assert_eq!(after.refresh(&token).await.status, StatusCode::OK);
    std::fs::remove_dir_all(folder).unwrap();
}

async fn kids(world: &World) -> Vec<Value> {
    let keys = world.send("GET", &world.at("jwks"), &[], String::new()).await.json();
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect()
}

fn kid(token: &Value) -> Value {
    let header = token.as_str().and_then(|token| token.split('.').next()).unwrap();
    serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()["kid"].clone()
}

#[tokio::test]
async fn replaced_key_signs_under_same_kid() {
    let world = World::new();
    let keys = world.send("GET", &world.at("jwks"), &[], String::new()).await.json();
    let before = kids(&world).await;
    world.sim.replace_key();
    let after = world.send("GET", &world.at("jwks"), &[], String::new()).await.json();
    assert_eq!(kids(&world).await, before);
    assert_ne!(keys["keys"][0]["n"], after["keys"][0]["n"]);
    assert_eq!(kid(&world.tokens().await["id_token"]), before[0]);
}

#[tokio::test]
async fn foreign_keys_are_published_before_current_key() {
    let world = World::new();
    let own = kids(&world).await;
    world.sim.publish_key_with_current_kid();
    assert_eq!(kids(&world).await, [&own[..1], &own[..]].concat());
    world.sim.publish_foreign_keys(60);
    let published = kids(&world).await;
    assert_eq!((published.len(), &published[60..]), (62, &own[..]));
    assert_eq!(kid(&world.tokens().await["id_token"]), own[0]);
    world.sim.drop_old_keys();
    assert_eq!(kids(&world).await, own);
}

#[tokio::test]
async fn clock_set_back_does_not_allow_replay() {
    let world = World::new();
    let first = world.tokens().await["refresh_token"].as_str().unwrap().to_owned();
    let second = world.refresh(&first).await.json();
    world.sim.configure(|pingone| pingone.clock_offset_seconds = -86_400);
    let third = world.refresh(second["refresh_token"].as_str().unwrap()).await.json();
    let issued = |tokens: &Value| claims(&tokens["access_token"])["iat"].as_u64().unwrap();
    assert_eq!(issued(&second) - issued(&third), 86_400);
    assert_eq!(world.refresh(&first).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn added_user_can_log_in() {
    let world = World::new();
    let headers = [("content-type", "application/json")];
    let user = json!({ "username": "dora", "password": "Dora-demo-1" }).to_string();
    assert_eq!(world.send("POST", "/sim/users", &headers, user).await.status, StatusCode::NO_CONTENT);
    assert!(world.sign_on("dora", "Dora-demo-1").await.text.contains("APPROVE"));
}
