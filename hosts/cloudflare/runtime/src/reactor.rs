//! Futures of what JavaScript tells later.
//!
//! Each has a number, and functions that are made once for an instance of the module are told what became of it.
//! `JsFuture` makes two functions for each promise instead, which the runtime must collect.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use deputy::host::Meter;
use wasm_bindgen::prelude::*;
use worker::js_sys::Promise;

/// What becomes of something that JavaScript was asked for.
#[derive(Debug)]
pub struct Settled(u32);

impl Settled {
    /// Asks for something with `start`, which passes the number on.
    pub(crate) fn new<T>(start: impl FnOnce(u32) -> T) -> (Self, T) {
        if !LISTENING.replace(true) {
            listen(
                &Closure::<dyn Fn(u32, bool, JsValue)>::new(settle).into_js_value(),
                &Closure::<dyn Fn(u32)>::new(|id| settle(id, true, JsValue::UNDEFINED)).into_js_value(),
                &Closure::<dyn Fn(u32, u32) -> bool>::new(takes).into_js_value(),
            );
        }
        let id = NEXT.get();
        NEXT.set(id.wrapping_add(1));
        WAITING.with_borrow_mut(|waiting| waiting.insert(id, State::default()));
        let settled = Self(id);
        (settled, start(id))
    }

    /// Has `meter` decide how many bytes may arrive for this.
    pub(crate) fn metered(self, meter: Option<Meter>) -> Self {
        WAITING.with_borrow_mut(|waiting| {
            if let Some(state) = waiting.get_mut(&self.0) {
                state.meter = meter;
            }
        });
        self
    }

    /// What becomes of `promise`.
    pub fn of(promise: &Promise) -> Self {
        Self::new(|id| follow(id, promise)).0
    }
}

impl Future for Settled {
    type Output = Result<JsValue, JsValue>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        WAITING.with_borrow_mut(|waiting| {
            let Some(state) = waiting.get_mut(&self.0) else { return Poll::Pending };
            if let Some(outcome) = state.outcome.take() {
                return Poll::Ready(outcome);
            }
            state.waker = Some(context.waker().clone());
            Poll::Pending
        })
    }
}

impl Drop for Settled {
    fn drop(&mut self) {
        // What it held is dropped afterwards: that may drop another one.
        let _state = WAITING.with_borrow_mut(|waiting| waiting.remove(&self.0));
    }
}

#[derive(Default)]
struct State {
    outcome: Option<Result<JsValue, JsValue>>,
    waker: Option<Waker>,
    meter: Option<Meter>,
}

/// JavaScript tells. Numbers that nobody waits for any more are passed over.
fn settle(id: u32, fulfilled: bool, value: JsValue) {
    let waker = WAITING.with_borrow_mut(|waiting| {
        let state = waiting.get_mut(&id)?;
        state.outcome = Some(if fulfilled { Ok(value) } else { Err(value) });
        state.waker.take()
    });
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Whether so many bytes more may be kept.
fn takes(id: u32, bytes: u32) -> bool {
    let meter = WAITING.with_borrow(|waiting| waiting.get(&id).and_then(|state| state.meter.clone()));
    meter.is_none_or(|meter| meter.takes(bytes as usize))
}

thread_local! {
    static LISTENING: Cell<bool> = const { Cell::new(false) };
    static NEXT: Cell<u32> = const { Cell::new(0) };
    static WAITING: RefCell<BTreeMap<u32, State>> = const { RefCell::new(BTreeMap::new()) };
}

#[wasm_bindgen(module = "/src/bridge.js")]
extern "C" {
    fn listen(on_settled: &JsValue, on_elapsed: &JsValue, may_take: &JsValue);

    fn follow(id: u32, promise: &Promise);
}
