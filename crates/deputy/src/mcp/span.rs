//! The span of an MCP request (OpenTelemetry's semantic conventions for MCP).

use serde_json::{Map, Value};
use tracing::{Span, field::Empty, info_span};

use super::{Call, RpcError, methods::METHODS};
use crate::trace::{self, TraceParent};

/// The span of a request. `tool` is the tool that it calls, if that exists. The request continues the trace that it names
/// itself, if any, and otherwise that of the HTTP request.
pub(super) fn begin(call: &Call, tool: Option<&str>) -> Span {
    if !trace::is_enabled() {
        return Span::none();
    }
    let method = METHODS.iter().find(|known| **known == call.method).unwrap_or(&"_OTHER");
    let span = info_span!(
        target: trace::TARGET,
        "MCP request",
        otel.name = format!("{method} {}", tool.unwrap_or_default()).trim_end(),
        otel.kind = "server",
        otel.status_code = Empty,
        mcp.method.name = method,
        mcp.protocol.version = call.era.version(),
        gen_ai.operation.name = tool.map(|_| "execute_tool"),
        gen_ai.tool.name = tool,
        network.protocol.name = "http",
        network.transport = "tcp",
        rpc.response.status_code = Empty,
        "error.type" = Empty,
    );
    if let Some(parent) = traceparent(&call.params) {
        trace::continue_trace(&span, parent);
    }
    span
}

/// Notes the result of the request.
pub(super) fn end(span: &Span, result: &Result<Value, RpcError>, login_has_ended: bool) {
    if span.is_disabled() {
        return;
    }
    match result {
        _ if login_has_ended => trace::fails(span, "login_required"),
        Err(error) => {
            let code = error.code.to_string();
            span.record("rpc.response.status_code", &*code);
            trace::fails(span, &code);
        }
        Ok(result) if result.get("isError") == Some(&Value::Bool(true)) => trace::fails(span, "tool_error"),
        Ok(_) => {}
    }
}

fn traceparent(params: &Map<String, Value>) -> Option<TraceParent> {
    TraceParent::parse(params.get("_meta")?.get("traceparent")?.as_str()?.as_bytes())
}
