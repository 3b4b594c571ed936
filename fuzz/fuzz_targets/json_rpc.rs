//! The body of `POST /mcp` with a valid access token, in each revision of MCP.
#![no_main]

use std::cell::LazyCell;

use bytes::Bytes;
use deputy_fuzz::{DEPUTY, World};
use http::Request;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

thread_local! {
    static WORLD: LazyCell<World> = LazyCell::new(World::new);
}

fuzz_target!(|body: &[u8]| {
    let message: Option<Value> = serde_json::from_slice(body).ok();
    for revision in ["2025-03-26", "2025-11-25", "2026-07-28"] {
        WORLD.with(|world| {
            let mut request = Request::post(format!("{DEPUTY}/mcp"))
                .header("authorization", format!("Bearer {}", world.access_token))
                .header("content-type", "application/json")
                .header("accept", "application/json, text/event-stream")
                .header("mcp-protocol-version", revision);
            if revision == "2026-07-28" {
                for (name, value) in matching_headers(message.as_ref()) {
                    request = request.header(name, value);
                }
            }
            let Ok(request) = request.body(Bytes::copy_from_slice(body)) else { return };
            let response = world.send(request);
            let (status, text) = (response.status().as_u16(), String::from_utf8_lossy(response.body()));
            assert!([200, 202, 400, 401, 403, 404].contains(&status), "{status} {text}");
            assert!(!text.contains("/src/") && !text.contains("panicked"), "{text}");
        });
    }
});

/// The headers that repeat values of the body.
fn matching_headers(message: Option<&Value>) -> Vec<(&'static str, String)> {
    let text = |pointer| message.and_then(|message| message.pointer(pointer)).and_then(Value::as_str);
    let mut headers = Vec::new();
    headers.extend(text("/method").map(|method| ("mcp-method", method.to_owned())));
    headers.extend(text("/params/name").or(text("/params/uri")).map(|name| ("mcp-name", name.to_owned())));
    headers
}
