//! How long a registration lives: as long as the key of the server, since its `client_id` contains it.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{CALLBACK, World, known_name};

/// In seconds.
const DAY: u64 = 24 * 3600;
/// The key of every world.
const OLD_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const NEW_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Restarts Deputy with these keys.
fn with_keys(world: &World, keys: &[&str]) {
    world.start(&[("COOKIE_ENCRYPTION_KEY", &keys.join(","))]);
}

/// Whether a client is known. The request does not count as a use of the registration.
async fn is_known(world: &World, client: &str) -> bool {
    world.refresh(client, "x").await.status != StatusCode::UNAUTHORIZED
}

/// The error of a refresh with an unknown token.
async fn refresh_error(world: &World, client: &str, secret: &str) -> Value {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", client),
        ("client_secret", secret),
        ("refresh_token", "x"),
    ];
    world.post_form("/token", &form).await.json()["error"].clone()
}

#[tokio::test]
async fn registration_and_its_secret_do_not_expire() {
    let world = World::new();
    let public = json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"});
    let public = world.register(&public).await;
    assert_eq!((&public["client_secret"], &public["client_secret_expires_at"]), (&Value::Null, &Value::Null));
    let confidential = world.register(&json!({"redirect_uris": [CALLBACK]})).await;
    assert_eq!(confidential["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(confidential["client_secret_expires_at"], 0);
    let [id, secret] = ["client_id", "client_secret"].map(|name| confidential[name].as_str().unwrap());
    assert!(secret.len() >= 43, "{secret}");
    world.host.advance(1000 * DAY);
    let page = world.get(&world.authorize_path(public["client_id"].as_str().unwrap(), &[])).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(refresh_error(&world, id, secret).await, "invalid_grant");
    assert_eq!(refresh_error(&world, id, "dps_guessed").await, "invalid_client");
}

#[tokio::test]
async fn registration_works_after_all_records_are_lost() {
    let (world, other) = (World::new(), World::new());
    let client = world.client().await;
    let code = other.code(&client).await;
    assert_eq!(other.redeem(&client, &code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn client_that_got_tokens_keeps_its_id_after_rotation() {
    let world = World::new();
    let secret_metadata =
        json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_post"});
    let (used, unused) = (world.connected().await, world.client().await);
    let confidential = world.register(&secret_metadata).await;
    let [id, secret] = ["client_id", "client_secret"].map(|name| confidential[name].as_str().unwrap());
    with_keys(&world, &[NEW_KEY, OLD_KEY]);
    for client in [used.client.as_str(), &unused] {
        assert!(is_known(&world, client).await);
        assert_eq!(world.get(&world.authorize_path(client, &[])).await.status, StatusCode::OK);
    }
    assert_eq!(refresh_error(&world, id, secret).await, "invalid_grant");
    let refreshed = world.refresh(&used.client, &used.refresh).await.json();
    with_keys(&world, &[NEW_KEY]);
    let refresh = refreshed["refresh_token"].as_str().unwrap();
    assert_eq!(world.refresh(&used.client, refresh).await.status, StatusCode::OK);
    world.code(&used.client).await;
    assert!(!is_known(&world, &unused).await);
    assert_eq!(refresh_error(&world, id, secret).await, "invalid_client");
    // The same name with other metadata is another client_id.
    let (altered, last) = used.client.split_at(used.client.len() - 2);
    assert!(!is_known(&world, &format!("{altered}{}", if last == "AA" { "BA" } else { "AA" })).await);
    assert!(!is_known(&world, known_name(&used.client)).await);
}

#[tokio::test]
async fn confidential_client_keeps_its_secret_after_rotation() {
    let world = World::new();
    let metadata = json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_post"});
    let client = world.register(&metadata).await;
    let [id, secret] = ["client_id", "client_secret"].map(|name| client[name].as_str().unwrap());
    with_keys(&world, &[NEW_KEY, OLD_KEY]);
    let code = world.code(id).await;
    let mut form = crate::authorization_code::redemption(id, &code);
    form.push(("client_secret", secret));
    assert_eq!(world.post_form("/token", &form).await.status, StatusCode::OK);
    with_keys(&world, &[NEW_KEY]);
    assert_eq!(refresh_error(&world, id, secret).await, "invalid_grant");
    assert_eq!(refresh_error(&world, id, "dps_guessed").await, "invalid_client");
}

/// A client whose registration is stored, since it got tokens before its key was removed.
async fn stored_client(world: &World) -> String {
    let client = world.client().await;
    with_keys(world, &[NEW_KEY, OLD_KEY]);
    let code = world.code(&client).await;
    assert_eq!(world.redeem(&client, &code).await.status, StatusCode::OK);
    with_keys(world, &[NEW_KEY]);
    client
}

#[tokio::test]
async fn stored_registration_lives_90_days_after_each_use() {
    let world = World::new();
    let client = stored_client(&world).await;
    world.host.advance(89 * DAY);
    let code = world.code(&client).await;
    assert_eq!(world.redeem(&client, &code).await.status, StatusCode::OK);
    world.host.advance(90 * DAY - 1);
    assert!(is_known(&world, &client).await);
    world.host.advance(1);
    assert!(!is_known(&world, &client).await);
}

#[tokio::test]
async fn authorization_request_extends_a_stored_registration() {
    let world = World::new();
    let client = stored_client(&world).await;
    world.host.advance(80 * DAY);
    for _ in 0..3 {
        let page = world.get(&world.authorize_path(&client, &[])).await;
        assert_eq!(page.status, StatusCode::OK);
        world.host.advance(29 * DAY);
    }
    world.host.advance(DAY - 1);
    assert!(is_known(&world, &client).await);
    world.host.advance(1);
    assert!(!is_known(&world, &client).await);
}

#[tokio::test]
async fn stored_registration_outlives_its_refresh_tokens() {
    let world = World::new();
    let client = world.client().await;
    let lifetime = ("REFRESH_TOKEN_LIFETIME", "31536000");
    world.start(&[("COOKIE_ENCRYPTION_KEY", &[NEW_KEY, OLD_KEY].join(",")), lifetime]);
    let code = world.code(&client).await;
    assert_eq!(world.redeem(&client, &code).await.status, StatusCode::OK);
    world.start(&[("COOKIE_ENCRYPTION_KEY", NEW_KEY), lifetime]);
    world.host.advance(31_536_000 - 1);
    assert!(is_known(&world, &client).await);
}

#[tokio::test]
async fn page_for_an_ended_registration_says_what_to_do() {
    let world = World::new();
    let client = world.client().await;
    with_keys(&world, &[NEW_KEY]);
    let page = world.get(&world.authorize_path(&client, &[])).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    let says = format!("or its registration has ended. Its client_id is {}<", known_name(&client));
    assert!(page.text.contains(&says), "{}", page.text);
    assert!(page.text.contains("Remove and add the server again in your application"), "{}", page.text);
    // The page escapes and shortens the client_id.
    let page = world.get(&world.authorize_path(&"<b>\u{202e}x".repeat(200), &[])).await;
    assert!(page.text.contains("&#60;b&#62;x") && page.text.len() < 5000, "{}", page.text);
}

#[tokio::test]
async fn client_id_of_another_deployment_is_unknown() {
    let world = World::new();
    let client = world.client().await;
    world.start(&[("PUBLIC_URL", "https://other.example")]);
    assert!(!is_known(&world, &client).await);
    assert_eq!(world.get(&world.authorize_path(&client, &[])).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn forged_or_altered_client_id_is_unknown() {
    let world = World::new();
    let (client, other) = (world.client().await, world.client().await);
    let ((name, sealed), (_, other_sealed)) =
        (client.split_once(".1.").unwrap(), other.split_once(".1.").unwrap());
    let unknown = world.get(&world.authorize_path("AAAAAAAAAAAAAAAAAAAAAA", &[])).await;
    for forged in [
        name.to_owned(),
        format!("{name}.1.{other_sealed}"),
        format!("{name}.1.{sealed}A"),
        format!("{name}.1.A{sealed}"),
        format!("{name}.2.{sealed}"),
        format!("{name}.1."),
        format!("{name}.1.{}", "A".repeat(4000)),
        format!("{name}.1.{}", "A".repeat(9000)),
    ] {
        assert!(!is_known(&world, &forged).await, "{forged}");
        let page = world.get(&world.authorize_path(&forged, &[])).await;
        assert_eq!((page.status, page.header("location")), (unknown.status, String::new()), "{forged}");
    }
    assert!(is_known(&world, &client).await);
}

#[tokio::test]
async fn stricter_rules_apply_to_earlier_registrations() {
    let uri = "cursor://anysphere.cursor-mcp/oauth/callback";
    let world = World::with(&[("PRIVATE_USE_REDIRECT_URIS", uri)]);
    let metadata = json!({ "redirect_uris": [uri], "token_endpoint_auth_method": "none" });
    let client = world.register(&metadata).await["client_id"].as_str().unwrap().to_owned();
    let page = async || world.get(&world.authorize_path(&client, &[("redirect_uri", uri)])).await;
    assert_eq!(page().await.status, StatusCode::OK);
    world.start(&[]);
    let refused = page().await;
    assert_eq!((refused.status, refused.header("location")), (StatusCode::BAD_REQUEST, String::new()));
    assert!(
        refused.text.contains("PRIVATE_USE_REDIRECT_URIS") || refused.text.contains("operator"),
        "{}",
        refused.text
    );
}
