//! Metrics, as data points of Analytics Engine.

use std::{cell::OnceCell, time::Duration};

use deputy::metrics::{self, Point};
use wasm_bindgen::prelude::*;
use worker::{Env, send::SendWrapper};

use crate::binding::optional_binding;

/// Measures from now on if `METRICS`, a dataset, is bound.
pub(crate) fn enable(env: &Env) {
    let Some(dataset) = optional_binding(env, "METRICS") else { return };
    // Bindings are the same for every request of an isolate.
    DATASET.with(|bound| drop(bound.set(dataset)));
    metrics::enable_points(|| Duration::from_millis(workers_runtime::milliseconds()), write);
}

fn write(&Point { kind, name, outcome, seconds }: &Point<'_>) {
    DATASET.with(|dataset| {
        if let Some(dataset) = dataset.get() {
            write_point(dataset, kind, name, outcome, seconds);
        }
    });
}

thread_local! {
    static DATASET: OnceCell<SendWrapper<JsValue>> = const { OnceCell::new() };
}

#[wasm_bindgen(module = "/src/metrics.js")]
extern "C" {
    fn write_point(dataset: &JsValue, kind: &str, name: &str, outcome: &str, seconds: f64);
}
