//! Lines of the log, each with the fields of its request.

use std::fmt;

use deputy::log_context;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::LogFormat;
use crate::traces;

/// Writes a line in the format of `inner`, and adds the fields of the request that the event does not have itself.
pub(super) struct Lines<F> {
    pub(super) inner: F,
    pub(super) format: LogFormat,
}

impl<S, N, F> FormatEvent<S, N> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        let end = match self.format {
            LogFormat::Text => "\n",
            LogFormat::Json => "}\n",
        };
        out.write_str(line.strip_suffix(end).unwrap_or(&line))?;
        let mut result = Ok(());
        let mut add = |name: &str, value: &str| {
            if event.metadata().fields().field(name).is_none() {
                let written = match self.format {
                    LogFormat::Text => write!(out, " {name}={value:?}"),
                    LogFormat::Json => write!(out, ",\"{name}\":{}", serde_json::Value::from(value)),
                };
                result = result.and(written);
            }
        };
        log_context::for_each_field(&mut add);
        if let Some(trace) = traces::current() {
            add("trace_id", &trace.id());
        }
        result?;
        out.write_str(end)
    }
}
