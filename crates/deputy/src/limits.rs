//! How much strangers may ask from one address, and one person at a time.

use std::{
    collections::HashMap,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http::{Extensions, HeaderValue, header};
use http_body::{Frame, SizeHint};

use crate::{
    host::{ClientAddress, Endpoint, RetryAfter},
    http::Answer,
    server::Server,
};

/// Counts a request to `endpoint` by the address that it comes from.
///
/// Those of this computer are not counted: they are the operator's, or a proxy's that does not say for whom it speaks,
/// and then one stranger could use up what all have.
pub(crate) async fn admitted(
    server: &Server,
    extensions: &Extensions,
    endpoint: Endpoint,
) -> Result<(), RetryAfter> {
    let (Some(limits), Some(source)) = (server.config.rate_limits, stranger(extensions)) else {
        return Ok(());
    };
    let admitted = server.host().admit(endpoint, source, limits.of(endpoint)).await;
    if admitted.is_err() {
        tracing::warn!(?endpoint, %source, "too many requests from one address");
    }
    admitted
}

/// Where a request comes from, if not from this computer.
pub(crate) fn stranger(extensions: &Extensions) -> Option<IpAddr> {
    let address: &ClientAddress = extensions.get()?;
    Some(address.source()).filter(|source| !source.is_loopback())
}

/// Says when the next request may come (RFC 9110 §10.2.3).
pub(crate) fn with_retry_after(mut answer: Answer, RetryAfter(seconds): RetryAfter) -> Answer {
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    answer
}

/// The requests to the MCP endpoint that are being answered, by person. One process counts its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Concurrent(Arc<Mutex<HashMap<String, usize>>>);

impl Concurrent {
    /// Counts one more of `person` until the answer is dropped, or refuses it.
    pub(crate) fn begin(&self, person: &str) -> Option<Counted> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(person.to_owned()).or_default();
        if *count >= AT_A_TIME {
            return None;
        }
        *count += 1;
        Some(Counted { all: self.clone(), person: person.to_owned() })
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Counted {
    all: Concurrent,
    person: String,
}

impl Counted {
    /// Counts the request until all of its answer has been sent.
    pub(crate) fn until_sent(self, answer: Answer) -> Answer {
        answer.map(|body| Body::new(CountedBody { body, _counted: self }))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.person) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.person);
            }
        }
    }
}

struct CountedBody {
    body: Body,
    _counted: Counted,
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Requests of one person at a time: several programs with streams of their own, each calling tools side by side.
const AT_A_TIME: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_so_many_requests_at_a_time_and_others_have_theirs() {
        let all = Concurrent::default();
        let mut alices: Vec<_> = (0..AT_A_TIME).map(|_| all.begin("alice").expect("a place")).collect();
        assert!(all.begin("alice").is_none());
        assert!(all.begin("bob").is_some());
        alices.pop();
        assert!(all.begin("alice").is_some());
        drop(alices);
        assert!(all.0.lock().unwrap().is_empty());
    }
}
