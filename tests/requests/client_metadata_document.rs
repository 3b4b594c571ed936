//! Clients whose `client_id` is the URL of their metadata document.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, body::Body, routing::any};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::world::{CALLBACK, Tokens, World};

const SITE: &str = "https://app.example";
const CLIENT: &str = "https://app.example/oauth/client.json";
const LOOPBACK: &str = "http://127.0.0.1:7777/callback";

fn document() -> Value {
    json!({
        "client_id": CLIENT,
        "client_name": "An app",
        "redirect_uris": [CALLBACK, LOOPBACK],
        "token_endpoint_auth_method": "none",
    })
}

fn json_response(document: &Value) -> Response<Body> {
    let response = Response::builder().header("content-type", "application/json");
    response.body(Body::from(document.to_string())).expect("a response")
}

/// Publishes the responses of `respond`, and counts the requests.
fn publish(
    world: &World,
    respond: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static,
) -> Arc<AtomicUsize> {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let router = Router::new().fallback(any(async move || {
        count.fetch_add(1, Ordering::SeqCst);
        respond()
    }));
    world.network.serve(SITE, router);
    asked
}

/// The status and text of the approval page.
async fn page(world: &World, client: &str) -> (StatusCode, String) {
    let response = world.get(&world.authorize_path(client, &[])).await;
    (response.status, response.text)
}

#[tokio::test]
async fn client_with_a_metadata_document_connects_unregistered() {
    let world = World::new();
    publish(&world, || json_response(&document()));
    let (status, text) = page(&world, CLIENT).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert!(text.contains("It is published by") && text.contains("app.example") && text.contains("An app"));
    let code = world.code(CLIENT).await;
    let tokens = Tokens::of(CLIENT, &world.redeem(CLIENT, &code).await);
    let response = world.call(&tokens.access, "who_am_i", json!({})).await.json();
    assert_eq!(response["result"]["structuredContent"]["client"], json!({ "id": CLIENT, "name": "An app" }));
}

#[tokio::test]
async fn client_that_prefers_a_key_and_offers_none_connects() {
    let world = World::new();
    // The members of ChatGPT's document.
    publish(&world, || {
        let mut document = document();
        document["token_endpoint_auth_method"] = json!("private_key_jwt");
        document["token_endpoint_auth_methods_supported"] = json!(["none", "private_key_jwt"]);
        document["token_endpoint_auth_signing_alg"] = json!("RS256");
        document["jwks_uri"] = json!("https://app.example/oauth/jwks.json");
        json_response(&document)
    });
    let code = world.code(CLIENT).await;
    let tokens = Tokens::of(CLIENT, &world.redeem(CLIENT, &code).await);
    assert_eq!(world.refresh(CLIENT, &tokens.refresh).await.status, StatusCode::OK);
}

#[tokio::test]
async fn server_metadata_says_whether_documents_are_supported() {
    for (setting, taken) in [("on", true), ("off", false)] {
        let world = World::with(&[("CLIENT_ID_METADATA_DOCUMENTS", setting)]);
        let metadata = world.get("/.well-known/oauth-authorization-server").await.json();
        assert_eq!(metadata["client_id_metadata_document_supported"], taken);
    }
}

#[tokio::test]
async fn disabled_metadata_documents_are_not_fetched() {
    let world = World::with(&[("CLIENT_ID_METADATA_DOCUMENTS", "off")]);
    let asked = publish(&world, || json_response(&document()));
    let (status, text) = page(&world, CLIENT).await;
    assert_eq!((status, asked.load(Ordering::SeqCst)), (StatusCode::BAD_REQUEST, 0));
    assert!(text.contains("not registered here"));
}

