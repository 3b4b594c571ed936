//! The part of the management API that writes.

use std::sync::{Arc, atomic::AtomicU64};

use axum::http::StatusCode;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use pingone_sim::{Failure, ManagementFault, SimConfig, SimEnvironment, Simulator};
use serde_json::{Value, json};

use crate::world::{API, CALLBACK, Frozen, Response, VERIFIER, World, claims, form};

/// A world without an application and a resource.
fn empty() -> World {
    let environment = Arc::new(Frozen { now: AtomicU64::new(1_767_225_600), drawn: AtomicU64::new(0) });
    let config = SimConfig::demo("https://auth.pingone.example", CALLBACK, API).without_application();
    let sim = Simulator::new(config, Arc::clone(&environment) as Arc<dyn SimEnvironment>);
    World { sim, environment }
}

/// A request of the worker that writes.
async fn call(world: &World, method: &str, path: &str, body: &Value) -> Response {
    let worker = &world.sim.config().provisioner;
    let basic = STANDARD.encode(format!("{}:{}", worker.client_id, worker.client_secret));
    let headers = [("authorization", &*format!("Basic {basic}"))];
    let grant = form(&[("grant_type", "client_credentials")]);
    let token = world.send("POST", &world.at("token"), &headers, grant).await.json();
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap_or_default());
    let path = format!("/v1/environments/{}{path}", world.sim.config().environment_id);
    world.send(method, &path, &[("authorization", &bearer)], body.to_string()).await
}

async fn create(world: &World, path: &str, body: Value) -> Value {
    let response = call(world, "POST", path, &body).await;
    assert_eq!(response.status, StatusCode::CREATED, "{path}: {}", response.text);
    response.json()
}

async fn count(world: &World, path: &str) -> Value {
    call(world, "GET", path, &Value::Null).await.json()["count"].clone()
}

fn application(name: &str) -> Value {
    json!({
        "name": name, "enabled": true, "type": "WEB_APP", "protocol": "OPENID_CONNECT",
        "grantTypes": ["AUTHORIZATION_CODE", "REFRESH_TOKEN"], "responseTypes": ["CODE"],
        "pkceEnforcement": "S256_REQUIRED", "tokenEndpointAuthMethod": "CLIENT_SECRET_BASIC",
        "redirectUris": [CALLBACK],
    })
}

/// The id of an object.
fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

#[tokio::test]
async fn created_application_has_logins_of_its_own() {
    let world = empty();
    assert_eq!(world.authorize(&[], "").await.status, StatusCode::BAD_REQUEST, "there is an application");
    let resource = create(&world, "/resources", json!({ "name": "API", "audience": API })).await;
    let scopes = format!("/resources/{}/scopes", id(&resource));
    let scope = create(&world, &scopes, json!({ "name": "todo:read", "description": "See todos" })).await;
    let app = create(&world, "/applications", application("Mine")).await;
    let grants = format!("/applications/{}/grants", id(&app));
    create(&world, &grants, json!({ "resource": { "id": id(&resource) }, "scopes": [{ "id": id(&scope) }] }))
        .await;
    let client = [("client_id", id(&app)), ("scope", "openid todo:read"), ("login_hint", "auto")];
    let refused = world.authorize(&client, "").await;
    assert_eq!(refused.parameter("error").as_deref(), Some("invalid_request"), "the policy is not assigned");
    let policy = json!({ "flowPolicy": { "id": world.sim.config().policy_id }, "priority": 1 });
    create(&world, &format!("/applications/{}/flowPolicyAssignments", id(&app)), policy).await;
    let code = world.authorize(&client, "").await.parameter("code").unwrap();
    let secret =
        call(&world, "GET", &format!("/applications/{}/secret", id(&app)), &Value::Null).await.json();
    let basic = STANDARD.encode(format!("{}:{}", id(&app), secret["secret"].as_str().unwrap()));
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let headers = [("authorization", &*format!("Basic {basic}"))];
    let tokens = world.send("POST", &world.at("token"), &headers, form(&fields)).await.json();
    assert_eq!(claims(&tokens["access_token"])["aud"], json!([API]));
    assert_eq!(claims(&tokens["id_token"])["aud"], app["id"]);
    // The scope of the other resource, and OpenID scopes that are not granted, are refused.
    for scope in ["openid todo:write", "openid profile"] {
        let client = [("client_id", id(&app)), ("scope", scope)];
        assert_eq!(world.authorize(&client, "").await.parameter("error").as_deref(), Some("invalid_scope"));
    }
}

