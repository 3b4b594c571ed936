//! Revisions with an `initialize` handshake.

use std::sync::Arc;

use serde_json::json;

use super::{STATELESS, Scripted, meta, request, response_to};
use crate::mcp::RpcError;

#[tokio::test]
async fn handshake_revisions_are_served_with_or_without_header() {
    for version in ["", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let handler = Arc::new(Scripted::new(|call, _, _| {
            Box::pin(async move {
                Ok(json!({ "version": call.era.version(), "stateless": call.era.is_stateless() }))
            })
        }));
        let response =
            response_to(&handler, &[("mcp-protocol-version", version)], request("ping", json!({}))).await;
        let expected = if version.is_empty() { "2025-03-26" } else { version };
        assert_eq!(response.json()["result"], json!({ "version": expected, "stateless": false }));
    }
}

#[tokio::test]
async fn empty_version_header_counts_as_absent() {
    let headers = http::HeaderMap::from_iter([(
        http::HeaderName::from_static("mcp-protocol-version"),
        http::HeaderValue::from_static(" "),
    )]);
    assert_eq!(super::super::headers::named(&headers).unwrap().version(), "2025-03-26");
}

#[tokio::test]
async fn unknown_revision_is_refused_with_the_supported_ones() {
    let response = response_to(
        &Arc::new(Scripted::echo()),
        &[("mcp-protocol-version", "1900-01-01")],
        request("ping", json!({})),
    )
    .await;
    assert_eq!(response.outcome(), (400, RpcError::UNSUPPORTED_PROTOCOL_VERSION));
    let supported = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
    assert_eq!(
        response.json()["error"]["data"],
        json!({ "supported": supported, "requested": "1900-01-01" })
    );
}

#[tokio::test]
async fn foreign_session_id_is_served_and_replaced_at_initialize() {
    let handler = Arc::new(Scripted::echo());
    let session = [("mcp-session-id", "0123456789abcdef")];
    let list = response_to(&handler, &session, request("tools/list", json!({}))).await;
    assert_eq!((list.outcome(), list.headers.get("mcp-session-id")), ((200, 0), None));
    let notification = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(response_to(&handler, &session, notification).await.status.as_u16(), 202);
    let initialize =
        response_to(&handler, &session, request("initialize", json!({ "protocolVersion": "2025-06-18" })))
            .await;
    assert_eq!(initialize.outcome(), (200, 0));
    assert_ne!(initialize.headers["mcp-session-id"], "0123456789abcdef");
}

#[tokio::test]
async fn initialize_accepts_header_of_earlier_handshake_only() {
    let initialize = request("initialize", json!({ "protocolVersion": "2099-01-01" }));
    for (header, outcome) in [
        ("", (200, 0)),
        ("2099-01-01", (200, 0)),
        ("2025-11-25", (200, 0)),
        ("2026-07-28", (400, RpcError::HEADER_MISMATCH)),
        ("1900-01-01", (400, RpcError::UNSUPPORTED_PROTOCOL_VERSION)),
    ] {
        let response =
            response_to(&Arc::new(Scripted::echo()), &[("mcp-protocol-version", header)], &initialize).await;
        assert_eq!(response.outcome(), outcome, "{header}");
    }
}

#[tokio::test]
async fn initialize_of_stateless_revision_is_unknown_method() {
    let handler = Arc::new(Scripted::echo());
    let params = json!({ "protocolVersion": "2026-07-28", "_meta": meta() });
    let response =
        response_to(&handler, &[STATELESS, ("mcp-method", "initialize")], request("initialize", params))
            .await;
    assert_eq!((response.outcome(), handler.runs()), ((404, RpcError::METHOD_NOT_FOUND), 0));
}

#[tokio::test]
async fn handshake_revision_in_body_is_served_by_its_rules() {
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2025-11-25" });
    let ping = request("ping", json!({ "_meta": meta }));
    let handler = Arc::new(Scripted::echo());
    assert_eq!(
        response_to(&handler, &[("mcp-protocol-version", "2025-11-25")], &ping).await.outcome(),
        (200, 0)
    );
    let other = response_to(&handler, &[("mcp-protocol-version", "2025-06-18")], &ping).await;
    assert_eq!((other.outcome(), handler.runs()), ((400, RpcError::HEADER_MISMATCH), 1));
}

#[tokio::test]
async fn method_error_in_handshake_revision_has_status_200() {
    for code in [RpcError::METHOD_NOT_FOUND, RpcError::INVALID_PARAMS, RpcError::INTERNAL_ERROR] {
        let handler = Arc::new(Scripted::failing(RpcError::new(code, "no")));
        assert_eq!(response_to(&handler, &[], request("tools/call", json!({}))).await.outcome(), (200, code));
    }
}

#[tokio::test]
async fn stateless_headers_of_handshake_request_must_agree() {
    for (method, name, outcome) in [
        ("ping", None, (200, 0)),
        ("tools/call", None, (400, RpcError::HEADER_MISMATCH)),
        ("ping", Some("x"), (400, RpcError::HEADER_MISMATCH)),
    ] {
        let mut headers = vec![("mcp-protocol-version", "2025-11-25"), ("mcp-method", method)];
        headers.extend(name.map(|name| ("mcp-name", name)));
        let response = response_to(&Arc::new(Scripted::echo()), &headers, request("ping", json!({}))).await;
        assert_eq!(response.outcome(), outcome, "{method} {name:?}");
    }
}
