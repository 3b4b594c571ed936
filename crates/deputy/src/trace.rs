//! Spans of requests, for a tracing system such as `OpenTelemetry`.
//!
//! They are spans of the crate [`tracing`] with the target [`TARGET`], and the program's subscriber exports them. Until
//! [`enable`] there are none. Their names and attributes are those of OpenTelemetry's semantic conventions for HTTP and
//! for MCP.
//!
//! No name and no attribute has text of a client: methods and routes are those that this server has, and a tool is one
//! that exists. There is no URL below the API, no id of a JSON-RPC request, and no `Mcp-Session-Id`.

use std::{fmt, sync::OnceLock};

use axum::extract::MatchedPath;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header::HeaderName};
use tracing::{Span, field::Empty, info_span};

use crate::{
    encoding::{hex, unhex},
    host::{FetchError, GrantId},
    paths,
};

/// The target of every span.
pub const TARGET: &str = "deputy::trace";

/// The header of a [`TraceParent`].
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Makes spans from now on. `continue_trace` makes a span a child of a span of another system, before it is entered.
pub fn enable(continue_trace: fn(&Span, TraceParent)) {
    // A second call has the same effect as the first.
    let _ = CONTINUE_TRACE.set(continue_trace);
}

/// A span of another system (W3C Trace Context §3.2).
///
/// ```
/// use deputy::trace::TraceParent;
///
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let parent = TraceParent::parse(text.as_bytes()).expect("the example of the specification");
/// assert!(parent.is_sampled);
/// assert_eq!(parent.to_string(), text);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace. Not zero.
    pub trace: [u8; 16],
    /// The span. Not zero.
    pub span: [u8; 8],
    /// Whether the other system says that it records the trace.
    pub is_sampled: bool,
}

impl TraceParent {
    /// Parses the value of `traceparent`. A version after `00` may have more members, which are ignored.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (known, more) = value.split_at_checked("00-".len() + 32 + "-".len() + 16 + "-00".len())?;
        if value.len() > LONGEST || [2, 35, 52].iter().any(|at| known[*at] != b'-') {
            return None;
        }
        match unhex::<1>(&known[..2])? {
            [0] if more.is_empty() => {}
            [1..=254] if more.first().is_none_or(|byte| *byte == b'-') => {}
            _ => return None,
        }
        let (trace, span) = (unhex(&known[3..35])?, unhex(&known[36..52])?);
        let [flags] = unhex(&known[53..])?;
        (trace != [0; 16] && span != [0; 8]).then_some(Self { trace, span, is_sampled: flags & 1 == 1 })
    }

    /// The id of the trace, as logs and tracing systems show it.
    pub fn id(&self) -> String {
        hex(&self.trace)
    }

    /// The value of a request's header. A repeated header is invalid.
    pub fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let value = values.next()?;
        values.next().is_none().then(|| Self::parse(value.as_bytes()))?
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-0{}", self.id(), hex(&self.span), u8::from(self.is_sampled))
    }
}

/// Whether there are spans.
pub(crate) fn is_enabled() -> bool {
    CONTINUE_TRACE.get().is_some()
}

/// Makes `span`, which was not entered yet, a child of `parent`.
pub(crate) fn continue_trace(span: &Span, parent: TraceParent) {
    if let Some(continue_trace) = CONTINUE_TRACE.get() {
        continue_trace(span, parent);
    }
}

/// The span of a request to this server. `None` while there are no spans, and for health checks.
pub(crate) fn request(request: &axum::extract::Request) -> Option<Span> {
    if !is_enabled() {
        return None;
    }
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    if route.is_some_and(|route| [paths::HEALTH, paths::HEALTHZ, paths::READYZ].contains(&route)) {
        return None;
    }
    let method = known_method(request.method());
    let span = info_span!(
        target: TARGET,
        "request",
        otel.name = format!("{method} {}", route.unwrap_or_default()).trim_end(),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        url.path = route,
        http.response.status_code = Empty,
        "error.type" = Empty,
        deputy.outcome = Empty,
        deputy.grant = Empty,
    );
    if let Some(parent) = TraceParent::of_headers(request.headers()) {
        continue_trace(&span, parent);
    }
    Some(span)
}

/// Notes the status of the response to `span`.
pub(crate) fn responded(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        fails(span, status.as_str());
    }
}

/// Notes the outcome of the current request, which is that in metrics.
pub(crate) fn outcome(outcome: &'static str) {
    if is_enabled() {
        Span::current().record("deputy.outcome", outcome);
    }
}

/// Notes the grant of the current request, with its id in the log.
pub(crate) fn grant(grant: GrantId) {
    if is_enabled() {
        Span::current().record("deputy.grant", hex(&grant.0));
    }
}

/// The span of a request to `service`, which is named after its `purpose`.
pub(crate) fn outgoing(service: &'static str, purpose: &'static str, request: &http::Request<Bytes>) -> Span {
    if !is_enabled() {
        return Span::none();
    }
    let method = known_method(request.method());
    info_span!(
        target: TARGET,
        "outgoing request",
        otel.name = format!("{method} {purpose}").trim_end(),
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = method,
        server.address = request.uri().host(),
        server.port = request.uri().port_u16(),
        peer.service = service,
        http.response.status_code = Empty,
        "error.type" = Empty,
    )
}

/// Notes the response to the outgoing request of `span`.
pub(crate) fn fetched(span: &Span, response: &Result<http::Response<Bytes>, FetchError>) {
    match response {
        Ok(response) => {
            let status = response.status();
            span.record("http.response.status_code", status.as_u16());
            if status.is_client_error() || status.is_server_error() {
                fails(span, status.as_str());
            }
        }
        Err(error) => fails(span, error.into()),
    }
}

/// Notes that the operation of `span` failed.
pub(crate) fn fails(span: &Span, kind: &str) {
    span.record("error.type", kind);
    span.record("otel.status_code", "ERROR");
}

/// The method, if it is one of HTTP. A client can send any other word.
fn known_method(method: &Method) -> &'static str {
    let known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
    ];
    let names = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    known.iter().position(|known| known == method).map_or("_OTHER", |at| names[at])
}

static CONTINUE_TRACE: OnceLock<fn(&Span, TraceParent)> = OnceLock::new();

/// Bytes of a value of `traceparent`.
const LONGEST: usize = 512;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn malformed_traceparent_is_ignored() {
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(wrong.as_bytes()), None, "{wrong}");
        }
        let long = format!("01{}-{}", &GOOD[2..], "x".repeat(LONGEST));
        assert_eq!(TraceParent::parse(long.as_bytes()), None);
    }

    #[test]
    fn later_version_of_traceparent_is_read() {
        let parent = TraceParent::parse(GOOD.as_bytes()).unwrap();
        let later = format!("cc{}-what-is-to-come", &GOOD[2..]);
        assert_eq!(TraceParent::parse(later.as_bytes()), Some(parent));
        let unsampled = GOOD.replace("-01", "-02");
        assert!(!TraceParent::parse(unsampled.as_bytes()).unwrap().is_sampled);
    }

    #[test]
    fn repeated_traceparent_is_ignored() {
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert_eq!(TraceParent::of_headers(&headers), TraceParent::parse(GOOD.as_bytes()));
        headers.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert_eq!(TraceParent::of_headers(&headers), None);
    }
}
