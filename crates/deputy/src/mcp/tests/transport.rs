//! HTTP and JSON-RPC in every revision.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Response, STATELESS, Scripted, meta, post, request, response_to};
use crate::mcp::{Challenge, RpcError};

#[tokio::test]
async fn request_gets_one_document_without_caching() {
    let response = response_to(&Arc::new(Scripted::echo()), &[], request("ping", json!({}))).await;
    assert_eq!((response.status.as_u16(), response.media_type()), (200, "application/json"));
    assert_eq!(response.headers["cache-control"], "no-store");
    assert_eq!(response.json(), json!({ "jsonrpc": "2.0", "id": 7, "result": { "method": "ping" } }));
}

#[tokio::test]
async fn id_is_returned_exactly() {
    let long = "x".repeat(1024);
    for id in [
        "\"seven\"",
        "\"\"",
        "0",
        "-1",
        "9223372036854775807",
        "9223372036854775808",
        "1.0",
        &json!(long).to_string(),
    ] {
        let ping = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let response = response_to(&Arc::new(Scripted::echo()), &[], ping).await;
        assert!(response.text.contains(&format!(r#""id":{id},"#)), "{}", response.text);
    }
}

#[tokio::test]
async fn refusal_of_invalid_id_says_why() {
    let number = "an id that is a number must be an integer of 64 bits";
    for (id, text) in [
        (json!(1.5), number),
        (json!(1e300), number),
        (json!("x".repeat(1025)), "id must have no more than 1024 bytes"),
        (Value::Null, "id must not be null; a notification has no id"),
        (json!([1]), "id must be a string or an integer"),
    ] {
        let ping = json!({ "jsonrpc": "2.0", "id": id, "method": "ping" });
        let response = response_to(&Arc::new(Scripted::echo()), &[], ping).await;
        let told = json!({ "code": RpcError::INVALID_REQUEST, "message": text });
        assert_eq!((response.status.as_u16(), response.json()["error"].take()), (400, told), "{id}");
    }
}

#[tokio::test]
async fn body_is_json_by_media_type_with_any_charset() {
    for (media_type, status) in [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("text/plain", 415),
        ("application/jsonx", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
    ] {
        let handler = Arc::new(Scripted::echo());
        let response =
            response_to(&handler, &[("content-type", media_type)], request("ping", json!({}))).await;
        assert_eq!(
            (response.status.as_u16(), handler.runs()),
            (status, usize::from(status == 200)),
            "{media_type}"
        );
    }
}

#[tokio::test]
async fn client_that_accepts_neither_media_type_gets_406() {
    for (accept, status) in [
        ("", 200),
        ("*/*", 200),
        ("application/*;q=0.5", 200),
        ("Application/JSON", 200),
        ("text/html, text/event-stream", 200),
        ("text/html", 406),
        ("image/*", 406),
    ] {
        let handler = Arc::new(Scripted::echo());
        let response = response_to(&handler, &[("accept", accept)], request("ping", json!({}))).await;
        assert_eq!(
            (response.status.as_u16(), handler.runs()),
            (status, usize::from(status == 200)),
            "{accept}"
        );
    }
}

#[tokio::test]
async fn body_that_is_not_json_is_parse_error_without_id() {
    for body in ["", "{", "\u{feff}{}", "{\"a\":1}x", "nul", "\"\\ud800\"", "1e999", &"[".repeat(10_000)] {
        let response = response_to(&Arc::new(Scripted::echo()), &[], body).await;
        assert_eq!(response.outcome(), (400, RpcError::PARSE_ERROR), "{}", response.text);
        assert_eq!(response.json().get("id"), None);
    }
}

#[tokio::test]
async fn json_that_is_not_a_message_is_not_executed() {
    let handler = Arc::new(Scripted::echo());
    for body in [
        json!(null),
        json!(7),
        json!("ping"),
        json!({}),
        json!({ "jsonrpc": "2.0" }),
        json!({ "jsonrpc": "2.0", "id": 1, "result": {}, "error": {} }),
        json!({ "id": 1, "method": "ping" }),
        json!({ "jsonrpc": 2.0, "id": 1, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": ["ping"] }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": [] }),
        json!({ "jsonrpc": "2.0", "id": null, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": 1.5, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": { "a": 1 }, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": "x".repeat(1025), "method": "ping" }),
    ] {
        assert_eq!(
            response_to(&handler, &[], &body).await.outcome(),
            (400, RpcError::INVALID_REQUEST),
            "{body}"
        );
    }
    assert_eq!(handler.runs(), 0);
}

#[tokio::test]
async fn null_params_count_as_absent() {
    let handler = Arc::new(Scripted::new(|call, _, _| {
        Box::pin(std::future::ready(Ok(json!({ "params": call.params }))))
    }));
    for params in [Value::Null, json!({ "_meta": null })] {
        let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": params });
        assert_eq!(response_to(&handler, &[], ping).await.json()["result"], json!({ "params": {} }));
    }
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized", "params": null });
    assert_eq!(response_to(&handler, &[], initialized).await.status.as_u16(), 202);
}

#[tokio::test]
async fn refusal_has_the_id_if_it_is_readable() {
    let message = json!({ "jsonrpc": "2.0", "id": "a", "method": 7 });
    assert_eq!(response_to(&Arc::new(Scripted::echo()), &[], message).await.json()["id"], "a");
}

#[tokio::test]
async fn message_with_too_many_values_is_refused_unparsed() {
    for (values, outcome, runs) in [(19_000, 200, 1), (30_000, 400, 0)] {
        let handler = Arc::new(Scripted::echo());
        let params = json!({ "many": vec![0; values] });
        let response = response_to(&handler, &[], request("ping", params)).await;
        assert_eq!((response.status.as_u16(), handler.runs()), (outcome, runs), "{values}");
    }
}

#[tokio::test]
async fn batch_is_refused_as_a_whole() {
    let handler = Arc::new(Scripted::echo());
    for batch in
        [json!([]), json!([request("ping", json!({}))]), Value::from(vec![request("ping", json!({})); 200])]
    {
        let headers = [("mcp-protocol-version", "2025-06-18")];
        assert_eq!(response_to(&handler, &headers, batch).await.outcome(), (400, RpcError::INVALID_REQUEST));
    }
    assert_eq!(handler.runs(), 0);
}

/// MCP 2025-03-26, Base Protocol, Batching.
#[tokio::test]
async fn batch_of_2025_03_26_is_served_in_order() {
    let handler = Arc::new(Scripted::echo());
    let notification = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let asked = |id: i64| json!({ "jsonrpc": "2.0", "id": id, "method": "ping" });
    let initialize = json!({ "jsonrpc": "2.0", "id": 7, "method": "initialize" });
    for headers in [&[][..], &[("mcp-protocol-version", "2025-03-26")]] {
        let batch = json!([asked(1), notification, 5, asked(2), initialize]);
        let response = response_to(&handler, headers, batch).await;
        let responses: Vec<Value> = serde_json::from_str(&response.text).unwrap();
        let of = |place: usize| (&responses[place]["id"], &responses[place]["error"]["code"]);
        assert_eq!((response.status.as_u16(), responses.len()), (200, 4));
        assert_eq!([of(0), of(2)], [(&json!(1), &Value::Null), (&json!(2), &Value::Null)]);
        assert_eq!([of(1), of(3)], [(&Value::Null, &json!(-32600)), (&json!(7), &json!(-32600))]);
        let response = response_to(&handler, headers, json!([notification])).await;
        assert_eq!((response.status.as_u16(), response.text.as_str()), (202, ""));
    }
    for batch in [json!([]), Value::from(vec![asked(1); 17])] {
        let response = response_to(&handler, &[], batch).await;
        assert_eq!(response.outcome(), (400, RpcError::INVALID_REQUEST));
    }
    assert_eq!(handler.runs(), 4);
}

#[tokio::test]
async fn repeated_member_is_read_the_same_by_checks_and_handler() {
    let handler = Arc::new(Scripted::echo());
    let meta = meta();
    let headers = [STATELESS, ("mcp-method", "tools/list")];
    let body = |first: &str, last: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{first}","method":"{last}","params":{{"_meta":{meta}}}}}"#
        )
    };
    let smuggled = response_to(&handler, &headers, body("tools/list", "prompts/list")).await;
    assert_eq!((smuggled.outcome(), handler.runs()), ((400, RpcError::HEADER_MISMATCH), 0));
    let same = response_to(&handler, &headers, body("prompts/list", "tools/list")).await;
    assert_eq!(same.json()["result"]["method"], "tools/list");
}

#[tokio::test]
async fn notifications_are_accepted_with_empty_response() {
    let handler = Arc::new(Scripted::echo());
    for message in [
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "method": "no/such", "params": {} }),
    ] {
        let response = response_to(&handler, &[], &message).await;
        assert_eq!((response.status.as_u16(), response.text.as_str()), (202, ""), "{message}");
        assert_eq!(response.headers["cache-control"], "no-store");
    }
    assert_eq!(handler.runs(), 0);
}

#[tokio::test]
async fn notification_of_unknown_revision_is_refused() {
    let notification = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let response =
        response_to(&Arc::new(Scripted::echo()), &[("mcp-protocol-version", "1900-01-01")], notification)
            .await;
    assert_eq!(response.outcome(), (400, RpcError::UNSUPPORTED_PROTOCOL_VERSION));
    assert_eq!(response.json().get("id"), None);
}

#[tokio::test]
async fn missing_scope_is_named_and_handler_is_not_called() {
    let handler = Arc::new(Scripted { scopes: vec!["read".into(), "write".into()], ..Scripted::echo() });
    let reply = post(&handler, &[], request("tools/call", json!({ "name": "costly" }))).await;
    let required = vec!["read".to_owned(), "write".to_owned()];
    assert_eq!(reply.err(), Some(Challenge::InsufficientScope { required }));
    assert_eq!(handler.runs(), 0);
    let free = post(&handler, &[], request("tools/call", json!({ "name": "free" }))).await;
    assert_eq!((Response::of(free).await.outcome(), handler.runs()), ((200, 0), 1));
}

#[tokio::test]
async fn ended_login_is_challenged_instead_of_the_result() {
    let handler = Arc::new(Scripted::new(|_, caller, _| {
        Box::pin(async move {
            let refused = caller.fetch(http::Request::default()).await;
            Ok(json!({ "refused": refused.is_err() }))
        })
    }));
    let reply = post(&handler, &[], request("tools/call", json!({}))).await;
    assert_eq!(reply.err(), Some(Challenge::LoginRequired));
}

#[tokio::test]
async fn error_message_is_bounded_and_stays_utf8() {
    let handler = Arc::new(Scripted::failing(RpcError::new(RpcError::METHOD_NOT_FOUND, "é".repeat(100_000))));
    let response = response_to(&handler, &[], request("no/such", json!({}))).await;
    assert_eq!(response.json()["error"]["message"], "é".repeat(512));
}

#[tokio::test]
async fn broken_bodies_are_refused_or_served() {
    let handler = Arc::new(Scripted::echo());
    let whole =
        request("tools/call", json!({ "name": "x", "arguments": { "a": 1 }, "_meta": meta() })).to_string();
    let headers = [STATELESS, ("mcp-method", "tools/call"), ("mcp-name", "x")];
    assert_eq!(response_to(&handler, &headers, &whole).await.outcome(), (200, 0));
    for at in 0..whole.len() {
        assert_eq!(
            response_to(&handler, &headers, &whole[..at]).await.outcome(),
            (400, RpcError::PARSE_ERROR),
            "{at}"
        );
        for other in ["\"", "}", "7", "\\", "\u{0}", "é"] {
            let body = format!("{}{other}{}", &whole[..at], &whole[at + 1..]);
            let status = response_to(&handler, &headers, &body).await.status.as_u16();
            assert!([200, 202, 400, 404].contains(&status), "{status}: {body}");
        }
    }
}

#[tokio::test]
async fn malformed_headers_are_refused() {
    let handler = Arc::new(Scripted::echo());
    let body = request("tools/call", json!({ "name": "x", "arguments": {}, "_meta": meta() }));
    for name in ["accept", "content-type", "mcp-protocol-version", "mcp-method", "mcp-name"] {
        for value in ["é", "=?base64?", "=?base64??=", "=?base64?/w==?=", ";", ",", "\t", &"x".repeat(60_000)]
        {
            // An empty Accept counts as absent.
            if name == "accept" && [",", "\t"].contains(&value) {
                continue;
            }
            let mut headers = vec![STATELESS, ("mcp-method", "tools/call"), ("mcp-name", "x")];
            headers.retain(|(given, _)| *given != name);
            headers.push((name, value));
            let status = response_to(&handler, &headers, &body).await.status.as_u16();
            assert!([400, 406, 415].contains(&status), "{status}: {name}: {value}");
        }
    }
    assert_eq!(handler.runs(), 0);
}
