//! Clients in the configuration, and the operator's rules for all others.

use axum::{Router, routing::get};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    authorization_code::redemption,
    client_assertion::{post_signed, rsa_jwk, serve_key, signed_by},
    world::{ADMIN_TOKEN, CALLBACK, Tokens, World, code_at_client},
};

const CLIENT: &str = "client-mastra";
const SECRET: &str = "a secret of the operator, which is long enough";
/// SHA-256 of [`SECRET`].
const SECRET_SHA256: &str = "9c5704b1a2416a4306d80e16b8814f8783b0118f799560c5ef2aad8b236bac74";
const CLOSED: [(&str, &str); 2] =
    [("DYNAMIC_CLIENT_REGISTRATION", "off"), ("CLIENT_ID_METADATA_DOCUMENTS", "off")];

fn public_client() -> Value {
    json!({ "client_id": CLIENT, "client_name": "Mastra", "redirect_uris": [CALLBACK] })
}

fn confidential_client() -> Value {
    let mut client = public_client();
    client["client_secret_sha256"] = json!(SECRET_SHA256);
    client
}

/// A world with this client and these variables.
fn world_with(client: &Value, variables: &[(&str, &str)]) -> World {
    World::with(&[&[("CLIENTS", json!([client]).to_string().as_str())], variables].concat())
}

/// The status, title and text of the page at `/authorize`.
async fn page(world: &World, client: &str) -> (StatusCode, String) {
    let response = world.get(&world.authorize_path(client, &[])).await;
    assert_eq!(response.header("location"), "", "{}", response.text);
    (response.status, response.text)
}

/// The status and error of a refresh with an unknown token.
async fn refresh_error(world: &World, client: &str) -> (StatusCode, Value) {
    let response = world.refresh(client, "x").await;
    (response.status, response.json()["error"].clone())
}

#[tokio::test]
async fn configured_client_with_a_key_connects_by_assertions() {
    let at_url = ("jwks_uri", json!("https://app.example/oauth/jwks.json"));
    for (member, value) in [("jwks", json!({ "keys": [rsa_jwk("one")] })), at_url] {
        let mut client = public_client();
        client[member] = value;
        let world = world_with(&client, &CLOSED);
        serve_key(&world, "https://app.example");
        let code = world.code(CLIENT).await;
        let unsigned = world.redeem(CLIENT, &code).await;
        assert_eq!(unsigned.json()["error"], "invalid_client", "{member}");
        let assertion = signed_by(&world, CLIENT);
        let redeemed = post_signed(&world, "/token", &redemption(CLIENT, &code), &assertion).await;
        assert_eq!(redeemed.status, StatusCode::OK, "{member}: {}", redeemed.text);
        let tokens = Tokens::of(CLIENT, &redeemed);
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh.as_str())];
        let replayed = post_signed(&world, "/token", &refresh, &assertion).await;
        assert_eq!(replayed.status, StatusCode::UNAUTHORIZED, "{member}");
        let assertion = signed_by(&world, CLIENT);
        let refreshed = post_signed(&world, "/token", &refresh, &assertion).await;
        assert_eq!(refreshed.status, StatusCode::OK, "{member}: {}", refreshed.text);
    }
}

#[tokio::test]
async fn configured_public_client_connects() {
    let world = world_with(&public_client(), &CLOSED);
    let (status, text) = page(&world, CLIENT).await;
    assert!(status == StatusCode::OK && text.contains("Mastra"), "{text}");
    let code = world.code(CLIENT).await;
    let tokens = Tokens::of(CLIENT, &world.redeem(CLIENT, &code).await);
    assert_eq!(world.refresh(CLIENT, &tokens.refresh).await.status, StatusCode::OK);
    let elsewhere = world.authorize_path(CLIENT, &[("redirect_uri", "https://evil.example/cb")]);
    let refused = world.get(&elsewhere).await;
    assert_eq!((refused.status, refused.header("location")), (StatusCode::BAD_REQUEST, String::new()));
}

