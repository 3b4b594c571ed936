//! Untrusted JSON-RPC messages (JSON-RPC 2.0 §4).

use serde_json::{Map, Value, json};

use super::RpcError;
use crate::encoding::{JsonError, json as read};

/// A well-formed message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    /// `notifications/cancelled`, with the id of the request that it ends.
    Cancellation {
        id: Value,
    },
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

impl Malformed {
    fn new(id: &Value, code: i64, text: &str) -> Self {
        Self { id: id.clone(), error: RpcError::new(code, text) }
    }

    fn invalid(id: &Value, text: &str) -> Self {
        Self::new(id, RpcError::INVALID_REQUEST, text)
    }
}

impl Message {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let value = read(body, MOST_VALUES).map_err(|error| match error {
            JsonError::Syntax => {
                Malformed::new(&Value::Null, RpcError::PARSE_ERROR, "the body is not JSON in UTF-8")
            }
            JsonError::TooManyValues => Malformed::invalid(&Value::Null, "the message has too many values"),
        })?;
        Self::of_value(value)
    }

    /// The messages of a batch; `None` if the body is another value, or no JSON.
    pub(super) fn batch(body: &[u8]) -> Option<Vec<Value>> {
        match body.trim_ascii_start().first() {
            Some(b'[') => match read(body, MOST_VALUES) {
                Ok(Value::Array(messages)) => Some(messages),
                Ok(_) | Err(_) => None,
            },
            _ => None,
        }
    }

    /// The message in one JSON value.
    pub(super) fn of_value(value: Value) -> Result<Self, Malformed> {
        let mut members = match value {
            Value::Object(members) => members,
            Value::Array(_) => {
                let text = "batches are accepted in the revision 2025-03-26 only";
                return Err(Malformed::invalid(&Value::Null, text));
            }
            _ => return Err(Malformed::invalid(&Value::Null, "the body is not a JSON-RPC message")),
        };
        let id = members.remove("id");
        let readable = id.clone().filter(is_id).unwrap_or_default();
        if members.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err(Malformed::invalid(&readable, "jsonrpc must be \"2.0\""));
        }
        // Some peers send members that are null.
        let message = match members.remove("method").filter(|method| !method.is_null()) {
            Some(Value::String(method)) => Self::request(id, method, members.remove("params")),
            Some(_) => Err("method must be a string"),
            None => Self::response(readable.clone(), members),
        };
        message.map_err(|text| Malformed::invalid(&readable, text))
    }

    fn request(id: Option<Value>, method: String, params: Option<Value>) -> Result<Self, &'static str> {
        let params = match params {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(mut params)) => {
                if params.get("_meta").is_some_and(Value::is_null) {
                    params.remove("_meta");
                }
                params
            }
            Some(_) => return Err("params must be an object"),
        };
        match id {
            None if method == "notifications/cancelled" => {
                let id = params.get("requestId").filter(|id| is_id(id));
                Ok(id.map_or(Self::Notification, |id| Self::Cancellation { id: id.clone() }))
            }
            None => Ok(Self::Notification),
            Some(id) if is_id(&id) => Ok(Self::Request { id, method, params }),
            Some(Value::Null) => Err("id must not be null; a notification has no id"),
            Some(Value::String(_)) => Err("id must have no more than 1024 bytes"),
            Some(Value::Number(_)) => Err("an id that is a number must be an integer of 64 bits"),
            Some(_) => Err("id must be a string or an integer"),
        }
    }

    fn response(id: Value, mut members: Map<String, Value>) -> Result<Self, &'static str> {
        let error = members.remove("error").filter(|error| !error.is_null());
        let result = members.remove("result").filter(|result| error.is_none() || !result.is_null());
        match (result, error) {
            (Some(result), None) => Ok(Self::Response { id, reply: json!({ "result": result }) }),
            (None, Some(error)) => Ok(Self::Response { id, reply: json!({ "error": error }) }),
            (Some(_), Some(_)) => Err("a response has a result or an error, not both"),
            (None, None) => Err("the message has no method, no result and no error"),
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
