//! The permit of one request, held until its response is sent.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{
    api_responses::ApiResponses,
    in_flight::{Claim, Excess, InFlight, UserConcurrency},
};
use crate::http::{Response, StaysOpen};

impl UserConcurrency {
    /// Counts one more request of `user` until the response is dropped, or refuses it.
    pub(crate) fn begin(&self, user: &str) -> Result<RequestPermit, Excess> {
        let mut request = self.claim(user);
        request.add(InFlight::REQUEST)?;
        let api_responses = Arc::new(ApiResponses::new(self.claim(user)));
        Ok(RequestPermit { claim: request, api_responses })
    }
}

/// The permit of a request that is being served.
#[derive(Debug)]
pub(crate) struct RequestPermit {
    claim: Claim,
    api_responses: Arc<ApiResponses>,
}

impl RequestPermit {
    /// Counts more bytes of its body. `false`: there are too many already.
    pub(crate) fn takes(&mut self, bytes: usize) -> bool {
        self.claim.add(InFlight::of_bytes(bytes)).is_ok()
    }

    /// Counts the responses of the API that this request causes.
    pub(crate) fn api_responses(&self) -> Arc<ApiResponses> {
        Arc::clone(&self.api_responses)
    }

    /// Holds the permit until the whole response is sent. A stream that stays open is counted as a stream too, or
    /// refused.
    pub(crate) fn until_sent(mut self, response: Response) -> Result<Response, Excess> {
        if response.extensions().get::<StaysOpen>().is_some() {
            self.claim.add(InFlight::STREAM)?;
        }
        Ok(response.map(|body| Body::new(PermittedBody { body, _counted: self })))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        host::Capacity,
        limits::in_flight::{AT_A_TIME, BYTES_AT_A_TIME},
    };

    #[test]
    fn requests_of_one_user_at_a_time_are_bounded() {
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
            let mut response = Response::new(Body::empty());
            response.extensions_mut().insert(StaysOpen);
            all.begin(user).expect("a place").until_sent(response)
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
    fn bytes_of_one_user_at_a_time_are_bounded() {
        let all = UserConcurrency::new(Capacity::default());
        let begin = |user| all.begin(user).expect("a place");
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