/// The two ways to name a client that does not register itself, as docs/clients.md shows them.
#[tokio::test]
async fn documented_client_connects_in_either_way() {
    let document = include_str!("../../docs/clients.md");
    let example = |before: &str, after: &str| {
        let rest = document.split_once(before).expect("an example").1;
        rest.split_once(after).expect("an end").0
    };
    let world = World::with(&[("CLIENTS", example("```json\n", "```"))]);
    let metadata = serde_json::from_str(example("--json '", "'\n")).expect("JSON");
    let registered = world.register(&metadata).await["client_id"].as_str().expect("an id").to_owned();
    let redirect_uri = ("redirect_uri", "https://app.example.com/oauth/callback");
    for client in [CLIENT, &registered] {
        let url = world.authorize_url(client, &[redirect_uri]);
        let page = world.log_in(&mut world.browser(), "alice", &url).await;
        let code = code_at_client(&page).unwrap_or_else(|| panic!("{client}: {}", page.text));
        let mut form = redemption(client, &code);
        form.retain(|(name, _)| *name != "redirect_uri");
        let response = world.post_form("/token", &form).await;
        assert_eq!(response.status, StatusCode::OK, "{client}: {}", response.text);
        let access = Tokens::of(client, &response).access;
        assert_eq!(world.call(&access, "who_am_i", json!({})).await.status, StatusCode::OK, "{client}");
    }
}

#[tokio::test]
async fn configured_confidential_client_needs_its_secret() {
    let world = world_with(&confidential_client(), &CLOSED);
    let code = world.code(CLIENT).await;
    for wrong in [None, Some("x"), Some(SECRET_SHA256)] {
        let mut form = redemption(CLIENT, &code);
        form.extend(wrong.map(|secret| ("client_secret", secret)));
        let refused = world.post_form("/token", &form).await;
        assert_eq!(
            (refused.status, &refused.json()["error"]),
            (StatusCode::UNAUTHORIZED, &json!("invalid_client"))
        );
    }
    let mut form = redemption(CLIENT, &code);
    form.push(("client_secret", SECRET));
    let tokens = Tokens::of(CLIENT, &world.post_form("/token", &form).await);
    let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{}", SECRET.replace(' ', "+"))));
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", basic.as_str())];
    let body = format!("grant_type=refresh_token&refresh_token={}", tokens.refresh);
    let refreshed = world.request("POST", "/token", &headers, &body).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.text);
}

#[tokio::test]
async fn public_client_in_the_configuration_has_no_secret() {
    let world = world_with(&public_client(), &[]);
    let mut form = redemption(CLIENT, "x");
    form.push(("client_secret", SECRET));
    assert_eq!(world.post_form("/token", &form).await.json()["error"], "invalid_client");
}

#[tokio::test]
async fn configured_client_may_have_any_valid_redirect_uri() {
    let own = "cursor://anysphere.cursor-mcp/oauth/callback";
    let client = json!({ "client_id": CLIENT, "client_name": "Mastra", "redirect_uris": [own, CALLBACK] });
    let world = world_with(&client, &[("CLIENT_HOSTS", "claude.ai")]);
    for uri in [own, CALLBACK] {
        let page = world.get(&world.authorize_path(CLIENT, &[("redirect_uri", uri)])).await;
        assert_eq!(page.status, StatusCode::OK, "{uri}");
    }
}

#[tokio::test]
async fn configured_client_ends_with_its_configuration() {
    let world = world_with(&public_client(), &[]);
    let code = world.code(CLIENT).await;
    let tokens = Tokens::of(CLIENT, &world.redeem(CLIENT, &code).await);
    world.start(&[]);
    assert_eq!(world.refresh(CLIENT, &tokens.refresh).await.json()["error"], "invalid_client");
    let (status, text) = page(&world, CLIENT).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(text.contains("Ask the operator of this server to admit the application"), "{text}");
}

