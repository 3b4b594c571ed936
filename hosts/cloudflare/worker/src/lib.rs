//! Deputy as a Cloudflare Worker. To serve tools of your own, replace [`todo`].

use wasm_bindgen::prelude::*;
use worker::{Env, js_sys::Promise, web_sys::Request};

#[wasm_bindgen(start)]
fn start() {
    deputy_workers::start();
}

/// The fetch event.
#[wasm_bindgen]
pub fn fetch(request: Request, env: Env) -> Promise {
    deputy_workers::serve(request, env, todo::deputy)
}
