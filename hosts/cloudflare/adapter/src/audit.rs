//! The audit log: messages of a queue, or lines of the log.

use std::sync::Arc;

use deputy::host::{AuditEvent, AuditLog};
use wasm_bindgen::prelude::*;
use worker::{Env, send::SendWrapper};

use crate::{binding::optional_binding, host::WorkersRuntime};

/// The audit log of `env`: the queue `AUDIT_QUEUE` if that is bound, otherwise the log.
pub(crate) fn audit_log(env: &Env) -> Arc<dyn AuditLog> {
    match optional_binding(env, "AUDIT_QUEUE") {
        Some(queue) => Arc::new(AuditQueue(queue)),
        None => Arc::new(WorkersRuntime),
    }
}

/// A queue to which each event is sent as a message.
struct AuditQueue(SendWrapper<JsValue>);

impl AuditLog for AuditQueue {
    fn record(&self, event: &AuditEvent) {
        match serde_json::to_string(event) {
            Ok(event) => send_event(&self.0, &event),
            Err(error) => tracing::error!(%error, "an audit event cannot be written as JSON"),
        }
    }
}

/// The events are lines of the log, with the event as an object in `audit`. Workers Logs keeps them, and Logpush brings them
/// to a bucket.
impl AuditLog for WorkersRuntime {
    fn record(&self, event: &AuditEvent) {
        workers_runtime::log_object("audit", event);
    }
}

#[wasm_bindgen(module = "/src/audit.js")]
extern "C" {
    fn send_event(queue: &JsValue, event: &str);
}
