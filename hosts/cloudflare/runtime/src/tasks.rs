//! Requests as tasks of one thread.
//!
//! A request whose response waits for no I/O has its response at once, without a promise. Any other gets a promise, and
//! its task is polled in the call of JavaScript that completes what it waits for.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use deputy::trace::TraceParent;
use wasm_bindgen::prelude::*;
use worker::{js_sys::Promise, wasm_bindgen_futures::spawn_local, web_sys::Response};

use crate::trace;

/// Starts a task. Returns the output of `work`, or a promise of it.
pub(crate) fn start(work: impl Future<Output = Response> + 'static) -> JsValue {
    let id = NEXT.get();
    NEXT.set(id.wrapping_add(1));
    let mut task = Task {
        work: Box::pin(work),
        wakeup: Arc::new(Wakeup { id, queued: AtomicBool::new(false) }),
        trace: None,
    };
    match task.poll() {
        Poll::Ready(response) => response.into(),
        Poll::Pending => {
            TASKS.with_borrow_mut(|tasks| tasks.insert(id, task));
            promise(id).into()
        }
    }
}

/// Calls `wake`, which may wake tasks, and polls them.
pub(crate) fn waking(wake: impl FnOnce()) {
    // A call within a poll, or while a run is scheduled, leaves the tasks to that run.
    if RUN_IS_DUE.replace(true) {
        wake();
    } else {
        wake();
        run();
    }
}

/// The request that is being polled.
pub(crate) fn running() -> Option<u32> {
    RUNNING.get()
}

/// Polls the tasks that are awake now. Those that wake meanwhile are polled in a later call.
fn run() {
    for _ in 0..AWAKE.with_borrow(VecDeque::len) {
        let Some(id) = AWAKE.with_borrow_mut(VecDeque::pop_front) else { break };
        let Some(mut task) = TASKS.with_borrow_mut(|tasks| tasks.remove(&id)) else { continue };
        match task.poll() {
            Poll::Ready(response) => settle(id, &response),
            Poll::Pending => drop(TASKS.with_borrow_mut(|tasks| tasks.insert(id, task))),
        }
    }
    RUN_IS_DUE.set(false);
    if AWAKE.with_borrow(|awake| !awake.is_empty()) {
        schedule();
    }
}

fn schedule() {
    if !RUN_IS_DUE.replace(true) {
        spawn_local(async { run() });
    }
}

struct Task {
    work: Pin<Box<dyn Future<Output = Response>>>,
    wakeup: Arc<Wakeup>,
    trace: Option<TraceParent>,
}

impl Task {
    fn poll(&mut self) -> Poll<Response> {
        let waker = Waker::from(Arc::clone(&self.wakeup));
        self.wakeup.queued.store(false, Ordering::Relaxed);
        let outer = RUNNING.replace(Some(self.wakeup.id));
        let Self { work, trace, .. } = self;
        let polled = trace::within(trace, || work.as_mut().poll(&mut Context::from_waker(&waker)));
        RUNNING.set(outer);
        polled
    }
}

struct Wakeup {
    id: u32,
    queued: AtomicBool,
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            AWAKE.with_borrow_mut(|awake| awake.push_back(self.id));
            schedule();
        }
    }
}

thread_local! {
    static NEXT: Cell<u32> = const { Cell::new(0) };
    static RUNNING: Cell<Option<u32>> = const { Cell::new(None) };
    static TASKS: RefCell<HashMap<u32, Task>> = RefCell::default();
    static AWAKE: RefCell<VecDeque<u32>> = const { RefCell::new(VecDeque::new()) };
    /// Whether [`run`] is under way, or will be called.
    static RUN_IS_DUE: Cell<bool> = const { Cell::new(false) };
}

#[wasm_bindgen(module = "/src/bridge.js")]
extern "C" {
    fn promise(id: u32) -> Promise;

    fn settle(id: u32, response: &Response);
}
