//! `docs/one-login.http`: every request and response of one whole login, as they were sent.

use std::fmt::Write as _;

use harness::network::Exchange;
use http::HeaderMap;
use serde_json::json;

use crate::world::{API, CALLBACK, DEPUTY, PINGONE, World};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/one-login.http");

/// `UPDATE_TRANSCRIPT=1 cargo test -p requests transcript` updates the file.
#[tokio::test]
async fn documented_transcript_matches_a_real_login() {
    let transcript = one_login().await;
    if std::env::var_os("UPDATE_TRANSCRIPT").is_some() {
        std::fs::write(PATH, &transcript).expect("writable");
    }
    let documented = std::fs::read_to_string(PATH).expect("docs/one-login.http");
    assert!(
        documented == transcript,
        "docs/one-login.http is out of date; UPDATE_TRANSCRIPT=1 cargo test -p requests transcript updates it"
    );
}

async fn one_login() -> String {
    let world = World::new();
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    world.mcp(None, &ping).await;
    world.get("/.well-known/oauth-protected-resource/mcp").await;
    world.get("/.well-known/oauth-authorization-server").await;
    let metadata = json!({
        "client_name": "Example client", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none",
    });
    let client = world.register(&metadata).await["client_id"].as_str().expect("an id").to_owned();
    let url = world
        .authorize_url(&client, &[("resource", &format!("{DEPUTY}/mcp")), ("scope", "todo:read todo:write")]);
    let page = world.log_in(&mut world.browser(), "alice", &url).await;
    let code = page.query("code").expect("a code");
    let tokens = world.redeem(&client, &code).await.json();
    let access = tokens["access_token"].as_str().expect("a token");
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "example", "version": "1" },
    });
    world
        .mcp(Some(access), &json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }))
        .await;
    world.call(access, "create_new_todo", json!({ "text": "Write it down" })).await;
    let refreshed = world.refresh(&client, tokens["refresh_token"].as_str().expect("a token")).await.json();
    let refresh = refreshed["refresh_token"].as_str().expect("a token");
    world.post_form("/revoke", &[("token", refresh), ("client_id", &client)]).await;
    tokio::task::yield_now().await;
    world.call(access, "who_am_i", json!({})).await;
    let mut text = String::from(HEAD);
    for exchange in world.network.exchanges() {
        write(&mut text, &exchange);
    }
    text
}

fn write(text: &mut String, exchange: &Exchange) {
    let (request, response) = (&exchange.request, &exchange.response);
    let url = request.uri().to_string();
    let to = [(DEPUTY, "Deputy"), (PINGONE, "PingOne (simulated)"), (API, "the API")]
        .iter()
        .find_map(|(origin, name)| url.starts_with(origin).then_some(*name))
        .unwrap_or("elsewhere");
    let _ = write!(text, "\n### To {to}\n\n{} {url}\n", request.method());
    headers(text, request.headers());
    body(text, request.headers(), request.body());
    let _ = writeln!(text, "\n# {}", response.status());
    headers(text, response.headers());
    body(text, response.headers(), response.body());
}

fn headers(text: &mut String, headers: &HeaderMap) {
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let _ = writeln!(text, "{name}: {value}");
    }
}

fn body(text: &mut String, headers: &HeaderMap, body: &[u8]) {
    let html = headers.get("content-type").is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    if html {
        let body = String::from_utf8_lossy(body);
        let title = body.split("<title>").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or_default();
        let _ = writeln!(text, "\n(a page: {title})");
    } else if !body.is_empty() {
        let _ = writeln!(text, "\n{}", String::from_utf8_lossy(body));
    }
}

const HEAD: &str = "\
# One login, from a client that knows nothing to a tool call, and its end.
#
# This is what the server, the simulated PingOne and the Todo API really said to each other in a test, which fails when
# this file no longer says the same. Its clock stands still and its randomness is a fixed stream, so no secret in here
# opens anything. Pages are left out.
";
