//! The trace of the current request: that of its `traceparent`, which lines of the log and outgoing requests continue.
//!
//! The Worker makes no spans of its own. A request without `traceparent` costs nothing.

use std::{
    cell::Cell,
    pin::Pin,
    task::{Context, Poll},
};

use deputy::trace::TraceParent;
use tracing::Span;

use crate::fill_random;

/// Continues the traces of requests from now on.
pub(crate) fn enable() {
    deputy::trace::enable(|_: &Span, parent| CURRENT.set(Some(parent)));
}

/// The trace of the work that is being polled.
pub(crate) fn current() -> Option<TraceParent> {
    CURRENT.get()
}

/// The trace for a request to another server. Its span is a new one, and its flag says that this server records none: a
/// client must not decide what another server records (W3C Trace Context §3.4, update of `sampled`).
pub(crate) fn for_outgoing() -> Option<TraceParent> {
    let mut span = [0; 8];
    current().map(|parent| {
        fill_random(&mut span);
        TraceParent { span, is_sampled: false, ..parent }
    })
}

/// Calls `poll`, which is a part of the work of `trace`. The work may find its trace meanwhile.
pub(crate) fn within<T>(trace: &mut Option<TraceParent>, poll: impl FnOnce() -> T) -> T {
    let outer = CURRENT.replace(*trace);
    let polled = poll();
    *trace = CURRENT.replace(outer);
    polled
}

/// Work that continues after its request, in the trace of that.
pub(crate) struct InTrace {
    work: Pin<Box<dyn Future<Output = ()>>>,
    trace: Option<TraceParent>,
}

impl InTrace {
    pub(crate) fn of_current(work: impl Future<Output = ()> + 'static) -> Self {
        Self { work: Box::pin(work), trace: current() }
    }
}

impl Future for InTrace {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { work, trace } = &mut *self;
        within(trace, || work.as_mut().poll(context))
    }
}

thread_local! {
    static CURRENT: Cell<Option<TraceParent>> = const { Cell::new(None) };
}
