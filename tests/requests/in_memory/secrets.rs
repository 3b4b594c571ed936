//! Every secret of many requests, searched for in logs, records, requests and responses.

use std::collections::{BTreeMap, BTreeSet};

use axum::{Router, extract::Request, response::IntoResponse as _};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use harness::network::Exchange;
use http::StatusCode;
use pingone_sim::Failure;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::log::Log;
use crate::world::{
    ADMIN_TOKEN, API, CALLBACK, DEPUTY, PINGONE, Tokens, World, claims, finished_at_pingone, handle_in,
};

/// The parties that share a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SecretKind {
    /// Between PingOne and Deputy: tokens, codes, the client secret.
    PingOne,
    /// Between a client and Deputy: codes, tokens, client secrets.
    Client,
    /// Deputy alone.
    Deputy,
    /// Between the approval page and Deputy: its handle.
    Page,
    /// Between Deputy, the browser and PingOne: state and nonce.
    Login,
    /// Between the operator and Deputy.
    Operator,
}

#[tokio::test]
async fn secrets_appear_only_where_they_belong() {
    let (log, _logging) = Log::begin();
    let world = World::new();
    exercise_everything(&world).await;
    operate(&world).await;

    let exchanges = world.network.exchanges();
    let secrets = secrets(&world, &exchanges);
    let count = |of| secrets.values().filter(|kind| **kind == of).count();
    for of in [SecretKind::PingOne, SecretKind::Client, SecretKind::Page, SecretKind::Login] {
        assert!(count(of) >= 10, "{of:?}: {secrets:?}");
    }
    let secrets: Vec<_> = secrets.iter().map(|(secret, kind)| (encodings(secret), *kind)).collect();
    let log = log.text();
    assert!(log.contains("code redeemed") && log.contains("client authentication failed"), "{log}");
    let records = world.host.memory().records(deputy::host::Timestamp(world.now()));
    for kind in ["approval", "client", "grant", "login"] {
        assert!(records.iter().any(|(key, _)| key.kind() == kind), "{kind}");
    }
    for (secret, kind) in &secrets {
        assert!(!contains_secret(&log, secret), "the log has a secret of {kind:?}:\n{log}");
        for (key, record) in &records {
            let stored = String::from_utf8_lossy(&record.value);
            assert!(!contains_secret(&stored, secret), "{key:?} has a secret of {kind:?}");
        }
    }
    for exchange in &exchanges {
        let (sent, answered) = (request_text(exchange), response_text(exchange));
        let to = exchange.request.uri().to_string();
        for (secret, kind) in &secrets {
            let may_be_sent = match kind {
                SecretKind::Deputy => false,
                SecretKind::Client | SecretKind::Operator | SecretKind::Page => to.starts_with(DEPUTY),
                SecretKind::Login => to.starts_with(PINGONE) || to.starts_with(DEPUTY),
                // The code passes through the browser, and the access token goes to the API.
                SecretKind::PingOne => {
                    to.starts_with(PINGONE) || to.starts_with(DEPUTY) || to.starts_with(API)
                }
            };
            assert!(may_be_sent || !contains_secret(&sent, secret), "to {to}: a secret of {kind:?}\n{sent}");
            if !to.starts_with(DEPUTY) {
                continue;
            }
            let own = secrets_for_the_receiver(exchange) == Some(*kind);
            assert!(
                own || !contains_secret(&answered, secret),
                "from {to}: a secret of {kind:?}\n{answered}"
            );
        }
    }
}

