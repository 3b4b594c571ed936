//! Headers of unauthenticated requests at every endpoint: cookies, authorization, hosts, origins and those of MCP.
#![no_main]

use std::{cell::LazyCell, sync::LazyLock};

use bytes::Bytes;
use deputy::{
    config::Config,
    host::GrantId,
    oauth::{Handle, HandleKind, approval_cookie, login_cookie},
};
use deputy_fuzz::{DEPUTY, PINGONE, World, config};
use http::{HeaderValue, Request, header};
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
/// A message of MCP 2026-07-28, whose headers repeat values of its body.
const MESSAGE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"who_am_i","arguments":{},"_meta":{
    "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},
    "io.modelcontextprotocol/clientInfo":{"name":"fuzz","version":"1"}}}}"#;

thread_local! {
    static WORLD: LazyCell<World> = LazyCell::new(World::new);
}
static CONFIG: LazyLock<Config> = LazyLock::new(config);

// The first two bytes choose the endpoint and the header; the rest is the value of the header. The rest of the request
// is valid.
fuzz_target!(|input: &[u8]| {
    let [endpoint, name, value @ ..] = input else { return };
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let name = NAMES[usize::from(*name) % NAMES.len()];
    WORLD.with(|world| {
        let (path, mut request) = request(world, *endpoint);
        // For some inputs, the valid cookies of the request stay beside the new one.
        let valid =
            (name == "cookie" && *endpoint >= 128).then(|| request.headers_mut().remove(name)).flatten();
        request.headers_mut().insert(name, value);
        request.headers_mut().extend(valid.map(|cookie| (header::COOKIE, cookie)));
        let response = world.send(request);
        assert!(response.status().as_u16() < 500, "{} {path} {name}: {response:?}", response.status());
        let location = response.headers().get("location").map(|to| to.to_str().expect("text").to_owned());
        assert!(
            location.is_none_or(|to| path.starts_with("/authorize") && to.starts_with(PINGONE)),
            "{response:?}"
        );
        if name == "authorization" && path == "/mcp" {
            assert_ne!(response.status(), 200, "a token was guessed: {response:?}");
        }
        if (name, path) == ("mcp-name", "/mcp") && response.status() == 200 {
            assert!(String::from_utf8_lossy(response.body()).contains("alice"), "{response:?}");
        }
    });
});

/// A handle with a valid tag and without a record.
fn handle(world: &World, kind: HandleKind) -> String {
    Handle::generate(kind, GrantId([0; 16]), world.now, &CONFIG.keys, &|bytes| bytes.fill(0)).as_str().to_owned()
}

/// A valid request to one of the endpoints.
fn request(world: &World, endpoint: u8) -> (&'static str, Request<Bytes>) {
    let form = "application/x-www-form-urlencoded";
    let cookie = |(name, value): (String, String)| format!("{name}={value}");
    let authorize = format!(
        "/authorize?response_type=code&client_id={}&redirect_uri=https%3A%2F%2Fclient.example%2Fcb&code_challenge=\
         E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
        world.client
    );
    let bearer = format!("Bearer {}", world.access_token);
    let (path, method, target, body, headers) = match endpoint % 7 {
        0 => ("/authorize", "GET", authorize, "".into(), vec![("sec-fetch-site", "none".into())]),
        1 => {
            let state = handle(world, HandleKind::Login);
            let cookie = cookie(login_cookie(&state, &CONFIG.keys));
            (
                "/callback",
                "GET",
                format!("/callback?state={state}&code=b"),
                "".into(),
                vec![("cookie", cookie)],
            )
        }
        2 => {
            let handle = handle(world, HandleKind::Approval);
            let headers = vec![
                ("content-type", form.into()),
                ("cookie", cookie(approval_cookie(&handle, &CONFIG.keys))),
                ("sec-fetch-site", "same-origin".into()),
            ];
            ("/approve", "POST", "/approve".into(), format!("handle={handle}&decision=approve"), headers)
        }
        3 => {
            let body = r#"{"redirect_uris":["https://client.example/cb"]}"#.into();
            ("/register", "POST", "/register".into(), body, vec![("content-type", "application/json".into())])
        }
        4 => {
            let body = format!("grant_type=refresh_token&refresh_token=a&client_id={}", world.client);
            ("/token", "POST", "/token".into(), body, vec![("content-type", form.into())])
        }
        5 => {
            let headers = vec![
                ("authorization", bearer),
                ("content-type", "application/json".into()),
                ("accept", "application/json, text/event-stream".into()),
                ("mcp-protocol-version", "2026-07-28".into()),
                ("mcp-method", "tools/call".into()),
                ("mcp-name", "who_am_i".into()),
            ];
            ("/mcp", "POST", "/mcp".into(), MESSAGE.into(), headers)
        }
        _ => ("/mcp", "OPTIONS", "/mcp".into(), "".into(), vec![]),
    };
    let mut request = Request::builder().method(method).uri(format!("{DEPUTY}{target}"));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    (path, request.body(Bytes::from(body)).expect("a request"))
}