#[tokio::test]
async fn fresh_document_is_fetched_once() {
    let world = World::new();
    let asked = publish(&world, || {
        let mut response = json_response(&document());
        response.headers_mut().insert("cache-control", "max-age=600".parse().expect("a value"));
        response
    });
    for _ in 0..3 {
        assert_eq!(page(&world, CLIENT).await.0, StatusCode::OK);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    world.host.advance(601);
    assert_eq!(page(&world, CLIENT).await.0, StatusCode::OK);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn unreachable_document_in_use_is_served_stale_for_a_day() {
    let world = World::new();
    publish(&world, || json_response(&document()));
    let code = world.code(CLIENT).await;
    assert_eq!(world.redeem(CLIENT, &code).await.status, StatusCode::OK);
    world.network.unplug(SITE);
    world.host.advance(3600 + 24 * 3600 - 1);
    assert_eq!(page(&world, CLIENT).await.0, StatusCode::OK);
    // A 503 does not invalidate the document.
    publish(&world, || Response::builder().status(503).body(Body::empty()).expect("a response"));
    assert_eq!(page(&world, CLIENT).await.0, StatusCode::OK);
    world.host.advance(1);
    assert_eq!(page(&world, CLIENT).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn unused_or_must_revalidate_document_is_not_served_stale() {
    let world = World::new();
    publish(&world, || json_response(&document()));
    assert_eq!(page(&world, CLIENT).await.0, StatusCode::OK);
    world.network.unplug(SITE);
    world.host.advance(3600);
    assert_eq!(page(&world, CLIENT).await.0, StatusCode::BAD_REQUEST);
    publish(&world, || {
        let mut response = json_response(&document());
        response
            .headers_mut()
            .insert("cache-control", "max-age=600, must-revalidate".parse().expect("a value"));
        response
    });
    let code = world.code(CLIENT).await;
    assert_eq!(world.redeem(CLIENT, &code).await.status, StatusCode::OK);
    world.network.unplug(SITE);
    world.host.advance(600);
    assert_eq!(page(&world, CLIENT).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn withdrawn_document_is_not_served_stale() {
    let world = World::new();
    publish(&world, || json_response(&document()));
    let code = world.code(CLIENT).await;
    assert_eq!(world.redeem(CLIENT, &code).await.status, StatusCode::OK);
    world.host.advance(3600);
    publish(&world, || Response::builder().status(404).body(Body::empty()).expect("a response"));
    assert_eq!(page(&world, CLIENT).await.0, StatusCode::BAD_REQUEST);
    // An unreachable site does not bring it back.
    world.network.unplug(SITE);
    assert_eq!(page(&world, CLIENT).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn tokens_refresh_and_revoke_while_document_is_unreachable() {
    let world = World::new();
    publish(&world, || json_response(&document()));
    let code = world.code(CLIENT).await;
    world.network.unplug(SITE);
    world.host.advance(100);
    let tokens = Tokens::of(CLIENT, &world.redeem(CLIENT, &code).await);
    world.host.advance(24 * 3600);
    let response = world.refresh(CLIENT, &tokens.refresh).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.text);
    let tokens = Tokens::of(CLIENT, &response);
    let form = [("client_id", CLIENT), ("token", tokens.refresh.as_str())];
    assert_eq!(world.post_form("/revoke", &form).await.status, StatusCode::OK);
    assert_eq!(world.call(&tokens.access, "who_am_i", json!({})).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn code_of_one_document_is_refused_for_another_client_id() {
    let world = World::new();
    publish(&world, || json_response(&document()));
    let code = world.code(CLIENT).await;
    let other = "https://app.example/oauth/other.json";
    assert_eq!(world.redeem(other, &code).await.json()["error"], "invalid_grant");
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", CLIENT),
        ("client_secret", "x"),
        ("refresh_token", "x"),
    ];
    assert_eq!(world.post_form("/token", &form).await.json()["error"], "invalid_client");
    assert_eq!(world.redeem(CLIENT, &code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn unusable_document_response_shows_a_page_and_is_not_cached() {
    let with = |status: u16, media_type: &'static str, body: String| {
        move || {
            let response = Response::builder().status(status).header("content-type", media_type);
            response.header("location", CLIENT).body(Body::from(body.clone())).expect("a response")
        }
    };
    let (json, html) = ("application/json", "text/html");
    let good = document().to_string();
    let mut large = document();
    large["logo_uri"] = json!("x".repeat(5 * 1024));
    for (status, media_type, body) in [
        (302, json, good.clone()),
        (301, json, good.clone()),
        (404, json, good.clone()),
        (500, json, good.clone()),
        (204, json, String::new()),
        (200, html, good.clone()),
        (200, json, "{".to_owned()),
        (200, json, "[]".to_owned()),
        (200, json, "<html><body>Not found</body></html>".to_owned()),
        (200, json, large.to_string()),
        (200, json, "x".repeat(5 * 1024 * 1024)),
    ] {
        let world = World::new();
        let asked = publish(&world, with(status, media_type, body));
        for _ in 0..2 {
            let (status, text) = page(&world, CLIENT).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
            assert!(text.contains("metadata document"), "{text}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2, "errors are not kept, and redirects not followed");
        assert_eq!(world.requests_to_pingone(), 0);
    }
}

#[tokio::test]
async fn page_title_says_why_a_client_is_refused() {
    let world = World::new();
    let said = async |client: &str, title: &str| {
        let (status, text) = page(&world, client).await;
        assert!(status == StatusCode::BAD_REQUEST && text.contains(&format!("<h1>{title}</h1>")), "{text}");
    };
    said("AAAAAAAAAAAAAAAAAAAAAA", "This application is not known here").await;
    publish(&world, || Response::builder().status(503).body(Body::empty()).expect("a response"));
    said(CLIENT, "This application cannot be looked up now").await;
    publish(&world, || json_response(&json!({})));
    said(CLIENT, "This application cannot be used here").await;
}

#[tokio::test]
async fn invalid_document_is_refused_until_it_is_corrected() {
    for (member, value) in [
        ("client_id", json!("https://evil.example/client.json")),
        ("client_id", json!(format!("{CLIENT}/"))),
        ("client_name", Value::Null),
        ("client_secret", json!("x")),
        ("jwks", json!({ "keys": [{ "kty": "RSA", "n": "x", "e": "AQAB", "d": "x" }] })),
        ("jwks", json!({ "keys": [{ "kty": "oct", "k": "x" }] })),
        ("redirect_uris", Value::Null),
        ("redirect_uris", json!([])),
        ("redirect_uris", json!([CALLBACK, "javascript:alert(1)"])),
        ("token_endpoint_auth_method", json!("client_secret_basic")),
        ("token_endpoint_auth_method", json!("client_secret_jwt")),
    ] {
        let world = World::new();
        let mut bad = document();
        bad[member] = value.clone();
        publish(&world, move || json_response(&bad));
        let response = world.get(&world.authorize_path(CLIENT, &[])).await;
        assert_eq!((response.status, response.header("location")), (StatusCode::BAD_REQUEST, String::new()));
        assert!(
            response.text.contains("metadata document cannot be used"),
            "{member} {value}: {}",
            response.text
        );
        assert_eq!(world.requests_to_pingone(), 0);
        publish(&world, || json_response(&document()));
        assert_eq!(page(&world, CLIENT).await.0, StatusCode::OK, "{member} {value}: nothing was kept");
    }
}

#[tokio::test]
async fn renamed_client_is_shown_with_its_new_name() {
    let world = World::new();
    publish(&world, || json_response(&document()));
    assert!(page(&world, CLIENT).await.1.contains("An app"));
    publish(&world, || {
        let mut document = document();
        document["client_name"] = json!("Your bank");
        json_response(&document)
    });
    world.host.advance(3600);
    let (_, text) = page(&world, CLIENT).await;
    assert!(text.contains("Your bank") && !text.contains("An app"), "{text}");
}

#[tokio::test]
async fn approval_page_shows_publisher_before_client_name() {
    let world = World::new();
    publish(&world, || json_response(&document()));
    let (_, text) = page(&world, CLIENT).await;
    let published = "<dt>It is published by</dt>\n<dd><span class=\"host\">app.example</span><br>\
         <code>https://app.example/oauth/client.json</code></dd>";
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part} in {text}"));
    assert!(at("<dl>") < at(published) && at(published) < at("An app"), "{text}");
    // A registered client has no publisher.
    let registered = world.get(&world.authorize_path(&world.client().await, &[])).await;
    assert!(!registered.text.contains("It is published by"), "{}", registered.text);
}

#[tokio::test]
async fn invalid_or_private_client_id_url_is_not_fetched() {
    let world = World::new();
    for client in [
        "https://127.0.0.1/client.json",
        "https://localhost/client.json",
        "https://[::1]/client.json",
        "https://2130706433/client.json",
        "https://0177.0.0.1/client.json",
        "https://0x7f000001/client.json",
        "https://[::ffff:127.0.0.1]/client.json",
        "https://0.0.0.0/client.json",
        "https://169.254.169.254/latest/meta-data",
        "https://[fd00::1]/client.json",
        "https://metadata.google.internal/client.json",
        "https://user@app.example/client.json",
        "http://app.example/client.json",
        "file:///etc/passwd",
        "gopher://app.example/x",
        "https://app.example",
        "https://app.example/",
        "https://app.example/a/../client.json",
        "https://app.example/client.json#x",
        "https://app.example/client.json?x",
        "https://app.example/cl ient.json",
        "https://app.example\\client.json",
    ] {
        let (status, text) = page(&world, client).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{client}: {text}");
        assert!(text.contains("a client_id that is a URL must"), "{client}: {text}");
    }
    assert_eq!(world.network.exchanges().len(), 22, "no request to any other server");
}

#[tokio::test]
async fn redirect_uri_missing_from_the_document_is_refused() {
    let world = World::new();
    publish(&world, || json_response(&document()));
    for uri in ["https://evil.example/cb", "https://client.example/cb/", "http://127.0.0.1:7777/other"] {
        let response = world.get(&world.authorize_path(CLIENT, &[("redirect_uri", uri)])).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{uri}");
        assert_eq!(response.header("location"), "");
    }
}

#[tokio::test]
async fn approval_of_a_document_client_is_never_remembered() {
    let world = World::with(&[("CLIENT_APPROVAL", "remember")]);
    publish(&world, || json_response(&document()));
    for uri in [CALLBACK, LOOPBACK] {
        let mut browser = world.browser();
        let url = world.authorize_url(CLIENT, &[("redirect_uri", uri)]);
        world.log_in(&mut browser, "alice", &url).await;
        assert_eq!(browser.open(&url).await.url.path(), "/authorize", "{uri}");
    }
}

#[tokio::test]
async fn storage_key_of_a_document_is_refused_as_client_id() {
    let world = World::new();
    publish(&world, || json_response(&document()));
    assert_eq!(page(&world, CLIENT).await.0, StatusCode::OK);
    let code = world.code(CLIENT).await;
    // The digest needs no secret.
    let digest = deputy::seal::digest("described client", CLIENT.as_bytes());
    let name = format!("document-{}", URL_SAFE_NO_PAD.encode(digest.0));
    for guess in [&name, "document-", "document", "client:document"] {
        assert_eq!(world.redeem(guess, &code).await.status, StatusCode::UNAUTHORIZED, "{guess}");
        let page = world.get(&world.authorize_path(guess, &[])).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{guess}: {}", page.text);
    }
}
