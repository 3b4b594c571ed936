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
use http::{Extensions, HeaderMap, HeaderValue, header};
use http_body::{Frame, SizeHint};

use crate::{
    config::RateLimits,
    host::{ClientAddress, Endpoint, RetryAfter, Source, Timestamp},
    http::Answer,
    oauth::DAY,
    server::Server,
};

/// Counts a request to `endpoint` by the address that it comes from, and apart if a page of another site made it.
pub(crate) async fn admitted(
    server: &Server,
    headers: &HeaderMap,
    extensions: &Extensions,
    endpoint: Endpoint,
) -> Result<(), RetryAfter> {
    let (Some(limits), Some(source)) = (server.config.rate_limits, counted(headers, extensions)) else {
        return Ok(());
    };
    let admitted = server.host().admit(endpoint, source, limits.of(endpoint)).await;
    if admitted.is_err() {
        tracing::warn!(?endpoint, %source, "too many requests from one address");
    }
    admitted
}

/// By whom a request is counted, if it is.
///
/// Those of this computer are not counted: they are the operator's, or a proxy's that does not say for whom it speaks,
/// and then one stranger could use up what all have. Those of a page in a browser on it are.
fn counted(headers: &HeaderMap, extensions: &Extensions) -> Option<Source> {
    let address = extensions.get::<ClientAddress>()?.source();
    let source = Source { address, page: by_a_page(headers) };
    (source.page || !address.is_loopback()).then_some(source)
}

/// The clients that have registered since midnight UTC, by the address that they came from. Registrations that nobody uses
/// are stored for weeks, so that their number must be bounded, and not only their rate. One process counts its own: on
/// Workers, where an isolate may live for minutes, the rate alone is bounded.
#[derive(Debug, Default)]
pub(crate) struct Registrations(Mutex<Day>);

#[derive(Debug, Default)]
struct Day {
    number: u64,
    counts: HashMap<Source, u32>,
}

impl Registrations {
    /// Counts one more, or says when the next may come.
    pub(crate) fn admit(
        &self,
        limits: Option<RateLimits>,
        headers: &HeaderMap,
        extensions: &Extensions,
        now: Timestamp,
    ) -> Result<(), RetryAfter> {
        let (Some(limits), Some(source)) = (limits, counted(headers, extensions)) else { return Ok(()) };
        let mut day = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now.0 / DAY;
        if day.number != number {
            *day = Day { number, counts: HashMap::new() };
        }
        // Whoever has more addresses than are remembered must not stop those that come after.
        if day.counts.len() >= SOURCES && !day.counts.contains_key(&source) {
            return Ok(());
        }
        let count = day.counts.entry(source).or_default();
        if *count >= limits.register.get().saturating_mul(REGISTRATIONS) {
            tracing::warn!(%source, "too many registrations from one address in a day");
            return Err(RetryAfter(DAY - now.0 % DAY));
        }
        *count += 1;
        Ok(())
    }
}

/// Registrations of one address in a day: as many as are admitted in an hour.
const REGISTRATIONS: u32 = 60;

/// Addresses that are remembered: a few megabytes.
const SOURCES: usize = 50_000;

/// Where a request comes from, if not from this computer.
pub(crate) fn stranger(extensions: &Extensions) -> Option<IpAddr> {
    let address: &ClientAddress = extensions.get()?;
    Some(address.source()).filter(|source| !source.is_loopback())
}

/// Whether a browser says that a page of another site made the request (Fetch Metadata, `Sec-Fetch-Site`).
fn by_a_page(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site")
}

/// Whether such a page made it without leading the person here: with a script, in a frame, or ahead of time, as no login
/// begins. Browsers that know fewer of these headers send fewer; one that is not there says nothing.
pub(crate) fn in_background(headers: &HeaderMap) -> bool {
    let is_other = |name, value| headers.get(name).is_some_and(|said| said != value);
    by_a_page(headers)
        && (is_other("sec-fetch-mode", "navigate")
            || is_other("sec-fetch-dest", "document")
            || headers.contains_key("sec-purpose"))
}

/// Says when the next request may come (RFC 9110 §10.2.3).
pub(crate) fn with_retry_after(mut answer: Answer, RetryAfter(seconds): RetryAfter) -> Answer {
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    answer
}

/// The requests to the MCP endpoint that are being answered, by person. One process counts its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Concurrent(Arc<Mutex<HashMap<String, Load>>>);

/// What one person asks of this process at a time.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    requests: usize,
    /// Of their bodies.
    bytes: usize,
}

