//! How much is served: from one address in a minute, and of one user and of all users at a time.

use std::{
    collections::HashMap,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderValue, header};
use http_body::{Frame, SizeHint};

use crate::{
    config::RateLimits,
    host::{Capacity, ClientAddress, Endpoint, Meter, RetryAfter, Source, Timestamp},
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

/// The source that a request is counted for, if it is counted.
///
/// Requests from this computer are not counted: they are the operator's, or those of a proxy that does not name its
/// clients, where one client could use up the limit of all. Requests by a page in a browser on this computer are.
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
        // More addresses than are remembered must not stop those that come later.
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

/// What is asked of the MCP endpoint of this process at a time, by user and over all users.
#[derive(Clone, Debug)]
pub(crate) struct Concurrent(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    of_user: Load,
    of_all: Load,
    loads: Mutex<Loads>,
}

#[derive(Debug, Default)]
struct Loads {
    all: Load,
    users: HashMap<String, Load>,
}

/// Whose requests are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    /// Those of all users together.
    All,
    /// Those of one user.
    User,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Load {
    requests: usize,
    streams: usize,
    /// Of requests, and of responses of the API.
    bytes: usize,
}

impl Load {
    const REQUEST: Self = Self { requests: 1, streams: 0, bytes: 0 };
    const STREAM: Self = Self { requests: 0, streams: 1, bytes: 0 };

    const fn of_bytes(bytes: usize) -> Self {
        Self { requests: 0, streams: 0, bytes }
    }

    const fn plus(self, more: Self) -> Self {
        Self {
            requests: self.requests + more.requests,
            streams: self.streams + more.streams,
            bytes: self.bytes + more.bytes,
        }
    }

    const fn minus(self, less: Self) -> Self {
        Self {
            requests: self.requests - less.requests,
            streams: self.streams - less.streams,
            bytes: self.bytes - less.bytes,
        }
    }

    const fn fits(self, limit: Self) -> bool {
        self.requests <= limit.requests && self.streams <= limit.streams && self.bytes <= limit.bytes
    }
}

impl Concurrent {
    /// Counts up to `capacity`, of which one user has a part.
    pub(crate) fn new(capacity: Capacity) -> Self {
        let Capacity { requests, streams, bytes } = capacity;
        let of_user = Load {
            requests: AT_A_TIME,
            streams: (streams / 8).clamp(1, AT_A_TIME),
            bytes: BYTES_AT_A_TIME.min(bytes),
        };
        Self(Arc::new(Inner { of_user, of_all: Load { requests, streams, bytes }, loads: Mutex::default() }))
    }

    /// Counts one more request of `user` until the response is dropped, or refuses it.
    pub(crate) fn begin(&self, user: &str) -> Result<Counted, Excess> {
        let mut request = self.claim(user);
        request.add(Load::REQUEST)?;
        let answers = Arc::new(ApiAnswers { kept: Mutex::new(Kept { claim: self.claim(user), in_use: 0 }) });
        Ok(Counted { claim: request, answers })
    }

    fn claim(&self, user: &str) -> Claim {
        Claim { all: self.clone(), user: user.to_owned(), load: Load::default() }
    }

    fn loads(&self) -> MutexGuard<'_, Loads> {
        self.0.loads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one request, or what is read for it, is counted with until this is dropped.
#[derive(Debug)]
struct Claim {
    all: Concurrent,
    user: String,
    load: Load,
}

impl Claim {
    fn add(&mut self, more: Load) -> Result<(), Excess> {
        let mut loads = self.all.loads();
        let user = loads.users.get(&self.user).copied().unwrap_or_default().plus(more);
        let all = loads.all.plus(more);
        if !user.fits(self.all.0.of_user) {
            return Err(Excess::User);
        }
        if !all.fits(self.all.0.of_all) {
            return Err(Excess::All);
        }
        loads.all = all;
        loads.users.insert(self.user.clone(), user);
        self.load = self.load.plus(more);
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut loads = self.all.loads();
        loads.all = loads.all.minus(self.load);
        if let Some(user) = loads.users.get_mut(&self.user) {
            *user = user.minus(self.load);
            if *user == Load::default() {
                loads.users.remove(&self.user);
            }
        }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Counted {
    claim: Claim,
    answers: Arc<ApiAnswers>,
}

impl Counted {
    /// Counts more bytes of its body, unless too many are kept already.
    pub(crate) fn takes(&mut self, bytes: usize) -> bool {
        self.claim.add(Load::of_bytes(bytes)).is_ok()
    }

    /// What counts the responses of the API that are read for this request.
    pub(crate) fn answers(&self) -> Arc<ApiAnswers> {
        Arc::clone(&self.answers)
    }

    /// Counts the request until all of its response has been sent, and as a stream if it stays open, or refuses that.
    pub(crate) fn until_sent(mut self, answer: Answer) -> Result<Answer, Excess> {
        if answer.extensions().get::<StaysOpen>().is_some() {
            self.claim.add(Load::STREAM)?;
        }
        Ok(answer.map(|body| Body::new(CountedBody { body, _counted: self })))
    }
}

/// In a response's extensions: it is a stream that waits for a tool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StaysOpen;

/// The responses of the API that are read for one request. What a tool makes of them waits to be sent, so what has been
/// counted once stays counted until the request is over, and is used again for the next of them.
#[derive(Debug)]
pub(crate) struct ApiAnswers {
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    claim: Claim,
    in_use: usize,
}

impl ApiAnswers {
    /// Counts one more response.
    pub(crate) fn begin(self: &Arc<Self>) -> ApiAnswer {
        ApiAnswer(Arc::new(InUse { answers: Arc::clone(self), bytes: AtomicUsize::new(0) }))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One response of the API, counted while it arrives and until the tool has dropped its body.
pub(crate) struct ApiAnswer(Arc<InUse>);

#[derive(Debug)]
struct InUse {
    answers: Arc<ApiAnswers>,
    bytes: AtomicUsize,
}

impl InUse {
    fn takes(&self, bytes: usize) -> bool {
        let mut kept = self.answers.kept();
        let in_use = kept.in_use + bytes;
        let more = in_use.saturating_sub(kept.claim.load.bytes);
        if more > 0 && kept.claim.add(Load::of_bytes(more)).is_err() {
            return false;
        }
        kept.in_use = in_use;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        true
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.answers.kept().in_use -= self.bytes.load(Ordering::Relaxed);
    }
}

impl ApiAnswer {
    /// For the request, so that the host counts what arrives.
    pub(crate) fn meter(&self) -> Meter {
        let in_use = Arc::clone(&self.0);
        Meter::new(move |bytes| in_use.takes(bytes))
    }

    /// The response, counted until its body is dropped. `None`: it is too much, where the host has not counted it.
    pub(crate) fn keep(self, response: http::Response<Bytes>) -> Option<http::Response<Bytes>> {
        let uncounted = response.body().len().saturating_sub(self.0.bytes.load(Ordering::Relaxed));
        let counted = uncounted == 0 || self.0.takes(uncounted);
        counted.then(|| response.map(|body| Bytes::from_owner(CountedBytes { body, _in_use: self.0 })))
    }
}

struct CountedBytes {
    body: Bytes,
    _in_use: Arc<InUse>,
}

impl AsRef<[u8]> for CountedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.body
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

/// Requests of one user at a time: several programs with streams of their own, each calling tools side by side.
const AT_A_TIME: usize = 64;

/// Bytes that are kept for one user at a time: four of the largest messages, or four of the largest responses of the API.
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
        // This computer has no limit, and no address has one with `RATE_LIMITS=off`.
        for (limits, address) in [(limits, "127.0.0.1"), (None, "192.0.2.3")] {
            assert!((0..5000).all(|_| admit(limits, address, DAY).is_ok()), "{address}");
        }
    }

    #[test]
    fn a_person_has_so_many_requests_at_a_time_and_others_have_theirs() {
        let all = Concurrent::new(Capacity::default());
        let mut alices: Vec<_> = (0..AT_A_TIME).map(|_| all.begin("alice").expect("a place")).collect();
        assert_eq!(all.begin("alice").err(), Some(Excess::User));
        assert!(all.begin("bob").is_ok());
        alices.pop();
        assert!(all.begin("alice").is_ok());
        drop(alices);
        assert_eq!(all.loads().all, Load::default());
        assert!(all.loads().users.is_empty());
    }

    #[test]
    fn requests_of_all_users_are_bounded_too() {
        let all = Concurrent::new(Capacity { requests: 2, ..Capacity::default() });
        let _held = [all.begin("alice").expect("a place"), all.begin("bob").expect("a place")];
        assert_eq!(all.begin("carol").err(), Some(Excess::All));
    }

    #[test]
    fn open_streams_leave_room_for_other_requests() {
        let all = Concurrent::new(Capacity { streams: 16, ..Capacity::default() });
        let open = |user| {
            let mut answer = Answer::new(Body::empty());
            answer.extensions_mut().insert(StaysOpen);
            all.begin(user).expect("a place").until_sent(answer)
        };
        let of_one: Vec<_> = (0..2).map(|_| open("alice").expect("a stream")).collect();
        assert_eq!(open("alice").err(), Some(Excess::User));
        let users: Vec<_> = (0..14).map(|user| user.to_string()).collect();
        let of_others: Vec<_> = users.iter().map(|user| open(user).expect("a stream")).collect();
        assert_eq!(open("last").err(), Some(Excess::All));
        assert!(all.begin("last").expect("a place").until_sent(Answer::new(Body::empty())).is_ok());
        drop((of_one, of_others));
        assert_eq!(all.loads().all, Load::default());
    }

    #[test]
    fn a_person_has_so_many_bytes_at_a_time_and_others_have_theirs() {
        let all = Concurrent::new(Capacity::default());
        let begin = |person| all.begin(person).expect("a place");
        let (mut first, mut second, mut bobs) = (begin("alice"), begin("alice"), begin("bob"));
        assert!(first.takes(BYTES_AT_A_TIME - 1) && second.takes(1));
        assert!(!first.takes(1) && !second.takes(1));
        assert!(bobs.takes(BYTES_AT_A_TIME));
        drop(first);
        assert!(second.takes(BYTES_AT_A_TIME - 1) && !second.takes(1));
        drop((second, bobs));
        assert!(all.loads().users.is_empty());
    }

    #[test]
    fn api_responses_count_until_dropped_and_reuse_their_share() {
        let all = Concurrent::new(Capacity::default());
        let large = || http::Response::new(Bytes::from(vec![0; BYTES_AT_A_TIME]));
        let request = all.begin("alice").expect("a place");
        let other = all.begin("alice").expect("a place");
        let kept = request.answers().begin().keep(large()).expect("room");
        assert!(!request.answers().begin().meter().takes(1) && !other.answers().begin().meter().takes(1));
        drop(kept);
        assert!(request.answers().begin().keep(large()).is_some());
        // What a tool made of it waits to be sent.
        assert!(!other.answers().begin().meter().takes(1));
        drop(request);
        assert!(other.answers().begin().keep(large()).is_some());
    }
}
