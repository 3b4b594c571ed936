//! Untrusted JSON-RPC messages (JSON-RPC 2.0 §4).

use serde_json::{Map, Value, json};

use super::RpcError;
use crate::encoding::{JsonError, json as read};

/// A well-formed message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    Notification,
    Request {
        id: Value,
        method: String,
        params: Map<String, Value>,
    },
    /// The client's reply to a question of this server: `{"result": …}` or `{"error": …}`.
    Response {
        id: Value,
        reply: Value,
    },
}

/// Why a body is not a message, with the id if it could be read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Malformed {
    pub(super) id: Value,
    pub(super) error: RpcError,
}

impl Message {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let refused =
            |id: &Value, code, text: &str| Malformed { id: id.clone(), error: RpcError::new(code, text) };
        let value = read(body, MOST_VALUES).map_err(|error| match error {
            JsonError::Syntax => {
                refused(&Value::Null, RpcError::PARSE_ERROR, "the body is not JSON in UTF-8")
            }
            JsonError::TooMany => {
                refused(&Value::Null, RpcError::INVALID_REQUEST, "the message has too many values")
            }
        })?;
        let invalid = |id: &Value, text| Err(refused(id, RpcError::INVALID_REQUEST, text));
        let mut members = match value {
            Value::Object(members) => members,
            // MCP 2025-06-18 removed batches. One request would cost as much as many.
            Value::Array(_) => return invalid(&Value::Null, "batches are not accepted"),
            _ => return invalid(&Value::Null, "the body is not a JSON-RPC message"),
        };
        let id = members.remove("id");
        let readable = id.clone().filter(is_id).unwrap_or_default();
        if members.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return invalid(&readable, "jsonrpc must be \"2.0\"");
        }
        // Some peers send `result` and `error` with one of them null.
        let Some(method) = members.remove("method").filter(|method| !method.is_null()) else {
            let error = members.remove("error").filter(|error| !error.is_null());
            let result = members.remove("result").filter(|result| error.is_none() || !result.is_null());
            return match (result, error) {
                (Some(result), None) => {
                    Ok(Self::Response { id: readable, reply: json!({ "result": result }) })
                }
                (None, Some(error)) => Ok(Self::Response { id: readable, reply: json!({ "error": error }) }),
                (Some(_), Some(_)) => invalid(&readable, "a response has a result or an error, not both"),
                (None, None) => invalid(&readable, "the message has no method, no result and no error"),
            };
        };
        let Value::String(method) = method else { return invalid(&readable, "method must be a string") };
        let params = match members.remove("params") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(mut params)) => {
                if params.get("_meta").is_some_and(Value::is_null) {
                    params.remove("_meta");
                }
                params
            }
            Some(_) => return invalid(&readable, "params must be an object"),
        };
        match id {
            None => Ok(Self::Notification),
            Some(id) if is_id(&id) => Ok(Self::Request { id, method, params }),
            Some(Value::Null) => invalid(&readable, "id must not be null; a notification has no id"),
            Some(Value::String(_)) => invalid(&readable, "id must have no more than 1024 bytes"),
            Some(Value::Number(_)) => {
                invalid(&readable, "an id that is a number must be an integer of 64 bits")
            }
            Some(_) => invalid(&readable, "id must be a string or an integer"),
        }
    }
}

/// Whether an id can be sent back exactly as it came (JSON-RPC 2.0 §5). Larger numbers and fractions lose digits.
fn is_id(id: &Value) -> bool {
    match id {
        Value::Number(number) => {
            let exact = number.as_f64().is_some_and(|number| number.fract() == 0.0 && number.abs() <= EXACT);
            number.is_i64() || number.is_u64() || exact
        }
        Value::String(text) => text.len() <= LONGEST_ID,
        _ => false,
    }
}

/// Bytes of an id that is a string.
const LONGEST_ID: usize = 1024;
/// 2^53: up to here a floating-point number is the integer that was written.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// More values than a model writes: large content is in strings.
const MOST_VALUES: usize = 20_000;