impl Concurrent {
    /// Counts one more of `person` until the answer is dropped, or refuses it.
    pub(crate) fn begin(&self, person: &str) -> Option<Counted> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let load = counts.entry(person.to_owned()).or_default();
        if load.requests >= AT_A_TIME {
            return None;
        }
        load.requests += 1;
        Some(Counted { all: self.clone(), person: person.to_owned(), bytes: 0 })
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Counted {
    all: Concurrent,
    person: String,
    bytes: usize,
}

impl Counted {
    /// Counts more bytes of its body, if the person's requests have not too many already.
    pub(crate) fn takes(&mut self, bytes: usize) -> bool {
        let mut counts = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(load) = counts.get_mut(&self.person).filter(|load| load.bytes + bytes <= BYTES_AT_A_TIME)
        else {
            return false;
        };
        load.bytes += bytes;
        self.bytes += bytes;
        true
    }

    /// Counts the request until all of its answer has been sent.
    pub(crate) fn until_sent(self, answer: Answer) -> Answer {
        answer.map(|body| Body::new(CountedBody { body, _counted: self }))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(load) = counts.get_mut(&self.person) {
            load.requests -= 1;
            load.bytes -= self.bytes;
            if load.requests == 0 {
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

/// Bytes of one person's messages at a time: four of the largest. A Worker has 128 MB for everybody.
const BYTES_AT_A_TIME: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_of_another_site_does_in_the_background_is_told_from_where_it_leads_the_person() {
        let told = |said: &[(&'static str, &'static str)]| {
            let said = said.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            let headers: HeaderMap = said.collect();
            (by_a_page(&headers), in_background(&headers))
        };
        let said = |site, mode, dest| {
            told(&[("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)])
        };
        for site in ["cross-site", "same-site"] {
            assert_eq!(said(site, "navigate", "document"), (true, false));
            assert_eq!(said(site, "navigate", "iframe"), (true, true));
            assert_eq!(said(site, "no-cors", "empty"), (true, true));
            assert_eq!(said(site, "no-cors", "document"), (true, true));
            assert_eq!(told(&[("sec-fetch-site", site)]), (true, false));
            assert_eq!(
                told(&[("sec-fetch-site", site), ("sec-purpose", "prefetch;prerender")]),
                (true, true)
            );
        }
        for site in ["none", "same-origin", "", "other"] {
            assert_eq!(said(site, "cors", "empty"), (false, false), "{site}");
        }
        // What fetch() of Node sends.
        assert_eq!(told(&[("sec-fetch-mode", "cors")]), (false, false));
    }

    #[test]
    fn registrations_of_one_address_in_a_day_are_bounded() {
        let from = |address: &str| {
            let mut extensions = Extensions::new();
            extensions.insert(ClientAddress(address.parse().unwrap()));
            extensions
        };
        let (registrations, limits) = (Registrations::default(), Some(RateLimits::default()));
        let admit = |limits, address: &str, now| {
            registrations.admit(limits, &HeaderMap::new(), &from(address), Timestamp(now))
        };
        let admitted = (0..5000).filter(|_| admit(limits, "192.0.2.1", DAY + 5).is_ok()).count();
        assert_eq!(admitted, 3600);
        assert_eq!(admit(limits, "192.0.2.1", 2 * DAY - 7), Err(RetryAfter(7)));
        assert_eq!(admit(limits, "192.0.2.2", DAY + 5), Ok(()));
        assert_eq!(admit(limits, "192.0.2.1", 2 * DAY), Ok(()));
        // Neither this computer nor anybody where the operator wants no limits.
        for (limits, address) in [(limits, "127.0.0.1"), (None, "192.0.2.3")] {
            assert!((0..5000).all(|_| admit(limits, address, DAY).is_ok()), "{address}");
        }
    }

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

    #[test]
    fn a_person_has_so_many_bytes_at_a_time_and_others_have_theirs() {
        let all = Concurrent::default();
        let begin = |person| all.begin(person).expect("a place");
        let (mut first, mut second, mut bobs) = (begin("alice"), begin("alice"), begin("bob"));
        assert!(first.takes(BYTES_AT_A_TIME - 1) && second.takes(1));
        assert!(!first.takes(1) && !second.takes(1));
        assert!(bobs.takes(BYTES_AT_A_TIME));
        drop(first);
        assert!(second.takes(BYTES_AT_A_TIME - 1) && !second.takes(1));
        drop((second, bobs));
        assert!(all.0.lock().unwrap().is_empty());
    }
}
