//! The endpoint of `PingOne`'s webhook: an event that ends a user's logins ends their grants at once.
//!
//! `PingOne` repeats a batch until the response is 200, and sends nothing else meanwhile. So an event without effect is
//! accepted. After a failure of storage, and where a request may do too little for a large batch, the repeated batch does the
//! rest.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::{Request, State};
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::json;

use super::{
    About, Fault, ReceiveError, Refusal, internal_failure, not_found, respond, too_many_requests,
    wrong_method,
};
use crate::{
    app::App,
    config::Webhook,
    grants::ended_logins::{self, Allowance, Ended, PER_EVENT, PER_GRANT},
    host::{Endpoint, PingOneEvent, RetryAfter, Timestamp},
    http::{Response, error, json as json_response, list, read_body, with_retry_after},
    limits, metrics,
    oauth::{ErrorCode, LoginsEnd},
    pingone::{DeliveredEvent, LoginEvent, RefusedDelivery, read_delivery},
    records::{self, Progress, RecordError},
};

/// Why a delivery is refused.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum EventsError {
    #[error(transparent)]
    Delivery(#[from] RefusedDelivery),
    #[error("this resource does not support this method")]
    Method,
    #[error("too many requests without the secret from this address; try again later")]
    RateLimit(RetryAfter),
    #[error(transparent)]
    #[strum(transparent)]
    Receive(#[from] ReceiveError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("the rest of these events is processed when they are delivered again")]
    Unfinished,
    #[error(
        "the request needs the secret PINGONE_WEBHOOK_SECRET, as a bearer token or as the password of basic authentication"
    )]
    Unauthorized,
}

impl Refusal for EventsError {
    const ENDPOINT: &'static str = "pingone_events";
    const EVENT: &'static str = "events of PingOne refused";

    fn kind(&self) -> &'static str {
        self.into()
    }

    fn fault(&self) -> Fault<'_> {
        match self {
            Self::RateLimit(_) | Self::Unfinished => Fault::Expected,
            Self::Receive(refusal) => refusal.fault(),
            Self::Record(error) => Fault::Server(error),
            Self::Delivery(_) | Self::Method | Self::Unauthorized => Fault::Client,
        }
    }

    fn response(&self, _: &About<'_>) -> Response {
        match self {
            Self::Delivery(_) => error(StatusCode::BAD_REQUEST, ErrorCode::InvalidRequest, self),
            Self::Method => wrong_method(),
            Self::RateLimit(wait) => too_many_requests(self, *wait),
            Self::Receive(refusal) => refusal.response(ErrorCode::InvalidRequest),
            Self::Record(_) => internal_failure(),
            Self::Unfinished => {
                let response =
                    error(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::TemporarilyUnavailable, self);
                with_retry_after(response, RetryAfter(1))
            }
            Self::Unauthorized => {
                let mut response = error(StatusCode::UNAUTHORIZED, ErrorCode::InvalidToken, self);
                let challenge = HeaderValue::from_static("Basic realm=\"deputy events\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                response
            }
        }
    }
}

/// `POST /pingone/events`. Without a webhook in the configuration there is nothing here.
pub(crate) async fn any(State(app): State<Arc<App>>, request: Request) -> Response {
    match &app.config.pingone.webhook {
        Some(webhook) => respond(&app, receive_events(&app, webhook, request)).await,
        None => not_found(State(app)).await,
    }
}

async fn receive_events(app: &App, webhook: &Webhook, request: Request) -> Result<Response, EventsError> {
    let (head, body) = request.into_parts();
    // A request without the secret is refused before its body is read.
    if !is_authenticated(webhook, &head.headers) {
        let limits = app.config.rate_limits;
        let counted =
            limits::admit(app.host(), limits, &head.headers, &head.extensions, Endpoint::Token).await;
        return Err(counted.err().map_or(EventsError::Unauthorized, EventsError::RateLimit));
    }
    if head.method != Method::POST {
        return Err(EventsError::Method);
    }
    let body = read_body(app.host(), body, LONGEST_DELIVERY).await.map_err(ReceiveError::from)?;
    let now = app.now();
    let events = read_delivery(&body, &app.config, now)?;
    let count = events.len();
    let ends = events.iter().flatten().map(|event| event.ends.len()).sum::<usize>();
    let operations = app.host().capacity.operations;
    let ended = if ends.saturating_mul(PER_EVENT + PER_GRANT) > operations {
        // The progress is read and written.
        let allowance = Allowance::new(operations.saturating_sub(2));
        let progress = records::progress(app.host(), &body, now).await?;
        if progress == Progress::default() {
            events.iter().for_each(note);
        }
        in_parts(&Processing { app, allowance, now }, &body, &by_user(events), progress).await?
    } else {
        events.iter().for_each(note);
        at_once(&Processing { app, allowance: Allowance::new(operations), now }, &by_user(events)).await?
    };
    tracing::info!(events = count, ended, "events of PingOne");
    Ok(json_response(StatusCode::OK, &json!({ "events": count, "ended": ended })))
}

