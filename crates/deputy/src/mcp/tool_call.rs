//! Tool calls under way, for the audit log and for metrics.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{CallRecord, RequestGrant, RpcError};
use crate::{host::CallOutcome, metrics::Stopwatch};

/// A tool call under way. It is recorded and counted when it ends or is dropped.
pub(super) struct ToolCall {
    stopwatch: Stopwatch,
    outcome: CallOutcome,
    /// `None` if the server has no such tool: a client can name any tool, and neither a series nor a record is its choice.
    tool: Option<(String, Box<dyn CallRecord>)>,
}

impl ToolCall {
    /// Begins a call with these params. `tool` is the tool, if it exists.
    pub(super) fn begin(grant: &dyn RequestGrant, tool: Option<&str>, params: &Map<String, Value>) -> Self {
        let recorded = |tool: &str| (tool.to_owned(), grant.begin_call(tool, &arguments(params)));
        Self { stopwatch: Stopwatch::start(), outcome: CallOutcome::Canceled, tool: tool.map(recorded) }
    }

    pub(super) fn end(mut self, result: &Result<Value, RpcError>, login_has_ended: bool) {
        self.outcome = match result {
            _ if login_has_ended => CallOutcome::LoginRequired,
            Err(_) => CallOutcome::RpcError,
            Ok(result) if result.get("isError") == Some(&Value::Bool(true)) => CallOutcome::ToolError,
            Ok(result) if result.get("resultType").is_some_and(|kind| kind == "input_required") => {
                CallOutcome::InputRequired
            }
            Ok(_) => CallOutcome::Ok,
        };
    }
}

impl Drop for ToolCall {
    fn drop(&mut self) {
        let (tool, record) = self.tool.take().unzip();
        self.stopwatch.tool_call(tool.as_deref(), self.outcome.into());
        if let Some(record) = record {
            record.end(self.outcome);
        }
    }
}

/// The arguments of a tool call. A call without any has the empty object.
fn arguments(params: &Map<String, Value>) -> Cow<'_, Value> {
    params.get("arguments").map_or_else(|| Cow::Owned(Value::Object(Map::new())), Cow::Borrowed)
}
