//! The bytes of the API's responses, counted for the user whose request causes them.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;

use super::in_flight::{Claim, InFlight};
use crate::{host::Meter, sync::lock};

/// The responses of the API that one request causes. A tool's result that is made of them waits to be sent, so the
/// bytes stay counted until the request is over. Later responses of the request use the same share again.
#[derive(Debug)]
pub(crate) struct ApiResponses {
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    claim: Claim,
    in_use: usize,
}

impl ApiResponses {
    pub(super) fn new(claim: Claim) -> Self {
        Self { kept: Mutex::new(Kept { claim, in_use: 0 }) }
    }

    /// Begins to count one more response.
    pub(crate) fn begin(self: &Arc<Self>) -> ApiResponse {
        ApiResponse(Arc::new(InUse { api_responses: Arc::clone(self), bytes: AtomicUsize::new(0) }))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

/// One response of the API, counted while it arrives and until the tool has dropped its body.
pub(crate) struct ApiResponse(Arc<InUse>);

#[derive(Debug)]
struct InUse {
    api_responses: Arc<ApiResponses>,
    bytes: AtomicUsize,
}

impl InUse {
    fn takes(&self, bytes: usize) -> bool {
        let mut kept = self.api_responses.kept();
        let in_use = kept.in_use + bytes;
        let more = in_use.saturating_sub(kept.claim.load.bytes);
        if more > 0 && kept.claim.add(InFlight::of_bytes(more)).is_err() {
            return false;
        }
        kept.in_use = in_use;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        true
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.api_responses.kept().in_use -= self.bytes.load(Ordering::Relaxed);
    }
}

impl ApiResponse {
    /// The meter for the outgoing request, with which the host counts arriving bytes.
    pub(crate) fn meter(&self) -> Meter {
        let in_use = Arc::clone(&self.0);
        Meter::new(move |bytes| in_use.takes(bytes))
    }

    /// The response, counted until its body is dropped. `None`: the host did not count it, and it exceeds the limit.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        host::Capacity,
        limits::{UserConcurrency, in_flight::BYTES_AT_A_TIME},
    };

    #[test]
    fn api_responses_count_until_dropped_and_reuse_their_share() {
        let all = UserConcurrency::new(Capacity::default());
        let large = || http::Response::new(Bytes::from(vec![0; BYTES_AT_A_TIME]));
        let request = all.begin("alice").expect("a place");
        let other = all.begin("alice").expect("a place");
        let kept = request.api_responses().begin().keep(large()).expect("room");
        assert!(
            !request.api_responses().begin().meter().takes(1)
                && !other.api_responses().begin().meter().takes(1)
        );
        drop(kept);
        assert!(request.api_responses().begin().keep(large()).is_some());
        // A result that is made of it waits to be sent.
        assert!(!other.api_responses().begin().meter().takes(1));
        drop(request);
        assert!(other.api_responses().begin().keep(large()).is_some());
    }
}
