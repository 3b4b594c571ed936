//! Arguments that clients repeat in `Mcp-Param-*` headers (MCP 2026-07-28, Custom Headers from Tool Parameters).

use std::sync::Arc;

use serde_json::{Value, json};

use super::{STATELESS, Scripted, meta, request, response_to};
use crate::mcp::RpcError;

const MISMATCH: (u16, i64) = (400, RpcError::HEADER_MISMATCH);
const OK: (u16, i64) = (200, 0);

async fn call(arguments: Value, params: &[(&str, &str)]) -> (u16, i64) {
    let schema = json!({ "type": "object", "properties": {
        "region": { "type": "string", "x-mcp-header": "Region" },
        "count": { "type": "integer", "x-mcp-header": "Count" },
        "dry": { "type": "boolean", "x-mcp-header": "Dry" },
        "deep": { "type": "object", "properties": { "er": { "type": "string", "x-mcp-header": "Deeper" } } },
        "plain": { "type": "string" },
        "odd": { "type": "string", "x-mcp-header": "no header" },
    }});
    let handler = Arc::new(Scripted { schema: Some(schema), ..Scripted::echo() });
    let mut headers = vec![STATELESS, ("mcp-method", "tools/call"), ("mcp-name", "sql")];
    headers.extend(params);
    let body = request("tools/call", json!({ "name": "sql", "arguments": arguments, "_meta": meta() }));
    let outcome = response_to(&handler, &headers, body).await.outcome();
    assert_eq!(handler.runs(), usize::from(outcome == OK), "refused means not executed");
    outcome
}

#[tokio::test]
async fn argument_without_its_header_is_refused() {
    assert_eq!(call(json!({ "region": "us-west1" }), &[]).await, MISMATCH);
    assert_eq!(call(json!({ "region": "us-west1" }), &[("mcp-param-region", "us-west1")]).await, OK);
    assert_eq!(call(json!({ "deep": { "er": "x" } }), &[]).await, MISMATCH);
    assert_eq!(call(json!({ "deep": { "er": "x" } }), &[("mcp-param-deeper", "x")]).await, OK);
}

#[tokio::test]
async fn absent_or_null_argument_has_no_header() {
    assert_eq!(call(json!({}), &[]).await, OK);
    assert_eq!(call(json!({ "region": null }), &[]).await, OK);
    assert_eq!(call(json!({ "region": null }), &[("mcp-param-region", "null")]).await, MISMATCH);
    assert_eq!(call(json!({ "deep": 7 }), &[("mcp-param-deeper", "x")]).await, MISMATCH);
}

#[tokio::test]
async fn unannotated_arguments_and_headers_are_ignored() {
    let other = [("mcp-param-unknown", "é"), ("mcp-param-plain", "y")];
    assert_eq!(call(json!({ "plain": "x", "odd": "x" }), &other).await, OK);
}

/// The examples of the document's Value Encoding.
#[tokio::test]
async fn base64_header_is_decoded_before_comparison() {
    for (value, header) in [
        ("us-west1", "us-west1"),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ("SGVsbG8=", "SGVsbG8="),
        ("=?base64?SGVsbG8=", "=?base64?SGVsbG8="),
    ] {
        assert_eq!(call(json!({ "region": value }), &[("mcp-param-region", header)]).await, OK, "{header}");
    }
    for header in ["=?base64?SGVsbG8?=", "=?base64?SGVs!!!bG8=?=", "=?base64?gICA?=", "é"] {
        assert_eq!(
            call(json!({ "region": "Hello" }), &[("mcp-param-region", header)]).await,
            MISMATCH,
            "{header}"
        );
    }
}

#[tokio::test]
async fn integer_headers_compare_as_numbers() {
    for (value, header, outcome) in [
        (json!({ "count": 42 }), ("mcp-param-count", "42"), OK),
        (json!({ "count": 42 }), ("mcp-param-count", "42.0"), OK),
        (json!({ "count": 42.0 }), ("mcp-param-count", "42"), OK),
        (json!({ "count": -7 }), ("mcp-param-count", "-7"), OK),
        (json!({ "count": 42 }), ("mcp-param-count", "43"), MISMATCH),
        (json!({ "count": 42 }), ("mcp-param-count", "42.5"), MISMATCH),
        (json!({ "count": 42 }), ("mcp-param-count", "forty-two"), MISMATCH),
        // As floating point these two are the same.
        (json!({ "count": 9_007_199_254_740_993_i64 }), ("mcp-param-count", "9007199254740992"), MISMATCH),
        (json!({ "dry": true }), ("mcp-param-dry", "true"), OK),
        (json!({ "dry": true }), ("mcp-param-dry", "True"), MISMATCH),
        (json!({ "dry": true }), ("mcp-param-dry", "false"), MISMATCH),
        (json!({ "region": "42" }), ("mcp-param-region", "42.0"), MISMATCH),
    ] {
        assert_eq!(call(value.clone(), &[header]).await, outcome, "{value} {header:?}");
    }
}

#[tokio::test]
async fn repeated_param_header_is_refused() {
    let twice = [("mcp-param-region", "a"), ("mcp-param-region", "a")];
    assert_eq!(call(json!({ "region": "a" }), &twice).await, MISMATCH);
}