#[tokio::test]
async fn blocked_client_of_the_configuration_is_refused() {
    let world = world_with(&public_client(), &[("ADMIN_TOKEN", ADMIN_TOKEN)]);
    let code = world.code(CLIENT).await;
    let blocked = world.admin("POST", "block", &format!("client={CLIENT}")).await;
    assert_eq!(blocked.status, StatusCode::OK, "{}", blocked.text);
    assert_eq!(world.redeem(CLIENT, &code).await.json()["error"], "unauthorized_client");
    assert_eq!(page(&world, CLIENT).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn registration_that_is_off_is_not_offered() {
    let world = World::new();
    let registered = world.client().await;
    world.start(&[("DYNAMIC_CLIENT_REGISTRATION", "off")]);
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        assert_eq!(world.get(path).await.json()["registration_endpoint"], Value::Null, "{path}");
    }
    let refused = world.post_json("/register", &json!({ "redirect_uris": [CALLBACK] })).await;
    assert_eq!((refused.status, &refused.json()["error"]), (StatusCode::FORBIDDEN, &json!("access_denied")));
    assert!(refused.text.contains("ask its operator"), "{}", refused.text);
    // Also a client that registered before.
    let (status, text) = page(&world, &registered).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(text.contains("The operator of this server decides which applications can use it"), "{text}");
    assert_eq!(refresh_error(&world, &registered).await, (StatusCode::UNAUTHORIZED, json!("invalid_client")));
    world.start(&[]);
    assert_eq!(page(&world, &registered).await.0, StatusCode::OK);
}

#[tokio::test]
async fn closed_server_admits_only_configured_clients() {
    let world = world_with(&public_client(), &CLOSED);
    assert_eq!(page(&world, CLIENT).await.0, StatusCode::OK);
    for other in ["client-other", "AAAAAAAAAAAAAAAAAAAAAA", "https://app.example/client.json", "x"] {
        let (status, text) = page(&world, other).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{other}");
        assert!(text.contains("this one is not among them"), "{other}: {text}");
        assert_eq!(refresh_error(&world, other).await, (StatusCode::UNAUTHORIZED, json!("invalid_client")));
    }
}

#[tokio::test]
async fn redirect_uri_at_another_host_is_refused() {
    let world = World::new();
    let earlier = world.connected().await;
    world.start(&[("CLIENT_HOSTS", "*.example.com localhost")]);
    let register =
        async |uris: &[&str]| world.post_json("/register", &json!({ "redirect_uris": uris })).await;
    let refused = register(&[CALLBACK]).await;
    assert_eq!(
        (refused.status, &refused.json()["error"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_redirect_uri"))
    );
    let mixed = register(&[CALLBACK, "https://app.example.com/cb", "http://localhost:1/cb"]).await;
    assert_eq!(mixed.status, StatusCode::CREATED, "{}", mixed.text);
    let id = mixed.json()["client_id"].as_str().unwrap().to_owned();
    for (uri, status) in [
        (CALLBACK, StatusCode::BAD_REQUEST),
        ("https://app.example.com/cb", StatusCode::OK),
        ("http://localhost:2/cb", StatusCode::OK),
    ] {
        let page = world.get(&world.authorize_path(&id, &[("redirect_uri", uri)])).await;
        assert_eq!((page.status, page.header("location")), (status, String::new()), "{uri}");
    }
    // A client that registered before.
    let (status, text) = page(&world, &earlier.client).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(!text.contains("registers again"), "{text}");
    let refused = world.refresh(&earlier.client, &earlier.refresh).await;
    assert_eq!(
        (refused.status, &refused.json()["error"]),
        (StatusCode::UNAUTHORIZED, &json!("invalid_client"))
    );
    world.start(&[]);
    assert_eq!(world.refresh(&earlier.client, &earlier.refresh).await.status, StatusCode::OK);
}

#[tokio::test]
async fn metadata_document_at_another_host_is_not_fetched() {
    let client = "https://app.example/client.json";
    let document = json!({
        "client_id": client, "client_name": "An app", "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
    });
    let served = Router::new().fallback(get(async move || axum::Json(document)));
    let world = World::with(&[("CLIENT_HOSTS", "client.example")]);
    world.network.serve("https://app.example", served);
    let (status, text) = page(&world, client).await;
    assert!(status == StatusCode::BAD_REQUEST && text.contains("this one is not among them"), "{text}");
    assert_eq!(world.requests_to("https://app.example", ""), 0);
    assert_eq!(refresh_error(&world, client).await.1, "invalid_client");
    world.start(&[("CLIENT_HOSTS", "client.example app.example")]);
    assert_eq!(page(&world, client).await.0, StatusCode::OK);
    assert_eq!(refresh_error(&world, client).await.1, "invalid_grant");
}
