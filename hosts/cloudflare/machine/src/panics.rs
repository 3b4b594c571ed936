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
    js_sys::{Error, Function, Promise},
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

/// Has panics settle the promises of requests.
pub(crate) fn answer_them() {
    // In place of the hook before, which would report the message.
    panic::set_hook(Box::new(|info| {
        let mut id = [0; 8];
        fill_random(&mut id);
        let id = u64::from_be_bytes(id);
        let place = info.location().map(ToString::to_string);
        // Without its message, which may quote the data that led to it.
        tracing::error!(correlation_id = format_args!("{id:016x}"), place, "the code panicked; this is a bug");
        settle_all(id);
    }));
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
    static NEXT: Cell<u32> = const { Cell::new(0) };
    /// The request whose code is running.
    static RUNNING: Cell<Option<u32>> = const { Cell::new(None) };
    static PENDING: RefCell<HashMap<u32, Settle>> = RefCell::new(HashMap::new());
}
