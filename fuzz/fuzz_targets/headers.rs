//! Headers that strangers send: cookies, authorization, hosts, origins and what MCP adds, each at every endpoint.
#![no_main]

use std::cell::LazyCell;

use bytes::Bytes;
use deputy_fuzz::{DEPUTY, World};
use http::{HeaderValue, Request};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 12] = [
    "accept",
    "authorization",
    "content-type",
    "cookie",
    "host",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "origin",
    "sec-fetch-site",
    "x-forwarded-host",
];
const ENDPOINTS: [(&str, &str, &str); 8] = [
    ("GET", "/authorize?client_id=a", ""),
    ("GET", "/callback?state=a&code=b", ""),
    ("POST", "/approve", "handle=a&decision=approve"),
    ("POST", "/register", r#"{"redirect_uris":["https://client.example/cb"]}"#),
    ("POST", "/token", "grant_type=refresh_token&refresh_token=a&client_id=b"),
    ("POST", "/revoke", "token=a&client_id=b"),
    ("POST", "/mcp", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#),
    ("OPTIONS", "/mcp", ""),
];

thread_local! {
    static WORLD: LazyCell<World> = LazyCell::new(World::new);
}

// Two bytes choose endpoint and header, the rest is its value; a good token goes with it unless it is one itself.
fuzz_target!(|input: &[u8]| {
    let [endpoint, name, value @ ..] = input else { return };
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let (method, path, body) = ENDPOINTS[usize::from(*endpoint) % ENDPOINTS.len()];
    let name = NAMES[usize::from(*name) % NAMES.len()];
    WORLD.with(|world| {
        let mut request = Request::builder().method(method).uri(format!("{DEPUTY}{path}"));
        if path == "/mcp" {
            request = request.header("authorization", format!("Bearer {}", world.access_token));
        }
        let media_type =
            if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" };
        let mut request =
            request.header("content-type", media_type).body(Bytes::from(body)).expect("a request");
        let stolen = name == "authorization" && value.as_bytes().len() > 40;
        request.headers_mut().insert(name, value);
        let answer = world.send(request);
        assert!(answer.status().as_u16() < 500, "{} {path} {name}: {answer:?}", answer.status());
        assert!(!answer.headers().contains_key("location"), "{answer:?}");
        if stolen && path == "/mcp" && method == "POST" {
            assert_eq!(answer.status(), 401, "{answer:?}");
        }
    });
});
