//! Every secret of several whole lives, looked for everywhere it must not be.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    sync::{Arc, Mutex},
};

use axum::{Router, extract::Request, response::IntoResponse as _};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use harness::network::Exchange;
use http::StatusCode;
use pingone_sim::Failure;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::world::{API, CALLBACK, DEPUTY, PINGONE, Tokens, World};

/// Whose secret it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    /// Between PingOne and Deputy: tokens, codes, the client secret.
    PingOne,
    /// Between a client and Deputy: codes, tokens, client secrets.
    Client,
    /// Deputy's own.
    Deputy,
}

#[tokio::test]
async fn no_secret_takes_a_way_that_is_not_its_own() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let world = World::new();
    lives(&world).await;

    let exchanges = world.network.exchanges();
    let secrets = secrets(&world, &exchanges);
    let count = |of| secrets.values().filter(|whose| **whose == of).count();
    assert!(count(Of::PingOne) >= 10 && count(Of::Client) >= 10, "{secrets:?}");
    let log = log.text();
    assert!(log.contains("code redeemed") && log.contains("client authentication failed"), "{log}");
    for (secret, whose) in &secrets {
        assert!(!shows(&log, secret), "the log has a secret of {whose:?}:\n{log}");
        for (key, record) in world.host.memory().records(deputy::host::Timestamp(world.now())) {
            let stored = String::from_utf8_lossy(&record.value);
            assert!(!shows(&stored, secret), "{key:?} has a secret of {whose:?}");
        }
    }
    for exchange in &exchanges {
        let (sent, answered) = (request_text(exchange), response_text(exchange));
        let to = exchange.request.uri().to_string();
        for (secret, whose) in &secrets {
            let may_be_sent = match whose {
                Of::Deputy => false,
                Of::Client => to.starts_with(DEPUTY),
                // Its code passes through the browser; its access token goes to the API; all else stays with it.
                Of::PingOne => to.starts_with(PINGONE) || to.starts_with(DEPUTY) || to.starts_with(API),
            };
            assert!(may_be_sent || !shows(&sent, secret), "to {to}: a secret of {whose:?}\n{sent}");
            if !to.starts_with(DEPUTY) {
                continue;
            }
            let own = *whose == Of::Client && gives_secrets(exchange);
            assert!(own || !shows(&answered, secret), "from {to}: a secret of {whose:?}\n{answered}");
        }
    }
}

/// What goes well and what goes wrong, for a public and a confidential client.
async fn lives(world: &World) {
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
    // A replay, which ends it.
    assert_eq!(world.post_form("/token", &form(secret)).await.status, StatusCode::BAD_REQUEST);

    // An API that repeats what it was sent, in errors and as data.
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

    // PingOne in trouble, telling what it was sent.
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
    // Tokens where they do not belong.
    let other = world.connected().await;
    world.mcp(Some(&other.refresh), &json!({})).await;
    world.refresh(&other.client, &other.access).await;
    world.get(&format!("/mcp?access_token={}", other.access)).await;
    world.post_form("/revoke", &[("token", &other.refresh), ("client_id", &other.client)]).await;
    tokio::task::yield_now().await;
}

type Arguments = fn() -> Value;
const TOOLS: [(&str, Arguments); 5] = [
    ("who_am_i", || json!({})),
    ("create_new_todo", || json!({ "text": "Write it down" })),
    ("get_my_todo_list", || json!({})),
    ("toggle_todo_status", || json!({ "id": "1", "completed": true })),
    ("delete_todo", || json!({ "id": "1" })),
];

/// Whether the answer is one in which a client gets its secrets.
fn gives_secrets(exchange: &Exchange) -> bool {
    let location = exchange.response.headers().get("location").map(|value| value.to_str().unwrap());
    matches!(exchange.request.uri().path(), "/token" | "/register") && exchange.response.status().is_success()
        || location.is_some_and(|location| location.starts_with(CALLBACK))
}

/// Everything in the exchanges that opens something.
fn secrets(world: &World, exchanges: &[Exchange]) -> BTreeMap<String, Of> {
    let mut found = BTreeSet::new();
    found.insert((world.config.application.client_secret.clone(), Of::PingOne));
    found.insert(("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned(), Of::Deputy));
    for Exchange { request, response } in exchanges {
        let uri = request.uri().to_string();
        let answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        let form: BTreeMap<_, _> = form_urlencoded::parse(request.body()).into_owned().collect();
        let query: BTreeMap<_, _> =
            form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        let mut add = |text: Option<&str>, of| {
            // Of a JWT the signature: its claims are no secret, and the person's client may see some.
            let text = text.map(|text| text.rsplit('.').next().unwrap_or(text));
            found.extend(text.filter(|text| text.len() >= 16).map(|text| (text.to_owned(), of)));
        };
        let of = if uri.starts_with(PINGONE) { Of::PingOne } else { Of::Client };
        for name in ["access_token", "client_secret", "id_token", "refresh_token"] {
            add(answer[name].as_str(), of);
        }
        if uri.starts_with(PINGONE) && uri.ends_with("/token") {
            add(form.get("code_verifier").map(String::as_str), Of::PingOne);
        }
        if uri.starts_with(&format!("{DEPUTY}/callback")) {
            add(query.get("code").map(String::as_str), Of::PingOne);
        }
        if uri.starts_with(&format!("{DEPUTY}/token")) {
            add(form.get("code").map(String::as_str), Of::Client);
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

/// Also of headers that are marked as secret.
fn values(headers: &http::HeaderMap) -> Vec<String> {
    headers.values().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

/// Whether a text has a secret, as it is or as one of the usual encodings.
fn shows(text: &str, secret: &str) -> bool {
    let hex = secret.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    // Of base64, what does not depend on what stands before and after.
    let base64 = STANDARD.encode(secret);
    let base64 = &base64[..base64.len() / 4 * 4 - 4];
    text.contains(secret) || text.contains(&hex) || text.contains(base64)
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
