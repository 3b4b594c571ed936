//! Deputy as a Cloudflare Worker. To serve tools of your own, replace [`todo`].

use wasm_bindgen::prelude::*;
use worker::{Env, web_sys::Request};

#[wasm_bindgen(start)]
fn start() {
    deputy_workers::start();
}

/// Responds to a request.
#[wasm_bindgen]
pub fn respond(request: Request, env: Env) -> JsValue {
    deputy_workers::serve(request, env, todo::deputy)
}
