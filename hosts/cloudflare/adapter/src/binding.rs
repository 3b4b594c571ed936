//! Bindings of a Worker.

use wasm_bindgen::JsValue;
use worker::{Env, Error, js_sys::Reflect, send::SendWrapper};

/// The binding `name` of `env`. Fails if it is missing.
pub(crate) fn binding(env: &Env, name: &str) -> worker::Result<SendWrapper<JsValue>> {
    optional_binding(env, name).ok_or_else(|| Error::BindingError(name.to_owned()))
}

/// The binding `name` of `env`, if there is one.
pub(crate) fn optional_binding(env: &Env, name: &str) -> Option<SendWrapper<JsValue>> {
    let binding = Reflect::get(env.as_ref(), &name.into()).ok().filter(JsValue::is_object);
    binding.map(SendWrapper::new)
}
