//! Responses to the requests that a panic interrupts.
//!
//! A panic ends the whole instance of the module. The shim of the `worker` crate creates a new instance for the next
//! request, but the promises of the old one would stay pending until the runtime detects that they hang. So the panic
//! hook settles them: the request that panicked gets a 500 with the id of its log entry, and the other requests of the
//! instance fail.

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

use crate::{bridge::error_response, fill_random};

/// A promise of the output of `work`. A panic settles it too.
pub(crate) fn promise(work: impl Future<Output = Response> + 'static) -> Promise {
    let id = NEXT.get();
    NEXT.set(id.wrapping_add(1));
    let promise = Promise::new(&mut |resolve, reject| {
        PENDING.with_borrow_mut(|pending| pending.insert(id, Resolvers { resolve, reject }));
    });
    spawn_local(async move {
        let mut work = pin!(work);
        let response = std::future::poll_fn(|cx| {
            RUNNING.set(Some(id));
            let polled: Poll<Response> = work.as_mut().poll(cx);
            RUNNING.set(None);
            polled
        })
        .await;
        if let Some(resolvers) = PENDING.with_borrow_mut(|pending| pending.remove(&id)) {
            // The resolving functions of a promise do not throw.
            let _ = resolvers.resolve.call1(&JsValue::UNDEFINED, &response);
        }
    });
    promise
}

/// Installs a panic hook that settles the promises of all requests. Every entry point calls it, because the
/// initialization of the `worker` crate, which may run after [`start`](crate::start), installs a hook of its own.
pub fn install_panic_hook() {
    if INSTALLED.replace(true) {
        return;
    }
    panic::set_hook(Box::new(|info| {
        let mut id = [0; 8];
        fill_random(&mut id);
        let id = u64::from_be_bytes(id);
        let place = info.location().map(ToString::to_string);
        // Without the message, which may quote a request.
        tracing::error!(
            correlation_id = format_args!("{id:016x}"),
            place,
            "the code panicked; this is a bug"
        );
        end_instance();
        settle_all(id);
    }));
}

/// Marks this instance as unusable for the shim, as the hook of the `worker` crate does.
fn end_instance() {
    let state = Reflect::get(&js_sys::global(), &"__worker_init_state".into());
    // Without this state, the shim relies on the exception that follows.
    let _ = state.and_then(|state| Reflect::set(&state, &"criticalError".into(), &true.into()));
}

fn settle_all(id: u64) {
    // The map is borrowed only while it changes, and that does not panic. If it is borrowed nevertheless, the runtime
    // detects the hanging promises.
    let pending =
        PENDING.with(|pending| pending.try_borrow_mut().map(|mut pending| std::mem::take(&mut *pending)));
    let running = RUNNING.take();
    for (request, resolvers) in pending.unwrap_or_default() {
        let _ = if Some(request) == running {
            let text = format!("the server failed; its log has more under {id:016x}");
            resolvers.resolve.call1(&JsValue::UNDEFINED, &error_response(500, &text))
        } else {
            let error = Error::new(&format!("another request failed; see {id:016x}"));
            resolvers.reject.call1(&JsValue::UNDEFINED, &error)
        };
    }
}

/// The functions that settle a promise.
struct Resolvers {
    resolve: Function,
    reject: Function,
}

thread_local! {
    static INSTALLED: Cell<bool> = const { Cell::new(false) };
    static NEXT: Cell<u32> = const { Cell::new(0) };
    /// The request that is being polled.
    static RUNNING: Cell<Option<u32>> = const { Cell::new(None) };
    static PENDING: RefCell<HashMap<u32, Resolvers>> = RefCell::new(HashMap::new());
}
