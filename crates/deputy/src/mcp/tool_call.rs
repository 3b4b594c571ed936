//! The record of a tool call.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::RpcError;
use crate::host::CallOutcome;

/// A tool call under way. One that is dropped was cancelled.
pub trait CallRecord: Send {
    /// Ends the call.
    fn end(&mut self, outcome: CallOutcome);
}

/// No record.
impl CallRecord for () {
    fn end(&mut self, _: CallOutcome) {}
}

/// The outcome of a tool call, for its record.
pub(super) fn call_outcome(result: &Result<Value, RpcError>, login_has_ended: bool) -> CallOutcome {
    match result {
        _ if login_has_ended => CallOutcome::LoginRequired,
        Ok(result) if result.get("isError") == Some(&Value::Bool(true)) => CallOutcome::Error,
        Ok(result) if result.get("resultType").is_some_and(|kind| kind == "input_required") => {
            CallOutcome::InputRequired
        }
        Ok(_) => CallOutcome::Ok,
        Err(_) => CallOutcome::Error,
    }
}

/// The arguments of a tool call. A call without any has the empty object.
pub(super) fn arguments(params: &Map<String, Value>) -> Cow<'_, Value> {
    params.get("arguments").map_or_else(|| Cow::Owned(Value::Object(Map::new())), Cow::Borrowed)
}
