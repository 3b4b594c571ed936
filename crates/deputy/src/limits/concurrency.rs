//! Bounds on what one user, and all users together, have under way.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::api_responses::ApiResponses;
use crate::{
    host::Capacity,
    http::{Response, StaysOpen},
};

/// What is asked of the MCP endpoint of this process at a time, by user and over all users.
#[derive(Clone, Debug)]
pub(crate) struct UserConcurrency(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    of_user: InFlight,
    of_all: InFlight,
    loads: Mutex<AllInFlight>,
}

#[derive(Debug, Default)]
struct AllInFlight {
    all: InFlight,
    users: HashMap<String, InFlight>,
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
pub(super) struct InFlight {
    requests: usize,
    streams: usize,
    /// Of requests, and of responses of the API.
    pub(super) bytes: usize,
}

impl InFlight {
    const REQUEST: Self = Self { requests: 1, streams: 0, bytes: 0 };
    const STREAM: Self = Self { requests: 0, streams: 1, bytes: 0 };

    pub(super) const fn of_bytes(bytes: usize) -> Self {
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

impl UserConcurrency {
    /// Counts up to `capacity`, of which one user has a part.
    pub(crate) fn new(capacity: Capacity) -> Self {
        let Capacity { requests, streams, bytes } = capacity;
        let of_user = InFlight {
            requests: AT_A_TIME,
            streams: (streams / 8).clamp(1, AT_A_TIME),
            bytes: BYTES_AT_A_TIME.min(bytes),
        };
        Self(Arc::new(Inner {
            of_user,
            of_all: InFlight { requests, streams, bytes },
            loads: Mutex::default(),
        }))
    }

    /// Counts one more request of `user` until the response is dropped, or refuses it.
    pub(crate) fn begin(&self, user: &str) -> Result<RequestPermit, Excess> {
        let mut request = self.claim(user);
        request.add(InFlight::REQUEST)?;
        let api_responses = Arc::new(ApiResponses::new(self.claim(user)));
        Ok(RequestPermit { claim: request, api_responses })
    }

    fn claim(&self, user: &str) -> Claim {
        Claim { all: self.clone(), user: user.to_owned(), load: InFlight::default() }
    }

    fn loads(&self) -> MutexGuard<'_, AllInFlight> {
        self.0.loads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one request, or what is read for it, is counted with until this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    all: UserConcurrency,
    user: String,
    pub(super) load: InFlight,
}

impl Claim {
    pub(super) fn add(&mut self, more: InFlight) -> Result<(), Excess> {
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
            if *user == InFlight::default() {
                loads.users.remove(&self.user);
            }
        }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct RequestPermit {
    claim: Claim,
    api_responses: Arc<ApiResponses>,
}

impl RequestPermit {
    /// Counts more bytes of its body, unless too many are kept already.
    pub(crate) fn takes(&mut self, bytes: usize) -> bool {
        self.claim.add(InFlight::of_bytes(bytes)).is_ok()
    }

    /// What counts the responses of the API that are read for this request.
    pub(crate) fn api_responses(&self) -> Arc<ApiResponses> {
        Arc::clone(&self.api_responses)
    }

    /// Counts the request until all of its response has been sent, and as a stream if it stays open, or refuses that.
    pub(crate) fn until_sent(mut self, answer: Response) -> Result<Response, Excess> {
        if answer.extensions().get::<StaysOpen>().is_some() {
            self.claim.add(InFlight::STREAM)?;
        }
        Ok(answer.map(|body| Body::new(PermittedBody { body, _counted: self })))
    }
}

struct PermittedBody {
    body: Body,
    _counted: RequestPermit,
}

impl http_body::Body for PermittedBody {
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
pub(super) const BYTES_AT_A_TIME: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_so_many_requests_at_a_time_and_others_have_theirs() {
        let all = UserConcurrency::new(Capacity::default());
        let mut alices: Vec<_> = (0..AT_A_TIME).map(|_| all.begin("alice").expect("a place")).collect();
        assert_eq!(all.begin("alice").err(), Some(Excess::User));
        assert!(all.begin("bob").is_ok());
        alices.pop();
        assert!(all.begin("alice").is_ok());
        drop(alices);
        assert_eq!(all.loads().all, InFlight::default());
        assert!(all.loads().users.is_empty());
    }

    #[test]
    fn requests_of_all_users_are_bounded_too() {
        let all = UserConcurrency::new(Capacity { requests: 2, ..Capacity::default() });
        let _held = [all.begin("alice").expect("a place"), all.begin("bob").expect("a place")];
        assert_eq!(all.begin("carol").err(), Some(Excess::All));
    }

    #[test]
    fn open_streams_leave_room_for_other_requests() {
        let all = UserConcurrency::new(Capacity { streams: 16, ..Capacity::default() });
        let open = |user| {
            let mut answer = Response::new(Body::empty());
            answer.extensions_mut().insert(StaysOpen);
            all.begin(user).expect("a place").until_sent(answer)
        };
        let of_one: Vec<_> = (0..2).map(|_| open("alice").expect("a stream")).collect();
        assert_eq!(open("alice").err(), Some(Excess::User));
        let users: Vec<_> = (0..14).map(|user| user.to_string()).collect();
        let of_others: Vec<_> = users.iter().map(|user| open(user).expect("a stream")).collect();
        assert_eq!(open("last").err(), Some(Excess::All));
        assert!(all.begin("last").expect("a place").until_sent(Response::new(Body::empty())).is_ok());
        drop((of_one, of_others));
        assert_eq!(all.loads().all, InFlight::default());
    }

    #[test]
    fn a_person_has_so_many_bytes_at_a_time_and_others_have_theirs() {
        let all = UserConcurrency::new(Capacity::default());
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
}
