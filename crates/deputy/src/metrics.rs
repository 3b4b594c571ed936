//! Counters and durations for the operator: requests, logins, tool calls, and requests to `PingOne` and the API.
//!
//! They go to the recorder of the crate [`metrics`] that the program installs, or one by one to the function that it
//! passes to [`enable_points`]. Until [`enable`] or that, nothing is measured.
//!
//! The values of labels are words of this code and names of the server's own tools. So a client cannot create a series.

use std::{borrow::Cow, sync::OnceLock, time::Duration};

use ::metrics::{counter, gauge, histogram};
use bytes::Bytes;

use crate::host::{FetchError, LoginStep};

/// A metric, as `docs/operating.md` lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name. Durations are in seconds.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// One sentence without its period.
    pub meaning: &'static str,
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number that only grows.
    Counter,
    /// A number that grows and falls.
    Gauge,
    /// A distribution of durations.
    Histogram,
}

impl Metric {
    /// Gives the recorder the description of this metric.
    pub fn announce(&self) {
        match self.kind {
            Kind::Counter => ::metrics::describe_counter!(self.name, self.meaning),
            Kind::Gauge => ::metrics::describe_gauge!(self.name, self.meaning),
            Kind::Histogram => ::metrics::describe_histogram!(self.name, self.meaning),
        }
    }
}

/// Measures from now on. `monotonic` reads a clock that is never set back.
pub fn enable(monotonic: fn() -> Duration) {
    // A second call has the same effect as the first.
    let _ = CLOCK.set(monotonic);
    METRICS.iter().for_each(Metric::announce);
}

/// A measurement, for a host that keeps each of them and no sums.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point<'a> {
    /// `request`, `tool_call`, `login_step`, `refresh`, `pingone_event`, `pingone_request` or `api_request`.
    pub kind: &'static str,
    /// The endpoint, the tool, the step, the event, or the purpose of the request to `PingOne`. Empty for the other kinds.
    pub name: &'a str,
    /// As in the metric of this kind.
    pub outcome: &'static str,
    /// The duration. 0 for steps, refreshes and events.
    pub seconds: f64,
}

/// Passes each measurement to `write` from now on. `monotonic` is that of [`enable`].
pub fn enable_points(monotonic: fn() -> Duration, write: fn(&Point<'_>)) {
    // A second call has the same effect as the first.
    let (_, _) = (WRITE.set(write), CLOCK.set(monotonic));
}

fn write(kind: &'static str, name: &str, outcome: &'static str, seconds: f64) {
    if let Some(write) = WRITE.get() {
        write(&Point { kind, name, outcome, seconds });
    }
}

/// The start of a measured span. It is nothing while nothing is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Option<Duration>);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(CLOCK.get().map(|monotonic| monotonic()))
    }

    /// Counts the response of an endpoint.
    pub(crate) fn request(self, endpoint: &'static str, outcome: &'static str) {
        if let Some(seconds) = self.seconds() {
            counter!(REQUESTS, "endpoint" => endpoint, "outcome" => outcome).increment(1);
            histogram!(REQUEST_SECONDS, "endpoint" => endpoint).record(seconds);
            write("request", endpoint, outcome, seconds);
        }
    }

    /// Counts the end of a tool call. `tool` is `None` if the server has no such tool.
    pub(crate) fn tool_call(self, tool: Option<&str>, outcome: &'static str) {
        if let Some(seconds) = self.seconds() {
            write("tool_call", tool.unwrap_or("unknown"), outcome, seconds);
            let tool: Cow<'static, str> = tool.map_or("unknown".into(), |tool| tool.to_owned().into());
            counter!(TOOL_CALLS, "tool" => tool.clone(), "outcome" => outcome).increment(1);
            histogram!(TOOL_CALL_SECONDS, "tool" => tool).record(seconds);
        }
    }

    /// Counts a request to `PingOne`.
    pub(crate) fn pingone_request(self, request: &'static str, outcome: &'static str) {
        if let Some(seconds) = self.seconds() {
            counter!(PINGONE_REQUESTS, "request" => request, "outcome" => outcome).increment(1);
            histogram!(PINGONE_REQUEST_SECONDS, "request" => request).record(seconds);
            write("pingone_request", request, outcome, seconds);
        }
    }

    /// Counts a request to the API.
    pub(crate) fn api_request(self, outcome: &'static str) {
        if let Some(seconds) = self.seconds() {
            counter!(API_REQUESTS, "outcome" => outcome).increment(1);
            histogram!(API_REQUEST_SECONDS).record(seconds);
            write("api_request", "", outcome, seconds);
        }
    }

    fn seconds(self) -> Option<f64> {
        let (began, monotonic) = (self.0?, CLOCK.get()?);
        Some(monotonic().saturating_sub(began).as_secs_f64())
    }
}

/// Counts a step of a login.
pub(crate) fn login(step: LoginStep, outcome: &'static str) {
    if CLOCK.get().is_some() {
        counter!(LOGIN_STEPS, "step" => <&str>::from(step), "outcome" => outcome).increment(1);
        write("login_step", step.into(), outcome, 0.0);
    }
}

