//! The log: one JSON object per line on the console. Workers Logs indexes its fields.

use std::fmt::{self, Write as _};

use deputy::log_context;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};
use wasm_bindgen::JsValue;
use worker::web_sys::console;

use crate::trace;

/// Writes log events to the console. Further calls have no effect.
pub(crate) fn to_console() {
    let _ = tracing::subscriber::set_global_default(Console);
}

/// Writes a line with `object` as its member `name`.
pub fn log_object(name: &str, object: &impl Serialize) {
    let mut line = json!({ "level": "info", name: object });
    if let Some(trace) = trace_id() {
        line["trace_id"] = trace.into();
    }
    console::log_1(&JsValue::from(line.to_string()));
}

/// The id of the trace of the current request.
fn trace_id() -> Option<String> {
    trace::current().map(|parent| parent.id())
}

/// Records events, and no spans.
struct Console;

impl Subscriber for Console {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // rmcp logs every request at `INFO`.
        let least = if metadata.target().starts_with("rmcp") { Level::WARN } else { Level::INFO };
        *metadata.level() <= least && metadata.is_event()
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        let level = event.metadata().level();
        fields.0.insert("level".to_owned(), level.as_str().to_ascii_lowercase().into());
        fields.0.insert("target".to_owned(), event.metadata().target().into());
        if let Some(trace) = trace_id() {
            fields.0.insert("trace_id".to_owned(), trace.into());
        }
        // A field of the event itself wins.
        log_context::for_each_field(|name, value| {
            fields.0.entry(name).or_insert_with(|| value.into());
        });
        let line = JsValue::from(Value::Object(fields.0).to_string());
        match *level {
            Level::ERROR => console::error_1(&line),
            Level::WARN => console::warn_1(&line),
            _ => console::log_1(&line),
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{value:?}");
        self.0.insert(field.name().to_owned(), text.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}