/// Sends requests that succeed and requests that fail, as a public and as a confidential client.
async fn exercise_everything(world: &World) {
    let tokens = world.connected().await;
    for (tool, arguments) in TOOLS {
        world.call(&tokens.access, tool, arguments()).await;
    }
    let metadata = json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_post" });
    let registered = world.register(&metadata).await;
    let (id, secret) =
        (registered["client_id"].as_str().unwrap(), registered["client_secret"].as_str().unwrap());
    let code = world.code(id).await;
    let form = |secret| {
        [
            ("grant_type", "authorization_code"),
            ("client_id", id),
            ("client_secret", secret),
            ("code", code.as_str()),
            ("code_verifier", crate::world::VERIFIER),
            ("redirect_uri", CALLBACK),
        ]
    };
    assert_eq!(world.post_form("/token", &form("wrong")).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.post_form("/token", &form(secret)).await.status, StatusCode::OK);
    // A replay revokes the grant.
    assert_eq!(world.post_form("/token", &form(secret)).await.status, StatusCode::BAD_REQUEST);

    // The API repeats the token in errors and in data.
    for status in [200, 400, 403, 404, 409, 500, 503] {
        let status = StatusCode::from_u16(status).unwrap();
        let echo = Router::new().fallback(async move |request: Request| {
            let token = request.headers()["authorization"].to_str().unwrap().to_owned();
            let todo = json!({ "id": "1", "text": token, "completed": false, "createdAt": token });
            let body = json!({ "error": token, "detail": format!("{:?}", token), "todos": [todo.clone()], "todo": todo });
            (status, [("x-echo", token)], axum::Json(body)).into_response()
        });
        world.network.serve(API, echo);
        for (tool, arguments) in TOOLS {
            world.call(&tokens.access, tool, arguments()).await;
        }
    }

    // PingOne fails, and repeats the client secret.
    let refreshed = world.refresh(&tokens.client, &tokens.refresh).await;
    let tokens = Tokens::of(&tokens.client, &refreshed);
    let secret = world.config.application.client_secret.clone();
    for status in [200, 400, 401, 500] {
        world.pingone.force(Failure::Token(
            status,
            json!({ "error": secret, "error_description": secret }).to_string(),
        ));
        let client = world.client().await;
        world.log_in_to(&mut world.browser(), &client).await;
    }
    world.host.advance(3600);
    world.pingone.force(Failure::Token(
        400,
        json!({ "error": "invalid_grant", "error_description": secret }).to_string(),
    ));
    let tokens = Tokens::of(&tokens.client, &world.refresh(&tokens.client, &tokens.refresh).await);
    world.call(&tokens.access, "who_am_i", json!({})).await;
    // Tokens in the wrong places.
    let other = world.connected().await;
    world.mcp(Some(&other.refresh), &json!({})).await;
    world.refresh(&other.client, &other.access).await;
    world.get(&format!("/mcp?access_token={}", other.access)).await;
    world.post_form("/revoke", &[("token", &other.refresh), ("client_id", &other.client)]).await;
    refused_requests(world).await;
    tokio::task::yield_now().await;
}

/// Sends requests of the operator, also with the token in wrong places.
async fn operate(world: &World) {
    world.start(&[("ADMIN_TOKEN", ADMIN_TOKEN)]);
    world.connected().await;
    let listed = world.admin("GET", "grants", "").await.json();
    let ids =
        listed["grants"].as_array().unwrap().iter().map(|grant| grant["id"].as_str().unwrap().to_owned());
    for id in ids {
        assert_eq!(world.admin("GET", &format!("grants/{id}"), "").await.status, StatusCode::OK);
        world.admin("DELETE", &format!("grants/{id}"), "").await;
    }
    for (path, form) in [("block", "host=evil.example"), ("unblock", ADMIN_TOKEN), ("grants/end", "all=true")]
    {
        world.admin("POST", path, form).await;
    }
    world.admin("GET", &format!("grants?user={ADMIN_TOKEN}"), "").await;
    world.get(&format!("/admin/v1/grants?token={ADMIN_TOKEN}")).await;
    world.call(ADMIN_TOKEN, "who_am_i", json!({})).await;
}

/// Sends decisions and callbacks with real secrets that are refused. One page and one login stay open.
async fn refused_requests(world: &World) {
    let client = world.client().await;
    let mut browser = world.browser();
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    world.browser().submit(&page, &[], "approve").await;
    let mut again = browser.clone();
    browser.submit(&page, &[], "approve").await;
    again.submit(&page, &[], "approve").await;
    let mut browser = world.browser();
    let callback = finished_at_pingone(world, &mut browser, &client).await;
    world.browser().open(callback.as_str()).await;
    let mut again = browser.clone();
    browser.open(callback.as_str()).await;
    again.open(callback.as_str()).await;
    browser.open(&world.authorize_url(&world.client().await, &[])).await;
}

type Arguments = fn() -> Value;
const TOOLS: [(&str, Arguments); 5] = [
    ("who_am_i", || json!({})),
    ("create_new_todo", || json!({ "text": "Write it down" })),
    ("get_my_todo_list", || json!({})),
    ("toggle_todo_status", || json!({ "id": "1", "completed": true })),
    ("delete_todo", || json!({ "id": "1" })),
];

/// The kind of secret that this response of Deputy may contain, because the receiver owns it.
fn secrets_for_the_receiver(exchange: &Exchange) -> Option<SecretKind> {
    let location = exchange.response.headers().get("location").map(|value| value.to_str().unwrap());
    match (exchange.request.uri().path(), location) {
        ("/token" | "/register", None) => {
            exchange.response.status().is_success().then_some(SecretKind::Client)
        }
        ("/authorize", None) => Some(SecretKind::Page),
        (_, Some(location)) if location.starts_with(CALLBACK) => Some(SecretKind::Client),
        (_, Some(location)) if location.starts_with(PINGONE) => Some(SecretKind::Login),
        _ => None,
    }
}

