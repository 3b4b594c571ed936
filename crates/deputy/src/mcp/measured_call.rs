//! The outcome and the duration of a tool call, for metrics.

use serde_json::Value;

use super::{Handler, RpcError};
use crate::metrics::Stopwatch;

/// A tool call under way. It is counted when it ends or is dropped.
pub(super) struct MeasuredCall {
    stopwatch: Stopwatch,
    /// `None` if the server has no such tool, or nothing is measured.
    tool: Option<String>,
    outcome: &'static str,
}

impl MeasuredCall {
    pub(super) fn begin(handler: &dyn Handler, tool: &str) -> Self {
        let stopwatch = Stopwatch::start();
        // A client can name any tool, and a series must not be its choice.
        let exists = stopwatch.is_running() && handler.input_schema(tool).is_some();
        Self { stopwatch, tool: exists.then(|| tool.to_owned()), outcome: "canceled" }
    }

    pub(super) fn end(mut self, result: &Result<Value, RpcError>, login_has_ended: bool) {
        self.outcome = match result {
            _ if login_has_ended => "login_required",
            Err(_) => "rpc_error",
            Ok(result) if result.get("isError") == Some(&Value::Bool(true)) => "tool_error",
            Ok(result) if result.get("resultType").is_some_and(|kind| kind == "input_required") => {
                "input_required"
            }
            Ok(_) => "ok",
        };
    }
}

impl Drop for MeasuredCall {
    fn drop(&mut self) {
        self.stopwatch.tool_call(self.tool.as_deref(), self.outcome);
    }
}
