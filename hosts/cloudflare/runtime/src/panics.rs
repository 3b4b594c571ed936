//! What becomes of a request when the code panics.
//!
//! A panic ends the whole instance of the module. Worker's shim makes a new one for the next request, but the promises of
//! the old one would stay open until the runtime finds that they hang. So each is settled here while the panic is still
//! being reported: the request whose code panicked gets a 500 that names its entry in the log, the others, whose work is
//! lost too, fail.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    panic,
    pin::pin,
    task::Poll,
};

use wasm_bindgen::JsValue;
use worker::{
    js_sys::{self, Error, Function, Promise, Reflect},
    wasm_bindgen_futures::spawn_local,
    web_sys::Response,
};

use crate::{bridge::failure, fill_random};

/// A promise of what `work` comes to, settled even by a panic.
pub(crate) fn promise(work: impl Future<Output = Response> + 'static) -> Promise {
    let number = NEXT.get();
    NEXT.set(number.wrapping_add(1));
    let promise = Promise::new(&mut |resolve, reject| {
        PENDING.with_borrow_mut(|pending| pending.insert(number, Settle { resolve, reject }));
    });
    spawn_local(async move {
        let mut work = pin!(work);
        let response = std::future::poll_fn(|cx| {
            RUNNING.set(Some(number));
            let polled: Poll<Response> = work.as_mut().poll(cx);
            RUNNING.set(None);
            polled
        })
        .await;
        if let Some(settle) = PENDING.with_borrow_mut(|pending| pending.remove(&number)) {
            // A promise does not throw when it is settled.
            let _ = settle.resolve.call1(&JsValue::UNDEFINED, &response);
        }
    });
    promise
}

/// Has panics settle the promises of requests. For whatever the runtime enters: worker's own initialization, which may come
/// after every other, has a hook that reports messages.
pub fn answer_panics() {
    if ANSWERED.replace(true) {
        return;
    }
    panic::set_hook(Box::new(|info| {
        let mut id = [0; 8];
        fill_random(&mut id);
        let id = u64::from_be_bytes(id);
        let place = info.location().map(ToString::to_string);
        // Without its message, which may quote the data that led to it.
        tracing::error!(
            correlation_id = format_args!("{id:016x}"),
            place,
            "the code panicked; this is a bug"
        );
        end_instance();
        settle_all(id);
    }));
}

/// What worker's own hook does beside reporting: its shim learns that this instance is not to be entered again.
fn end_instance() {
    let state = Reflect::get(&js_sys::global(), &"__worker_init_state".into());
    // Where there is none, the shim learns it from the exception that follows.
    let _ = state.and_then(|state| Reflect::set(&state, &"criticalError".into(), &true.into()));
}

fn settle_all(id: u64) {
    // Borrowed only while the map changes, where nothing panics; if it is, the runtime finds the hanging promises.
    let pending =
        PENDING.with(|pending| pending.try_borrow_mut().map(|mut pending| std::mem::take(&mut *pending)));
    let running = RUNNING.take();
    for (number, settle) in pending.unwrap_or_default() {
        let _ = if Some(number) == running {
            let text = format!("the server failed; its log has more under {id:016x}");
            settle.resolve.call1(&JsValue::UNDEFINED, &failure(500, &text))
        } else {
            let error = Error::new(&format!("another request failed; see {id:016x}"));
            settle.reject.call1(&JsValue::UNDEFINED, &error)
        };
    }
}

/// The two functions of a promise.
struct Settle {
    resolve: Function,
    reject: Function,
}

thread_local! {
    static ANSWERED: Cell<bool> = const { Cell::new(false) };
    static NEXT: Cell<u32> = const { Cell::new(0) };
    /// The request whose code is running.
    static RUNNING: Cell<Option<u32>> = const { Cell::new(None) };
    static PENDING: RefCell<HashMap<u32, Settle>> = RefCell::new(HashMap::new());
}
