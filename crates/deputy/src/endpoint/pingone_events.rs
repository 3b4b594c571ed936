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
    About, Fault, ReceiveError, Refusal, admit, internal_failure, not_found, respond, too_many_requests,
    wrong_method,
};
use crate::{
    app::App,
    config::Webhook,
    grants::ended_logins::{self, Allowance, Ended, PER_EVENT, PER_GRANT},
    host::{EndpointKind, PingOneEvent, RetryAfter, Timestamp},
    http::{Response, error, json as json_response, list, read_body, with_retry_after},
    metrics,
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
        let counted = admit(app, &head, EndpointKind::Token).await;
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
        if progress.is_none() {
            events.iter().for_each(note);
        }
        resume_delivery(&Processing { app, allowance, now }, &body, &by_user(events), progress).await?
    } else {
        events.iter().for_each(note);
        let allowance = Allowance::new(operations);
        end_for_all_users(&Processing { app, allowance, now }, &by_user(events)).await?
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

/// The ends of a user's logins, in the order of [`LoginsEnd`].
type Ends = Vec<(PingOneEvent, LoginsEnd)>;

/// The ends that the events report, by user.
fn by_user(events: Vec<DeliveredEvent>) -> Vec<(String, Ends)> {
    let mut of_users = BTreeMap::<String, Ends>::new();
    for LoginEvent { kind, ends } in events.into_iter().flatten() {
        for (sub, logins) in ends {
            of_users.entry(sub).or_default().push((kind, logins));
        }
    }
    let mut of_users: Vec<_> = of_users.into_iter().collect();
    for (_, ends) in &mut of_users {
        ends.sort_by_key(|(_, logins)| *logins);
    }
    of_users
}

/// A delivery that is processed. A request may do a bounded number of operations on records.
struct Processing<'a> {
    app: &'a App,
    allowance: Allowance,
    now: Timestamp,
}

/// Ends the grants that the events end, for several users at a time. Returns their number.
async fn end_for_all_users(
    processing: &Processing<'_>,
    users: &[(String, Ends)],
) -> Result<usize, EventsError> {
    let mut all = Ended::default();
    for some in users.chunks(AT_A_TIME) {
        for ended in join_all(some.iter().map(|(sub, ends)| processing.end_of_user(sub, ends))).await {
            all.add(ended);
        }
    }
    match all {
        Ended { failure: Some(failure), .. } => Err(failure.into()),
        Ended { is_unfinished: true, .. } => Err(EventsError::Unfinished),
        Ended { grants, .. } => Ok(grants),
    }
}

/// Does the same for one event after another, from where the last request with this delivery stopped. A large delivery takes
/// several.
async fn resume_delivery(
    processing: &Processing<'_>,
    body: &[u8],
    users: &[(String, Ends)],
    mut progress: Option<Progress>,
) -> Result<usize, EventsError> {
    let mut left = Vec::new();
    for (sub, ends) in users {
        for &(event, logins) in ends {
            let position = Progress { sub: sub.clone(), logins };
            if progress.as_ref().is_none_or(|last| *last < position) {
                left.push((event, position));
            }
        }
    }
    let mut all = Ended::default();
    for (event, position) in left {
        all.add(processing.end(&position.sub, event, position.logins).await);
        if all.is_unfinished {
            break;
        }
        // After a failure, the others are processed too, and again with the next delivery.
        if all.failure.is_none() {
            progress = Some(position);
        }
    }
    if !all.is_unfinished && all.failure.is_none() {
        return Ok(all.grants);
    }
    if let Some(progress) = progress {
        records::put_progress(processing.app.host(), body, &progress, processing.now).await?;
    }
    tracing::info!(ended = all.grants, "a part of the events of PingOne");
    Err(all.failure.map_or(EventsError::Unfinished, EventsError::from))
}

impl Processing<'_> {
    async fn end_of_user(&self, sub: &str, ends: &[(PingOneEvent, LoginsEnd)]) -> Ended {
        let mut all = Ended::default();
        for (event, logins) in ends {
            all.add(self.end(sub, *event, *logins).await);
        }
        all
    }

    async fn end(&self, sub: &str, event: PingOneEvent, logins: LoginsEnd) -> Ended {
        let mut ended = ended_logins::end(self.app, sub, logins, event, &self.allowance, self.now).await;
        // PingOne would repeat the batch for ever, and send nothing else.
        if let Some(error) = ended.failure.take_if(|failure| matches!(failure, RecordError::Malformed)) {
            tracing::error!(%error, "an event of PingOne has no effect on a grant");
        }
        ended
    }
}

/// Bytes of a delivery: 500 events of 8 KiB each.
const LONGEST_DELIVERY: usize = 4 * 1024 * 1024;

/// Users whose events are processed concurrently.
const AT_A_TIME: usize = 16;