/// Every secret in the exchanges.
fn secrets(world: &World, exchanges: &[Exchange]) -> BTreeMap<String, SecretKind> {
    let mut found = BTreeSet::new();
    found.insert((world.config.application.client_secret.clone(), SecretKind::PingOne));
    found.insert((ADMIN_TOKEN.to_owned(), SecretKind::Operator));
    found.insert(("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned(), SecretKind::Deputy));
    for Exchange { request, response } in exchanges {
        let uri = request.uri().to_string();
        let json: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        let form: BTreeMap<_, _> = form_urlencoded::parse(request.body()).into_owned().collect();
        let query: BTreeMap<_, _> =
            form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        let mut add = |text: Option<&str>, of| {
            // The secret part of a JWT is its signature. Clients may see some of its claims.
            let text = text.map(|text| text.rsplit('.').next().unwrap_or(text));
            found.extend(text.filter(|text| text.len() >= 16).map(|text| (text.to_owned(), of)));
        };
        let of = if uri.starts_with(PINGONE) { SecretKind::PingOne } else { SecretKind::Client };
        for name in ["access_token", "client_secret", "id_token", "refresh_token"] {
            add(json[name].as_str(), of);
        }
        if uri.starts_with(PINGONE) && uri.ends_with("/token") {
            add(form.get("code_verifier").map(String::as_str), SecretKind::PingOne);
        }
        if uri.starts_with(&format!("{DEPUTY}/callback")) {
            add(query.get("code").map(String::as_str), SecretKind::PingOne);
        }
        if uri.starts_with(&format!("{DEPUTY}/token")) {
            add(form.get("code").map(String::as_str), SecretKind::Client);
            add(form.get("code_verifier").map(String::as_str), SecretKind::Client);
        }
        let page = str::from_utf8(response.body()).unwrap_or_default();
        add(handle_in(page), SecretKind::Page);
        if uri.starts_with(PINGONE) && request.uri().path().ends_with("/authorize") {
            add(query.get("state").map(String::as_str), SecretKind::Login);
            add(query.get("nonce").map(String::as_str), SecretKind::Login);
        }
    }
    found.into_iter().collect()
}

fn request_text(exchange: &Exchange) -> String {
    let Exchange { request, .. } = exchange;
    format!("{} {:?} {}", request.uri(), values(request.headers()), String::from_utf8_lossy(request.body()))
}

fn response_text(exchange: &Exchange) -> String {
    let Exchange { response, .. } = exchange;
    format!("{:?} {}", values(response.headers()), String::from_utf8_lossy(response.body()))
}

/// The values of all headers, also of those marked as sensitive.
fn values(headers: &http::HeaderMap) -> Vec<String> {
    headers.values().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

/// A secret in plain text and in the usual encodings.
fn encodings(secret: &str) -> BTreeSet<String> {
    let hex: Vec<_> = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let (hex, escaped) = (hex.concat(), format!("%{}", hex.join("%")));
    let mut forms = BTreeSet::from([
        secret.to_owned(),
        hex.to_uppercase(),
        hex,
        escaped.to_uppercase(),
        escaped,
        form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
    ]);
    // The base64 text of a secret depends on how many bytes stand before it. The characters at its edges depend on their values.
    for before in 0..3 {
        let bytes = [&b"xx"[..before], secret.as_bytes()].concat();
        let whole = (before * 8).div_ceil(6)..bytes.len() * 8 / 6;
        forms.insert(STANDARD_NO_PAD.encode(&bytes)[whole.clone()].to_owned());
        forms.insert(URL_SAFE_NO_PAD.encode(&bytes)[whole].to_owned());
    }
    forms
}

/// Whether a text contains a secret in one of its encodings.
fn contains_secret(text: &str, forms: &BTreeSet<String>) -> bool {
    forms.iter().any(|form| text.contains(form))
}

#[test]
fn secret_is_recognized_in_every_encoding() {
    let secret = "L1tt.e/s?cret+of~mine=";
    let forms = encodings(secret);
    for before in ["", "a", "ab", "abc"] {
        for after in ["", "a", "ab", "abc"] {
            let text = format!("{before}{secret}{after}");
            let hex = text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
            for shown in [
                STANDARD_NO_PAD.encode(&text),
                URL_SAFE_NO_PAD.encode(&text),
                hex.to_uppercase(),
                hex,
                form_urlencoded::byte_serialize(text.as_bytes()).collect(),
                text,
            ] {
                assert!(contains_secret(&shown, &forms), "{shown}");
            }
        }
    }
    assert!(!contains_secret("another text", &forms));
}

#[tokio::test]
async fn stored_records_hold_no_usable_token() {
    let world = World::new();
    let tokens = world.connected().await;
    world.start(&[("WHO_AM_I_TOKEN", "full")]);
    let me = world.call(&tokens.access, "who_am_i", json!({})).await.json();
    let upstream = me["result"]["structuredContent"]["accessToken"]["raw"].as_str().unwrap().to_owned();
    assert_eq!(claims(&upstream)["aud"], json!([API]));
    for (key, record) in world.host.memory().records(deputy::host::Timestamp(world.now())) {
        let stored = String::from_utf8_lossy(&record.value);
        for secret in [&tokens.access[45..], &tokens.refresh[45..], &upstream[200..240], "client-state"] {
            assert!(!stored.contains(secret), "{key:?}");
        }
    }
}