/// Counts a refresh of `PingOne`'s tokens.
pub(crate) fn refresh(outcome: &'static str) {
    if CLOCK.get().is_some() {
        counter!(REFRESHES, "outcome" => outcome).increment(1);
        write("refresh", "", outcome, 0.0);
    }
}

/// Counts an event that `PingOne` reported.
pub(crate) fn pingone_event(event: &'static str, outcome: &'static str) {
    if CLOCK.get().is_some() {
        counter!(PINGONE_EVENTS, "event" => event, "outcome" => outcome).increment(1);
        write("pingone_event", event, outcome, 0.0);
    }
}

/// Tells whether the circuit breaker is open.
pub(crate) fn refreshes_are_paused(paused: bool) {
    if CLOCK.get().is_some() {
        gauge!(REFRESHES_PAUSED).set(f64::from(u8::from(paused)));
    }
}

/// The outcome of an outgoing request: the class of the status, or why there is no response.
pub(crate) fn outcome(response: &Result<http::Response<Bytes>, FetchError>) -> &'static str {
    match response.as_ref().map(|response| response.status().as_u16() / 100) {
        Err(error) => error.into(),
        Ok(2) => "2xx",
        Ok(3) => "3xx",
        Ok(4) => "4xx",
        Ok(5) => "5xx",
        Ok(_) => "other",
    }
}

static CLOCK: OnceLock<fn() -> Duration> = OnceLock::new();
static WRITE: OnceLock<fn(&Point<'_>)> = OnceLock::new();

const REQUESTS: &str = "deputy_requests_total";
const REQUEST_SECONDS: &str = "deputy_request_seconds";
const LOGIN_STEPS: &str = "deputy_login_steps_total";
const TOOL_CALLS: &str = "deputy_tool_calls_total";
const TOOL_CALL_SECONDS: &str = "deputy_tool_call_seconds";
const REFRESHES: &str = "deputy_refreshes_total";
const REFRESHES_PAUSED: &str = "deputy_refreshes_paused";
const PINGONE_EVENTS: &str = "deputy_pingone_events_total";
const PINGONE_REQUESTS: &str = "deputy_pingone_requests_total";
const PINGONE_REQUEST_SECONDS: &str = "deputy_pingone_request_seconds";
const API_REQUESTS: &str = "deputy_api_requests_total";
const API_REQUEST_SECONDS: &str = "deputy_api_request_seconds";

/// The metrics of this crate.
pub const METRICS: [Metric; 12] = [
    Metric {
        name: REQUESTS,
        kind: Kind::Counter,
        labels: &["endpoint", "outcome"],
        meaning: "Requests; the outcome is `ok` or the kind of the refusal, such as `rate_limit`",
    },
    Metric {
        name: REQUEST_SECONDS,
        kind: Kind::Histogram,
        labels: &["endpoint"],
        meaning: "Time to the head of the response",
    },
    Metric {
        name: LOGIN_STEPS,
        kind: Kind::Counter,
        labels: &["step", "outcome"],
        meaning: "Steps of logins: `authorize`, `approval`, `pingone`, `callback` and `redemption`",
    },
    Metric {
        name: TOOL_CALLS,
        kind: Kind::Counter,
        labels: &["tool", "outcome"],
        meaning: "Tool calls; the tool is `unknown` if the server has no such tool",
    },
    Metric {
        name: TOOL_CALL_SECONDS,
        kind: Kind::Histogram,
        labels: &["tool"],
        meaning: "Time of tool calls, with the user's time to confirm",
    },
    Metric {
        name: REFRESHES,
        kind: Kind::Counter,
        labels: &["outcome"],
        meaning: "Refreshes of PingOne's tokens; `ended` means that PingOne ended the login",
    },
    Metric {
        name: REFRESHES_PAUSED,
        kind: Kind::Gauge,
        labels: &[],
        meaning: "1 while the circuit breaker is open because PingOne's token endpoint fails, otherwise 0",
    },
    Metric {
        name: PINGONE_EVENTS,
        kind: Kind::Counter,
        labels: &["event", "outcome"],
        meaning: "Events that PingOne's webhook delivered; the outcome is `accepted` or the reason why an event has no effect, \
                  such as `type` or `old`",
    },
    Metric {
        name: PINGONE_REQUESTS,
        kind: Kind::Counter,
        labels: &["request", "outcome"],
        meaning: "Requests to PingOne; the outcome is the class of the status, or why there was no response",
    },
    Metric {
        name: PINGONE_REQUEST_SECONDS,
        kind: Kind::Histogram,
        labels: &["request"],
        meaning: "Time of requests to PingOne",
    },
    Metric {
        name: API_REQUESTS,
        kind: Kind::Counter,
        labels: &["outcome"],
        meaning: "Requests to the API; the outcome is the class of the status, or why there was no response",
    },
    Metric {
        name: API_REQUEST_SECONDS,
        kind: Kind::Histogram,
        labels: &[],
        meaning: "Time of requests to the API",
    },
];