/// Checks the only `Authorization` header.
fn is_authenticated(webhook: &Webhook, headers: &HeaderMap) -> bool {
    let mut all = list(headers, &header::AUTHORIZATION);
    let (Some(presented), None) = (all.next(), all.next()) else { return false };
    webhook.accepts(presented)
}

/// Counts an event, and logs why it has no effect.
fn note(event: &DeliveredEvent) {
    let (kind, reason) = match event {
        Ok(event) => return metrics::pingone_event(event.kind.into(), "accepted"),
        Err((kind, reason)) => (kind, <&str>::from(reason)),
    };
    let name = kind.as_ref().map_or("other", <&str>::from);
    metrics::pingone_event(name, reason);
    if kind.is_some() {
        tracing::info!(event = name, reason, "an event of PingOne has no effect");
    }
}

/// The ends of each user's logins, in their order.
type Ends = Vec<(PingOneEvent, LoginsEnd)>;

/// The ends that the events report, by user.
fn by_user(events: Vec<DeliveredEvent>) -> Vec<(String, Ends)> {
    let mut of_users = BTreeMap::<String, Ends>::new();
    for LoginEvent { kind, ends } in events.into_iter().flatten() {
        for (sub, logins) in ends {
            of_users.entry(sub).or_default().push((kind, logins));
        }
    }
    of_users.into_iter().collect()
}

/// A delivery that is processed. A request may do a bounded number of operations on records.
struct Processing<'a> {
    app: &'a App,
    allowance: Allowance,
    now: Timestamp,
}

/// Ends the grants that the events end, for several users at a time. Returns their number.
async fn at_once(processing: &Processing<'_>, users: &[(String, Ends)]) -> Result<usize, EventsError> {
    let (mut all, mut failure) = (Ended::default(), None);
    for some in users.chunks(AT_A_TIME) {
        for result in join_all(some.iter().map(|(sub, ends)| processing.end(sub, ends))).await {
            match result {
                Ok(ended) => all.add(&ended),
                Err(error) => error.add_to(&mut failure),
            }
        }
    }
    match failure {
        Some(failure) => Err(failure.into()),
        None if all.is_unfinished => Err(EventsError::Unfinished),
        None => Ok(all.grants),
    }
}

/// Does the same for one event after another, from where the last request with this delivery stopped. A large delivery takes
/// several.
async fn in_parts(
    processing: &Processing<'_>,
    body: &[u8],
    users: &[(String, Ends)],
    progress: Progress,
) -> Result<usize, EventsError> {
    let ends: Vec<(&str, _)> =
        users.iter().flat_map(|(sub, ends)| ends.chunks(1).map(move |end| (sub.as_str(), end))).collect();
    let mut all = Ended::default();
    for (done, (sub, end)) in ends.into_iter().enumerate().skip(progress.ends) {
        all.add(&processing.end(sub, end).await?);
        if all.is_unfinished {
            let (host, now) = (processing.app.host(), processing.now);
            records::put_progress(host, body, Progress { ends: done }, now).await?;
            tracing::info!(ended = all.grants, done, "a part of the events of PingOne");
            return Err(EventsError::Unfinished);
        }
    }
    Ok(all.grants)
}

impl Processing<'_> {
    async fn end(&self, sub: &str, ends: &[(PingOneEvent, LoginsEnd)]) -> Result<Ended, RecordError> {
        let (mut all, mut failure) = (Ended::default(), None);
        for (event, logins) in ends {
            match ended_logins::end(self.app, sub, *logins, *event, &self.allowance, self.now).await {
                Ok(ended) => all.add(&ended),
                // PingOne would repeat the batch for ever, and send nothing else.
                Err(error @ RecordError::Malformed) => {
                    tracing::error!(%error, "an event of PingOne has no effect on a grant");
                }
                Err(error) => error.add_to(&mut failure),
            }
        }
        failure.map_or(Ok(all), Err)
    }
}

/// Bytes of a delivery: 500 events of 8 KiB each.
const LONGEST_DELIVERY: usize = 4 * 1024 * 1024;

/// Users whose events are processed concurrently.
const AT_A_TIME: usize = 16;
