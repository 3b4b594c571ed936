//! Futures that JavaScript completes.
//!
//! Each has an id. JavaScript passes the id and the result to functions that are created once for an instance of the
//! module. `JsFuture` creates two closures for each promise instead, which the runtime must collect.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use deputy::host::Meter;
use wasm_bindgen::prelude::*;
use worker::js_sys::Promise;

use crate::tasks;

/// A future that JavaScript completes with a value or an exception.
#[derive(Debug)]
pub struct Completion(u32);

impl Completion {
    /// Calls `start` with the id of a new completion, which `start` passes to JavaScript.
    pub(crate) fn start<T>(start: impl FnOnce(u32) -> T) -> (Self, T) {
        if !REGISTERED.replace(true) {
            register(
                &Closure::<dyn Fn(u32, bool, JsValue)>::new(complete).into_js_value(),
                &Closure::<dyn Fn(u32)>::new(|id| complete(id, true, JsValue::UNDEFINED)).into_js_value(),
                &Closure::<dyn Fn(u32, u32) -> bool>::new(may_keep).into_js_value(),
            );
        }
        let id = NEXT.get();
        NEXT.set(id.wrapping_add(1));
        PENDING.with_borrow_mut(|pending| pending.insert(id, State::default()));
        let completion = Self(id);
        (completion, start(id))
    }

    /// Lets `meter` decide how many bytes may arrive for this completion.
    pub(crate) fn with_meter(self, meter: Option<Meter>) -> Self {
        PENDING.with_borrow_mut(|pending| {
            if let Some(state) = pending.get_mut(&self.0) {
                state.meter = meter;
            }
        });
        self
    }

    /// The result of `promise`.
    pub fn of(promise: &Promise) -> Self {
        Self::start(|id| report(id, promise)).0
    }
}

impl Future for Completion {
    type Output = Result<JsValue, JsValue>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        PENDING.with_borrow_mut(|pending| {
            let Some(state) = pending.get_mut(&self.0) else { return Poll::Pending };
            if let Some(outcome) = state.outcome.take() {
                return Poll::Ready(outcome);
            }
            state.waker = Some(context.waker().clone());
            Poll::Pending
        })
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        // The state is dropped after the borrow ends, because its waker may own another completion.
        let _state = PENDING.with_borrow_mut(|pending| pending.remove(&self.0));
    }
}

#[derive(Default)]
struct State {
    outcome: Option<Result<JsValue, JsValue>>,
    waker: Option<Waker>,
    meter: Option<Meter>,
}

/// Called by JavaScript. The ids of dropped completions are ignored.
fn complete(id: u32, fulfilled: bool, value: JsValue) {
    let waker = PENDING.with_borrow_mut(|pending| {
        let state = pending.get_mut(&id)?;
        state.outcome = Some(if fulfilled { Ok(value) } else { Err(value) });
        state.waker.take()
    });
    if let Some(waker) = waker {
        tasks::waking(|| waker.wake());
    }
}

/// Called by JavaScript: whether it may keep `bytes` more bytes for the completion.
fn may_keep(id: u32, bytes: u32) -> bool {
    let meter = PENDING.with_borrow(|pending| pending.get(&id).and_then(|state| state.meter.clone()));
    meter.is_none_or(|meter| meter.takes(bytes as usize))
}

thread_local! {
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
    static NEXT: Cell<u32> = const { Cell::new(0) };
    static PENDING: RefCell<BTreeMap<u32, State>> = const { RefCell::new(BTreeMap::new()) };
}

#[wasm_bindgen(module = "/src/bridge.js")]
extern "C" {
    fn register(on_complete: &JsValue, on_elapsed: &JsValue, may_keep: &JsValue);

    fn report(id: u32, promise: &Promise);
}
