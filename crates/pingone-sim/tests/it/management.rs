use axum::http::StatusCode;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use pingone_sim::Failure;
use serde_json::{Value, json};

use crate::world::{CALLBACK, CHALLENGE, Response, SCOPES, World, form};

/// The worker's token response.
async fn worker_token(world: &World) -> Response {
    let worker = &world.sim.config().worker;
    let basic = STANDARD.encode(format!("{}:{}", worker.client_id, worker.client_secret));
    let headers = [("authorization", &*format!("Basic {basic}"))];
    world.send("POST", &world.at("token"), &headers, form(&[("grant_type", "client_credentials")])).await
}

/// The response to the worker at a path below the environment.
async fn read(world: &World, path: &str) -> Response {
    let token = worker_token(world).await.json()["access_token"].as_str().unwrap_or_default().to_owned();
    let path = format!("/v1/environments/{}{path}", world.sim.config().environment_id);
    world.send("GET", &path, &[("authorization", &format!("Bearer {token}"))], String::new()).await
}

async fn items(world: &World, path: &str, name: &str) -> Vec<Value> {
    read(world, path).await.json()["_embedded"][name].as_array().unwrap().clone()
}

/// The parameters of an authentication request.
fn request(world: &World) -> Vec<(&str, &str)> {
    let config = world.sim.config();
    vec![
        ("response_type", "code"),
        ("client_id", &config.application.client_id),
        ("redirect_uri", CALLBACK),
        ("scope", SCOPES),
        ("state", "s"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("acr_values", &config.policy_id),
    ]
}

async fn push(world: &World) -> Response {
    let application = &world.sim.config().application;
    let basic = STANDARD.encode(format!("{}:{}", application.client_id, application.client_secret));
    let headers = [("authorization", &*format!("Basic {basic}"))];
    world.send("POST", &world.at("par"), &headers, form(&request(world))).await
}

#[tokio::test]
async fn management_api_needs_a_worker_with_roles() {
    let world = World::new();
    let path = format!("/v1/environments/{}", world.sim.config().environment_id);
    assert_eq!(world.send("GET", &path, &[], String::new()).await.status, StatusCode::UNAUTHORIZED);
    let user_token = world.tokens().await["access_token"].as_str().unwrap().to_owned();
    let headers = [("authorization", &*format!("Bearer {user_token}"))];
    assert_eq!(world.send("GET", &path, &headers, String::new()).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(read(&world, "").await.status, StatusCode::OK);
    world.sim.configure(|settings| settings.tenant.worker_roles = vec!["Configuration Read Only".to_owned()]);
    assert_eq!(read(&world, "/applications").await.status, StatusCode::OK);
    assert_eq!(read(&world, "/flows").await.status, StatusCode::FORBIDDEN);
    world.sim.configure(|settings| settings.tenant.worker_roles.clear());
    assert_eq!(worker_token(&world).await.json()["error"], "unauthorized_client");
}

#[tokio::test]
async fn every_object_of_the_tenant_can_be_read() {
    let world = World::new();
    let client = world.sim.config().application.client_id.clone();
    let policy = world.sim.config().policy_id.clone();
    let application = format!("/applications/{client}");
    for path in [
        "",
        "/billOfMaterials",
        "/resources",
        "/applications",
        &application,
        &format!("{application}/grants"),
        &format!("{application}/roleAssignments"),
        &format!("{application}/flowPolicyAssignments"),
        &format!("{application}/signOnPolicyAssignments"),
        "/flowPolicies",
        &format!("/flowPolicies/{policy}"),
        "/davinciApplications",
        "/flows",
        "/connectorInstances",
        "/subscriptions",
        "/users",
        "/users/a11ce000-0000-4000-8000-000000000001",
    ] {
        assert_eq!(read(&world, path).await.status, StatusCode::OK, "{path}");
    }
    for path in [
        "/nothing",
        "/flows/x",
        "/flowPolicies/x",
        "/applications/x",
        "/applications/x/roleAssignments",
        "/users/x",
    ] {
        assert_eq!(read(&world, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let resources = items(&world, "/resources", "resources").await;
    let api = resources.iter().find(|resource| resource["type"] == "CUSTOM").unwrap();
    let scopes = items(&world, &format!("/resources/{}/scopes", api["id"].as_str().unwrap()), "scopes").await;
    let grants = items(&world, &format!("{application}/grants"), "grants").await;
    let granted = grants.iter().find(|grant| grant["resource"]["id"] == api["id"]).unwrap();
    let ids: Vec<_> = scopes.iter().map(|scope| json!({ "id": scope["id"] })).collect();
    assert_eq!(granted["scopes"], json!(ids));
    world.sim.force(Failure::Management(429));
    assert_eq!(read(&world, "").await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn setting_shows_in_management_api_and_takes_effect() {
    let world = World::new();
    world.sim.configure(|settings| {
        settings.tenant.policy.assigned = false;
        settings.tenant.application.redirect_uris =
            Some(vec![CALLBACK.to_owned(), "https://b.example/".to_owned()]);
    });
    let application = format!("/applications/{}", world.sim.config().application.client_id);
    let assignments =
        items(&world, &format!("{application}/flowPolicyAssignments"), "flowPolicyAssignments").await;
    assert_eq!(assignments, [Value::Null; 0]);
    assert_eq!(
        read(&world, &application).await.json()["redirectUris"],
        json!([CALLBACK, "https://b.example/"])
    );
    assert_eq!(world.authorize(&[], "").await.parameter("error").as_deref(), Some("invalid_request"));
    let refused = world.authorize(&[("redirect_uri", "https://c.example/")], "").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    world.sim.configure(|settings| settings.tenant.policy.assigned = true);
    let other = world.authorize(&[("redirect_uri", "https://b.example/"), ("login_hint", "auto")], "").await;
    assert!(other.parameter("code").is_some());
}

#[tokio::test]
async fn flow_without_consent_node_shows_no_consent() {
    let world = World::new();
    world.sim.configure(|settings| settings.tenant.flow.asks_consent = false);
    assert!(world.sign_on("alice", "Alice-demo-1").await.parameter("code").is_some());
    world.sim.configure(|settings| settings.tenant.flow.deployed = false);
    assert_eq!(world.authorize(&[], "").await.parameter("error").as_deref(), Some("login_required"));
}

#[tokio::test]
async fn grant_type_that_is_not_enabled_is_refused() {
    let world = World::new();
    let token = world.tokens().await["refresh_token"].as_str().unwrap().to_owned();
    world.sim.configure(|settings| {
        settings.tenant.application.grant_types = vec!["AUTHORIZATION_CODE".to_owned()];
    });
    let refused = world.refresh(&token).await.json();
    assert_eq!(refused["error"], "unauthorized_client");
    assert!(
        refused["error_description"].as_str().unwrap().contains("missing required grant type: REFRESH_TOKEN")
    );
}

#[tokio::test]
async fn client_authenticates_with_the_method_of_the_application_only() {
    let world = World::new();
    let application = world.sim.config().application.clone();
    world.sim.configure(|settings| {
        settings.tenant.application.token_endpoint_auth_method = "CLIENT_SECRET_POST".to_owned();
    });
    assert_eq!(world.refresh("x").await.json()["error"], "invalid_client");
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "x"),
        ("client_id", &application.client_id),
        ("client_secret", &application.client_secret),
    ];
    let response = world.send("POST", &world.at("token"), &[], form(&fields)).await.json();
    assert_eq!(response["error"], "invalid_grant");
}

#[tokio::test]
async fn pushed_request_works_once_and_can_be_required() {
    let world = World::new();
    world.sim.configure(|settings| settings.tenant.application.par_requirement = "REQUIRED".to_owned());
    assert_eq!(world.authorize(&[], "").await.parameter("error").as_deref(), Some("invalid_request"));
    let pushed = push(&world).await;
    assert_eq!(pushed.status, StatusCode::CREATED);
    let pushed = pushed.json();
    let uri = [("request_uri", pushed["request_uri"].as_str().unwrap())];
    assert!(world.authorize(&uri, "").await.text.contains("SIGNON"));
    assert_eq!(world.authorize(&uri, "").await.status, StatusCode::BAD_REQUEST);
    world.sim.configure(|settings| settings.tenant.application.redirect_uris = Some(Vec::new()));
    assert_eq!(push(&world).await.json()["error"], "invalid_request");
}

#[tokio::test]
async fn refresh_token_is_a_jwt_if_the_application_is_set_to_that() {
    let world = World::new();
    world
        .sim
        .configure(|settings| settings.tenant.application.refresh_token_type = "JSON_WEB_TOKEN".to_owned());
    let first = world.tokens().await["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(first.split('.').count(), 3);
    let second = world.refresh(&first).await.json();
    assert_ne!(second["refresh_token"], json!(first));
    assert_eq!(second["refresh_token"].as_str().unwrap().split('.').count(), 3);
}
