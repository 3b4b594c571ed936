//! The endpoint of `PingOne`'s webhook: an event that ends a user's logins ends their grants at once.
//!
//! `PingOne` repeats a batch until the response is 200, and sends nothing else meanwhile. So an event without effect is
//! accepted. After a failure of storage, the repeated batch does the rest.

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
    encoding::{credentials, decode_basic},
    grants::manage,
    host::{Endpoint, PingOneEvent, RetryAfter, Timestamp},
    http::{Response, error, json as json_response, list, read_body},
    limits, metrics,
    oauth::{ErrorCode, LoginsEnd},
    pingone::{DeliveredEvent, LoginEvent, RefusedDelivery, read_delivery},
    records::RecordError,
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
            Self::RateLimit(_) => Fault::Expected,
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
    let ended = process(app, events, now).await?;
    tracing::info!(events = count, ended, "events of PingOne");
    Ok(json_response(StatusCode::OK, &json!({ "events": count, "ended": ended })))
}

/// Checks the bearer token (RFC 6750 §2.1) or the password (RFC 7617). The username has no meaning.
fn is_authenticated(webhook: &Webhook, headers: &HeaderMap) -> bool {
    let mut all = list(headers, &header::AUTHORIZATION);
    let (Some(presented), None) = (all.next(), all.next()) else { return false };
    let password = credentials(presented, "basic").and_then(decode_basic).map(|(_, password)| password);
    password.is_some_and(|password| webhook.knows(&password))
        || credentials(presented, "bearer").is_some_and(|token| webhook.knows(token))
}

/// Ends the grants that the events end. Returns their number. The events of one user are processed in their order.
async fn process(app: &App, events: Vec<DeliveredEvent>, now: Timestamp) -> Result<usize, RecordError> {
    let mut of_users = BTreeMap::<String, Vec<(PingOneEvent, LoginsEnd)>>::new();
    for event in events {
        match event {
            Ok(LoginEvent { kind, ends }) => {
                metrics::pingone_event(kind.into(), "accepted");
                for (sub, logins) in ends {
                    of_users.entry(sub).or_default().push((kind, logins));
                }
            }
            Err((kind, reason)) => {
                let name = kind.map_or("other", <&str>::from);
                metrics::pingone_event(name, reason.into());
                if kind.is_some() {
                    tracing::info!(
                        event = name,
                        reason = <&str>::from(reason),
                        "an event of PingOne has no effect"
                    );
                }
            }
        }
    }
    let (mut ended, mut failure) = (0, None);
    let of_users: Vec<_> = of_users.into_iter().collect();
    for users in of_users.chunks(AT_A_TIME) {
        for result in join_all(users.iter().map(|(sub, ends)| end(app, sub, ends, now))).await {
            match result {
                Ok(count) => ended += count,
                // PingOne would repeat the batch for ever, and send nothing else.
                Err(error @ RecordError::Malformed) => {
                    tracing::error!(%error, "an event of PingOne has no effect on a grant");
                }
                Err(error) => error.add_to(&mut failure),
            }
        }
    }
    failure.map_or(Ok(ended), Err)
}

async fn end(
    app: &App,
    sub: &str,
    ends: &[(PingOneEvent, LoginsEnd)],
    now: Timestamp,
) -> Result<usize, RecordError> {
    let (mut ended, mut failure) = (0, None);
    for (event, logins) in ends {
        match manage::end_logins(app, sub, *logins, *event, now).await {
            Ok(count) => ended += count,
            Err(error) => error.add_to(&mut failure),
        }
    }
    failure.map_or(Ok(ended), Err)
}

/// Bytes of a delivery: 500 events of 8 KiB each.
const LONGEST_DELIVERY: usize = 4 * 1024 * 1024;

/// Users whose events are processed concurrently.
const AT_A_TIME: usize = 16;
