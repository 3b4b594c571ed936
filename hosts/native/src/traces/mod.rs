//! Traces, which are sent to a collector of OpenTelemetry over OTLP.

mod collector;
mod sampler;

use std::{env, sync::OnceLock};

use deputy::trace::{self, TARGET, TraceParent};
use opentelemetry::{
    Context, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceContextExt as _, TraceState, TracerProvider as _},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::{Metadata, Span, Subscriber, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};
use url::Url;

use crate::build::BUILD;
use collector::Collector;

/// The traces of this process.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Makes spans from now on, and sends those that are sampled to the collector at `endpoint`.
    pub(crate) fn start(endpoint: &Url) -> Result<Self, String> {
        // OTLP 1.9, `OTEL_EXPORTER_OTLP_ENDPOINT`: the path is appended to this one.
        let url = format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/'));
        let collector = Collector::start().map_err(|error| error.to_string())?;
        let exporter = SpanExporter::builder().with_http().with_http_client(collector).with_endpoint(url);
        let exporter = exporter.build().map_err(|error| error.to_string())?;
        let resource = Resource::builder().with_attribute(KeyValue::new("service.version", BUILD.version));
        let is_named = env::var("OTEL_SERVICE_NAME").is_ok_and(|name| !name.is_empty());
        let resource = if is_named { resource } else { resource.with_service_name("deputy") };
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler::parse(variable)?)
            .with_resource(resource.build())
            .build();
        trace::enable(continue_trace);
        // A second start has the same effect as the first.
        let _ = STARTED.set(());
        Ok(Self(provider))
    }

    /// Passes the spans of requests to the collector, and nothing else: neither lines of the log nor spans of libraries.
    pub(crate) fn layer<S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync>(
        &self,
    ) -> impl Layer<S> + use<S> {
        let is_span = |metadata: &Metadata<'_>| metadata.is_span() && metadata.target() == TARGET;
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("deputy"))
            .with_context_activation(false)
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_span).with_max_level_hint(LevelFilter::INFO))
    }

    /// Sends the last spans, for some seconds at most.
    pub(crate) fn stop(self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last spans could not be sent to the collector");
        }
    }
}

/// The current span, for requests to other systems. `None` while there are no spans.
pub(crate) fn current() -> Option<TraceParent> {
    STARTED.get()?;
    let context = Span::current().context();
    let current = context.span().span_context().clone();
    current.is_valid().then(|| TraceParent {
        trace: current.trace_id().to_bytes(),
        span: current.span_id().to_bytes(),
        is_sampled: current.is_sampled(),
    })
}

/// Makes `span` a child of `parent`, and links it to the current span.
fn continue_trace(span: &Span, parent: TraceParent) {
    let TraceParent { trace, span: parent, is_sampled } = parent;
    let flags = TraceFlags::default().with_sampled(is_sampled);
    let (trace, parent) = (TraceId::from_bytes(trace), SpanId::from_bytes(parent));
    let remote = SpanContext::new(trace, parent, flags, true, TraceState::default());
    // Fails for a span that was entered, and none was.
    let _ = span.set_parent(Context::new().with_remote_span_context(remote));
    let current = Span::current();
    if !current.is_none() {
        span.add_link(current.context().span().span_context().clone());
    }
}

static STARTED: OnceLock<()> = OnceLock::new();