#[tokio::test]
async fn second_object_of_the_same_kind_is_not_unique() {
    let world = empty();
    let resource = create(&world, "/resources", json!({ "name": "API", "audience": API })).await;
    let app = create(&world, "/applications", application("Mine")).await;
    let grants = format!("/applications/{}/grants", id(&app));
    let grant = json!({ "resource": { "id": id(&resource) }, "scopes": [] });
    create(&world, &grants, grant.clone()).await;
    let scopes = format!("/resources/{}/scopes", id(&resource));
    create(&world, &scopes, json!({ "name": "a" })).await;
    for (path, body) in [
        ("/resources", json!({ "name": "API", "audience": "https://b.example" })),
        ("/applications", application("Mine")),
        (&*grants, grant),
        (&*scopes, json!({ "name": "a" })),
    ] {
        let refused = call(&world, "POST", path, &body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(refused.json()["details"][0]["code"], "UNIQUENESS_VIOLATION", "{path}");
    }
    for (path, body) in [
        ("/resources", json!({ "name": "B", "audience": "https://pingone.example" })),
        ("/applications", json!({ "name": "B" })),
        ("/subscriptions", json!({ "name": "B" })),
        (&*grants, json!({ "resource": { "id": "x" } })),
    ] {
        let refused = call(&world, "POST", path, &body).await;
        assert_eq!(refused.json()["code"], "INVALID_DATA", "{path}");
    }
    assert_eq!(count(&world, "/applications").await, 4, "three workers, and the application");
    assert_eq!(
        call(&world, "DELETE", &format!("/applications/{}", id(&app)), &Value::Null).await.status,
        204
    );
    assert_eq!(call(&world, "GET", &grants, &Value::Null).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn configured_object_belongs_to_the_settings() {
    let world = World::new();
    let path = format!("/applications/{}", world.sim.config().application.client_id);
    let app = call(&world, "GET", &path, &Value::Null).await.json();
    for (method, path) in
        [("PUT", path.clone()), ("DELETE", path.clone()), ("POST", format!("{path}/grants"))]
    {
        let refused = call(&world, method, &path, &app).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{method} {path}");
        assert!(refused.text.contains("/sim/settings"), "{}", refused.text);
    }
    let missing = call(&world, "PUT", "/applications/x", &app).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn roles_of_the_worker_decide_what_it_writes() {
    let world = empty();
    world.sim.configure(|settings| {
        settings.tenant.provisioner_roles = vec!["Client Application Developer".to_owned()];
    });
    create(&world, "/applications", application("Mine")).await;
    let webhook = json!({ "name": "Mine" });
    assert_eq!(call(&world, "POST", "/subscriptions", &webhook).await.status, StatusCode::FORBIDDEN);
    world.sim.configure(|settings| {
        settings.tenant.provisioner_roles = vec!["Configuration Read Only".to_owned()];
    });
    assert_eq!(call(&world, "GET", "/applications", &Value::Null).await.status, StatusCode::OK);
    let refused = call(&world, "POST", "/applications", &application("Other")).await;
    assert_eq!(refused.json()["details"][0]["code"], "INSUFFICIENT_PERMISSIONS");
}

#[tokio::test]
async fn new_object_is_found_after_some_reads() {
    let world = empty();
    world.sim.configure(|settings| settings.tenant.management_lag = 2);
    let app = create(&world, "/applications", application("Mine")).await;
    let path = format!("/applications/{}", id(&app));
    for expected in [StatusCode::NOT_FOUND, StatusCode::NOT_FOUND, StatusCode::OK] {
        assert_eq!(call(&world, "GET", &path, &Value::Null).await.status, expected);
    }
}

#[tokio::test]
async fn request_fails_as_the_test_demands() {
    let world = empty();
    let next = |world: &World| world.sim.requests("management") + 1;
    world.sim.force(Failure::ManagementRequest(next(&world), ManagementFault::RetryAfter(9)));
    let limited = call(&world, "POST", "/applications", &application("A")).await;
    assert_eq!((limited.status.as_u16(), &limited.headers["retry-after"]), (429, &"9".parse().unwrap()));
    world.sim.force(Failure::ManagementRequest(next(&world), ManagementFault::Status(500)));
    assert_eq!(call(&world, "POST", "/applications", &application("A")).await.status.as_u16(), 500);
    assert_eq!(count(&world, "/applications").await, 3, "neither has an effect");
    world.sim.force(Failure::ManagementRequest(next(&world), ManagementFault::StatusAfterwards(504)));
    assert_eq!(call(&world, "POST", "/applications", &application("A")).await.status.as_u16(), 504);
    assert_eq!(count(&world, "/applications").await, 4, "it has its effect");
}

#[tokio::test]
async fn subscription_gets_the_events_that_it_names() {
    let world = empty();
    let subscription = json!({
        "name": "Mine", "enabled": true, "format": "ACTIVITY", "verifyTlsCertificates": true,
        "httpEndpoint": { "url": "https://app.example/events", "headers": { "Authorization": "Bearer x" } },
        "filterOptions": { "includedActionTypes": ["USER.LOCKED"] },
    });
    let subscription = create(&world, "/subscriptions", subscription).await;
    for action in ["disable", "lock"] {
        world.send("POST", &format!("/sim/users/alice/{action}"), &[], String::new()).await;
    }
    let delivery = world.sim.next_delivery().unwrap();
    assert_eq!(delivery.url, "https://app.example/events");
    assert_eq!(delivery.headers["Authorization"], "Bearer x");
    assert!(
        delivery.body.contains("USER.LOCKED") && !delivery.body.contains("USER.DISABLED"),
        "{}",
        delivery.body
    );
    world.sim.delivered(Ok(200));
    let mut suspended = subscription.clone();
    suspended["enabled"] = json!(false);
    call(&world, "PUT", &format!("/subscriptions/{}", id(&subscription)), &suspended).await;
    world.send("POST", "/sim/users/bob/lock", &[], String::new()).await;
    assert!(world.sim.next_delivery().is_none());
}
