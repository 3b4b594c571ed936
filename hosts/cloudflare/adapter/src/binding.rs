//! Bindings of a Worker.

use wasm_bindgen::JsValue;
use worker::{Env, Error, js_sys::Reflect, send::SendWrapper};

/// The binding `name` of `env`. Fails if it is missing.
pub(crate) fn binding(env: &Env, name: &str) -> worker::Result<SendWrapper<JsValue>> {
    let binding = Reflect::get(env.as_ref(), &name.into()).unwrap_or(JsValue::UNDEFINED);
    if binding.is_object() {
        Ok(SendWrapper::new(binding))
    } else {
        Err(Error::BindingError(name.to_owned()))
    }
}
