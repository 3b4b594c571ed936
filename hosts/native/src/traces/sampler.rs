//! Which traces are sent.
//!
//! Every client can send a `traceparent` whose flag says that the trace is recorded, with a trace id of its choice. So by
//! default neither decides: a request is sampled by a random number of this process.

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceContextExt as _, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};

use crate::host::fill_random;

/// The sampler that `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` name.
pub(super) fn parse(variable: impl Fn(&str) -> Option<String>) -> Result<Box<dyn ShouldSample>, String> {
    let ratio = match variable(ARGUMENT) {
        None => 1.0,
        Some(text) => text
            .parse()
            .ok()
            .filter(|ratio| (0.0..=1.0).contains(ratio))
            .ok_or_else(|| format!("{ARGUMENT}: must be a number from 0 to 1"))?,
    };
    let trusting = |root| Box::new(Sampler::ParentBased(Box::new(root)));
    Ok(match variable(SAMPLER).as_deref() {
        None | Some("traceidratio") => Box::new(OwnRatio(ratio)),
        Some("always_on") => Box::new(OwnRatio(1.0)),
        Some("always_off") => Box::new(OwnRatio(0.0)),
        Some("parentbased_always_on") => trusting(OwnRatio(1.0)),
        Some("parentbased_always_off") => trusting(OwnRatio(0.0)),
        Some("parentbased_traceidratio") => trusting(OwnRatio(ratio)),
        Some(_) => {
            return Err(format!(
                "{SAMPLER}: must be always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or \
                 parentbased_traceidratio"
            ));
        }
    })
}

/// Samples this part of the requests, with all spans of this process that belong to one.
#[derive(Clone, Copy, Debug)]
struct OwnRatio(f64);

impl ShouldSample for OwnRatio {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let parent = parent.map(|parent| parent.span().span_context().clone());
        let own = parent.filter(|parent| parent.is_valid() && !parent.is_remote());
        let is_sampled = own.map_or_else(|| draw() < self.0, |own| own.is_sampled());
        SamplingResult {
            decision: if is_sampled { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop },
            attributes: Vec::new(),
            trace_state: TraceState::default(),
        }
    }
}

/// A random number from 0 to 1, without 1.
fn draw() -> f64 {
    let mut bytes = [0; 4];
    fill_random(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

#[cfg(test)]
mod tests {
    use opentelemetry::{SpanId, TraceFlags, trace::SpanContext};

    use super::*;

    fn sampled(sampler: &str, ratio: &str, is_remote: bool) -> usize {
        let variable = |name: &str| Some(if name == SAMPLER { sampler } else { ratio }.to_owned());
        let sampler = parse(variable).unwrap();
        let (trace, span) = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([1; 8]));
        let parent = SpanContext::new(trace, span, TraceFlags::SAMPLED, is_remote, TraceState::default());
        let parent = Context::new().with_remote_span_context(parent);
        let sample =
            || sampler.should_sample(Some(&parent), trace, "x", &SpanKind::Server, &[], &[]).decision;
        (0..1000).filter(|_| sample() == SamplingDecision::RecordAndSample).count()
    }

    #[test]
    fn sampled_flag_of_remote_parent_forces_nothing() {
        assert_eq!(sampled("traceidratio", "0", true), 0);
        assert!((50..500).contains(&sampled("traceidratio", "0.2", true)));
    }

    #[test]
    fn sampled_flag_is_followed_where_it_is_trusted() {
        assert_eq!(sampled("parentbased_traceidratio", "0", true), 1000);
        assert_eq!(sampled("traceidratio", "0", false), 1000, "a span of this process");
    }

    #[test]
    fn invalid_sampler_is_refused() {
        for (name, value) in [(SAMPLER, "all"), (ARGUMENT, "2"), (ARGUMENT, "NaN"), (ARGUMENT, "x")] {
            let refused = parse(|asked| (asked == name).then(|| value.to_owned())).unwrap_err();
            assert!(refused.starts_with(name), "{refused}");
        }
    }
}
