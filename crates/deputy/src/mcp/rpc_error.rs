//! JSON-RPC errors (JSON-RPC 2.0 §5.1).

use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

/// A JSON-RPC error. Its message is for the client and tells nothing about the server's internals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RpcError {
    /// A code of JSON-RPC 2.0 §5.1 or of MCP.
    pub code: i64,
    /// Details for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// One sentence for the client.
    pub message: String,
}

impl RpcError {
    /// The body is not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// The JSON is not a valid message, or the request is not allowed here.
    pub const INVALID_REQUEST: i64 = -32600;
    /// The method does not exist.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The params are not valid for the method.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The server failed.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// MCP 2026-07-28: a header and the body disagree.
    pub const HEADER_MISMATCH: i64 = -32020;
    /// MCP 2026-07-28: the client lacks a capability.
    pub const MISSING_CLIENT_CAPABILITY: i64 = -32021;
    /// MCP 2026-07-28: the revision is not supported.
    pub const UNSUPPORTED_PROTOCOL_VERSION: i64 = -32022;

    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// The error with which a client replied to a question. A client that does not know the method or its params lacks
    /// the capability. Its own code would be wrong for the request that it waits for.
    pub(super) fn from_client(error: &Value) -> Self {
        let code = error.get("code").and_then(Value::as_i64).unwrap_or(Self::INTERNAL_ERROR);
        if [Self::METHOD_NOT_FOUND, Self::INVALID_PARAMS].contains(&code) {
            return Self::new(
                Self::MISSING_CLIENT_CAPABILITY,
                "the client replied that it does not support this request",
            );
        }
        Self {
            code,
            message: error
                .get("message")
                .and_then(Value::as_str)
                .unwrap_or("the client replied with an error")
                .to_owned(),
            data: error.get("data").cloned(),
        }
    }
}

/// The status of a handler's result. An error of a stateless request may have one of its own (MCP 2026-07-28,
/// Streamable HTTP). In revisions with a handshake it is 200.
pub(super) const fn status_of_result(result: &Result<Value, RpcError>, is_stateless: bool) -> StatusCode {
    match result {
        Err(error) if is_stateless => match error.code {
            RpcError::HEADER_MISMATCH
            | RpcError::MISSING_CLIENT_CAPABILITY
            | RpcError::UNSUPPORTED_PROTOCOL_VERSION => StatusCode::BAD_REQUEST,
            RpcError::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
            _ => StatusCode::OK,
        },
        Ok(_) | Err(_) => StatusCode::OK,
    }
}

/// The JSON-RPC response with this id, as text.
pub(super) fn response(id: &Value, mut result: Result<Value, RpcError>) -> String {
    if let Err(error) = &mut result
        && let Some((end, _)) = error.message.char_indices().nth(LONGEST_MESSAGE)
    {
        error.message.truncate(end);
    }
    let response = Response {
        error: result.as_ref().err(),
        // MCP 2026-07-28: an id that could not be read is left out.
        id: Some(id).filter(|id| !id.is_null()),
        jsonrpc: "2.0",
        result: result.as_ref().ok(),
    };
    // Strings, numbers, lists and maps with string keys cannot fail to be written.
    serde_json::to_string(&response).unwrap_or_default()
}

/// The JSON-RPC response with this id and with a result that is JSON text.
pub(super) fn response_with_text(id: &Value, result: &str) -> String {
    // The members are in the order of `Response`.
    format!(r#"{{"id":{id},"jsonrpc":"2.0","result":{result}}}"#)
}

#[derive(Serialize)]
struct Response<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a RpcError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Value>,
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Value>,
}

/// Characters of a message. Some handlers repeat input in it.
const LONGEST_MESSAGE: usize = 512;
