//! The request that a line of the log belongs to. A host adds its fields to each line that is written during the request.

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::sync::lock;

use http::{HeaderMap, HeaderName};

/// The header in which a response has the id of its request, and in which a proxy may give the request one. A host removes
/// it from requests that do not come from a trusted proxy.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The ids of the requests that have none from a proxy. They are unique, and no secret.
#[derive(Debug)]
pub(crate) struct RequestIds(AtomicU64);

impl RequestIds {
    /// The ids after `first`, which is random.
    pub(crate) fn new(first: [u8; 8]) -> Self {
        Self(AtomicU64::new(u64::from_ne_bytes(first)))
    }

    /// The id of a request with these headers.
    pub(crate) fn of(&self, headers: &HeaderMap) -> String {
        let is_id = |id: &&str| {
            let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._=".contains(&byte);
            (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(is_known)
        };
        let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(is_id);
        given.map_or_else(|| format!("{:016x}", self.0.fetch_add(STEP, Ordering::Relaxed)), str::to_owned)
    }
}

/// An odd step meets every number, and spreads the ids.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
/// Bytes of the id that a proxy gives.
const LONGEST_ID: usize = 64;

/// The fields of one request, in the order in which they became known.
#[derive(Debug, Default)]
pub(crate) struct LogContext(Mutex<Vec<(&'static str, String)>>);

impl LogContext {
    /// The context of a request with this id.
    pub(crate) fn new(request: &str, address: Option<String>) -> Arc<Self> {
        let mut fields = Vec::with_capacity(8);
        fields.push(("request", request.to_owned()));
        fields.extend(address.map(|address| ("address", address)));
        Arc::new(Self(Mutex::new(fields)))
    }
}

/// Adds a field to the lines of the current request from now on. The first value of a field counts.
pub(crate) fn note(name: &'static str, value: impl Into<String>) {
    with_current(|current| {
        if let Some(LogContext(fields)) = current {
            let mut fields = lock(fields);
            if fields.iter().all(|(known, _)| *known != name) {
                fields.push((name, value.into()));
            }
        }
    });
}

/// Adds the client: its short identifier, and the name that it chose.
pub(crate) fn note_client(id: impl Into<String>, name: Option<&str>) {
    note("client", id);
    if let Some(name) = name {
        note("name", name);
    }
}

/// Gives `each` the fields of the current request: name and value. A host calls it for each line of its log.
pub fn for_each_field(mut each: impl FnMut(&'static str, &str)) {
    with_current(|current| {
        if let Some(LogContext(fields)) = current {
            for (name, value) in lock(fields).iter() {
                each(name, value);
            }
        }
    });
}

/// Calls `work` with the current context. A thread that ends has none any more, and may still log.
fn with_current(work: impl FnOnce(Option<&LogContext>)) {
    // An error means that the thread ends.
    let _ = CURRENT.try_with(|current| work(current.borrow().as_deref()));
}

/// Does `work` as a part of the request of `context`.
pub(crate) async fn within<F: Future>(context: Arc<LogContext>, work: F) -> F::Output {
    let mut work = pin!(work);
    poll_fn(|task| {
        let _entered = Entered::begin(Some(Arc::clone(&context)));
        work.as_mut().poll(task)
    })
    .await
}

/// Does `work` as a part of the current request, also after its response.
pub(crate) fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    within_optional(CURRENT.with_borrow(Clone::clone), work)
}

/// Does `work` with a copy of the current fields. The fields that it adds are its own.
pub(crate) fn with_copied_fields<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let context = CURRENT.with_borrow(|current| {
        let LogContext(fields) = current.as_deref()?;
        let fields = lock(fields).clone();
        Some(Arc::new(LogContext(Mutex::new(fields))))
    });
    within_optional(context, work)
}

async fn within_optional<F: Future>(context: Option<Arc<LogContext>>, work: F) -> F::Output {
    match context {
        Some(context) => within(context, work).await,
        None => work.await,
    }
}

/// The time in which a context is the current one of this thread.
struct Entered(Option<Arc<LogContext>>);

impl Entered {
    fn begin(context: Option<Arc<LogContext>>) -> Self {
        Self(CURRENT.replace(context))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<LogContext>>> = const { RefCell::new(None) };
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn fields() -> Vec<String> {
        let mut fields = Vec::new();
        for_each_field(|name, value| fields.push(format!("{name}={value}")));
        fields
    }

    fn finished<F: Future>(work: F) -> F::Output {
        match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("the work waits"),
        }
    }

    #[test]
    fn field_is_known_within_its_request_and_what_it_left_behind() {
        let context = LogContext::new("r1", Some("192.0.2.1".to_owned()));
        let later = finished(within(context, async {
            note("tool", "list");
            note("tool", "another");
            assert_eq!(fields(), ["request=r1", "address=192.0.2.1", "tool=list"]);
            let later: Pin<Box<dyn Future<Output = Vec<String>>>> = Box::pin(carried(async { fields() }));
            Some(later)
        }));
        let later = later.unwrap();
        assert_eq!(fields(), Vec::<String>::new());
        assert_eq!(finished(later), ["request=r1", "address=192.0.2.1", "tool=list"]);
        note("tool", "none");
        assert_eq!(fields(), Vec::<String>::new());
    }

    #[test]
    fn request_within_a_request_keeps_its_own_fields() {
        let (outer, inner) = (LogContext::new("outer", None), LogContext::new("inner", None));
        finished(within(outer, async {
            finished(within(inner, async { assert_eq!(fields(), ["request=inner"]) }));
            assert_eq!(fields(), ["request=outer"]);
        }));
    }
}
