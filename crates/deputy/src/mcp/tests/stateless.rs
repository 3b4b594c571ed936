//! MCP 2026-07-28.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Response, STATELESS, Scripted, meta, request, response_to};
use crate::mcp::RpcError;

async fn list(handler: &Arc<Scripted>, headers: &[(&str, &str)], meta: Value) -> Response {
    response_to(handler, headers, request("tools/list", json!({ "_meta": meta }))).await
}

const LIST: [(&str, &str); 2] = [STATELESS, ("mcp-method", "tools/list")];

#[tokio::test]
async fn stateless_request_is_served_by_its_own_revision() {
    let handler = Arc::new(Scripted::new(|call, _, _| {
        Box::pin(
            async move { Ok(json!({ "version": call.era.version(), "stateless": call.era.is_stateless() })) },
        )
    }));
    let response = list(&handler, &LIST, meta()).await;
    assert_eq!(response.json()["result"], json!({ "version": "2026-07-28", "stateless": true }));
}

#[tokio::test]
async fn stateless_body_without_required_members_is_refused() {
    let handler = Arc::new(Scripted::echo());
    let version = "io.modelcontextprotocol/protocolVersion";
    let capabilities = "io.modelcontextprotocol/clientCapabilities";
    for meta in [
        json!(null),
        json!({}),
        json!({ version: "2026-07-28" }),
        json!({ capabilities: {} }),
        json!({ version: "2026-07-28", capabilities: null }),
        json!({ version: "2026-07-28", capabilities: [] }),
    ] {
        assert_eq!(
            list(&handler, &LIST, meta.clone()).await.outcome(),
            (400, RpcError::INVALID_PARAMS),
            "{meta}"
        );
    }
    let bare =
        response_to(&handler, &LIST, json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list" })).await;
    assert_eq!((bare.outcome(), handler.runs()), ((400, RpcError::INVALID_PARAMS), 0));
}

#[tokio::test]
async fn unreadable_capability_leaves_the_others() {
    let handler = Arc::new(Scripted::new(|call, _, _| Box::pin(async move { Ok(json!(call.capabilities)) })));
    let mut meta = meta();
    meta["io.modelcontextprotocol/clientCapabilities"] =
        json!({ "elicitation": {}, "experimental": { "x": true }, "roots": 7, "sampling": [] });
    meta["io.modelcontextprotocol/logLevel"] = json!(null);
    assert_eq!(list(&handler, &LIST, meta).await.json()["result"], json!({ "elicitation": {} }));
}

#[tokio::test]
async fn discovery_without_metadata_is_malformed_whatever_the_header() {
    for header in ["", "2025-11-25", "2026-07-28"] {
        let headers = [("mcp-protocol-version", header), ("mcp-method", "server/discover")];
        let response =
            response_to(&Arc::new(Scripted::echo()), &headers, request("server/discover", json!({}))).await;
        assert_eq!(response.outcome(), (400, RpcError::INVALID_PARAMS), "{header}");
    }
}

#[tokio::test]
async fn revision_in_body_must_be_that_of_the_header() {
    for header in ["", "2025-11-25", "2099-01-01", "2026-07-28x"] {
        let headers = [("mcp-protocol-version", header), ("mcp-method", "tools/list")];
        let response = list(&Arc::new(Scripted::echo()), &headers, meta()).await;
        assert_eq!(response.outcome(), (400, RpcError::HEADER_MISMATCH), "{header}");
    }
}

#[tokio::test]
async fn unknown_revision_in_header_and_body_is_unsupported() {
    let mut meta = meta();
    meta["io.modelcontextprotocol/protocolVersion"] = json!("v999.0.0");
    let headers = [("mcp-protocol-version", "v999.0.0"), ("mcp-method", "tools/list")];
    let response = list(&Arc::new(Scripted::echo()), &headers, meta).await;
    assert_eq!(response.outcome(), (400, RpcError::UNSUPPORTED_PROTOCOL_VERSION));
    assert_eq!(response.json()["error"]["data"]["requested"], "v999.0.0");
    assert_eq!(response.json()["id"], 7);
}

#[tokio::test]
async fn method_header_must_equal_the_method_of_the_body() {
    let handler = Arc::new(Scripted::echo());
    for method in ["", "tools/call", "Tools/List", "tools/list,tools/call", "=?base64?dG9vbHMvbGlzdA==?="] {
        let response = list(&handler, &[STATELESS, ("mcp-method", method)], meta()).await;
        assert_eq!(response.outcome(), (400, RpcError::HEADER_MISMATCH), "{method}");
    }
    let twice = [STATELESS, ("mcp-method", "tools/list"), ("mcp-method", "tools/list")];
    assert_eq!(list(&handler, &twice, meta()).await.outcome(), (400, RpcError::HEADER_MISMATCH));
    assert_eq!(handler.runs(), 0);
    assert_eq!(
        list(&handler, &[STATELESS, ("mcp-method", " tools/list\t")], meta()).await.outcome(),
        (200, 0)
    );
}

#[tokio::test]
async fn name_header_must_equal_the_name_in_the_body() {
    let handler = Arc::new(Scripted::echo());
    for (method, member) in [("tools/call", "name"), ("prompts/get", "name"), ("resources/read", "uri")] {
        let body = request(method, json!({ member: "weather", "_meta": meta() }));
        for (name, outcome) in [
            ("weather", (200, 0)),
            ("=?base64?d2VhdGhlcg==?=", (200, 0)),
            ("", (400, RpcError::HEADER_MISMATCH)),
            ("Weather", (400, RpcError::HEADER_MISMATCH)),
            ("=?base64?d2VhdGhlcg?=", (400, RpcError::HEADER_MISMATCH)),
            ("=?BASE64?d2VhdGhlcg==?=", (400, RpcError::HEADER_MISMATCH)),
            ("=?base64?b3RoZXI=?=", (400, RpcError::HEADER_MISMATCH)),
        ] {
            let headers = [STATELESS, ("mcp-method", method), ("mcp-name", name)];
            assert_eq!(response_to(&handler, &headers, &body).await.outcome(), outcome, "{method}: {name}");
        }
    }
}

#[tokio::test]
async fn removed_methods_are_unknown_in_stateless_revision() {
    let handler = Arc::new(Scripted::echo());
    for method in ["ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"] {
        let body = request(method, json!({ "_meta": meta() }));
        let response = response_to(&handler, &[STATELESS, ("mcp-method", method)], body).await;
        assert_eq!(response.outcome(), (404, RpcError::METHOD_NOT_FOUND), "{method}");
    }
    assert_eq!(handler.runs(), 0);
}

#[tokio::test]
async fn status_of_stateless_errors_depends_on_their_code() {
    for (code, status) in [
        (RpcError::HEADER_MISMATCH, 400),
        (RpcError::MISSING_CLIENT_CAPABILITY, 400),
        (RpcError::UNSUPPORTED_PROTOCOL_VERSION, 400),
        (RpcError::METHOD_NOT_FOUND, 404),
        (RpcError::INVALID_PARAMS, 200),
        (RpcError::INTERNAL_ERROR, 200),
    ] {
        let handler = Arc::new(Scripted::failing(RpcError::new(code, "no")));
        assert_eq!(list(&handler, &LIST, meta()).await.outcome(), (status, code));
    }
}

#[tokio::test]
async fn stateless_request_ignores_session_id() {
    let handler = Arc::new(Scripted::echo());
    let headers = [LIST[0], LIST[1], ("mcp-session-id", "x"), ("last-event-id", "1")];
    assert_eq!(list(&handler, &headers, meta()).await.outcome(), (200, 0));
    let notification = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled" });
    let accepted = response_to(&handler, &[STATELESS, ("mcp-session-id", "x")], notification).await;
    assert_eq!(accepted.status.as_u16(), 202);
}

#[tokio::test]
async fn unknown_log_level_of_stateless_request_is_refused() {
    let handler = Arc::new(Scripted::echo());
    for level in [json!("loud"), json!(3), json!("")] {
        let mut meta = meta();
        meta["io.modelcontextprotocol/logLevel"] = level;
        assert_eq!(list(&handler, &LIST, meta).await.outcome(), (400, RpcError::INVALID_PARAMS));
    }
    assert_eq!(handler.runs(), 0);
}
