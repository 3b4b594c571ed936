//! Rate limits by remote address. The runtime counts the requests.

use deputy::host::{EndpointKind, RetryAfter, Source};
use wasm_bindgen::prelude::*;
use worker::{
    Env,
    js_sys::Promise,
    send::{SendFuture, SendWrapper},
};
use workers_runtime::{Completion, exception_message};

use crate::binding::binding;

/// The bindings `AUTHORIZE_RATE`, `REGISTER_RATE` and `TOKEN_RATE`. `wrangler.jsonc` has the limits. Each of
/// Cloudflare's locations counts separately.
#[derive(Debug)]
pub struct RateLimits {
    authorize: SendWrapper<JsValue>,
    register: SendWrapper<JsValue>,
    token: SendWrapper<JsValue>,
}

impl RateLimits {
    /// The rate limits in the bindings of `env`. Fails if one is missing.
    pub fn new(env: &Env) -> worker::Result<Self> {
        Ok(Self {
            authorize: binding(env, "AUTHORIZE_RATE")?,
            register: binding(env, "REGISTER_RATE")?,
            token: binding(env, "TOKEN_RATE")?,
        })
    }

    /// Counts a request of `source`, and rejects it beyond the limit of `endpoint`.
    pub async fn admit(&self, endpoint: EndpointKind, source: Source) -> Result<(), RetryAfter> {
        let limiter = match endpoint {
            EndpointKind::Authorize => &self.authorize,
            EndpointKind::Register => &self.register,
            EndpointKind::Token => &self.token,
        };
        let admitted =
            SendFuture::new(async move { Completion::of(&admit(limiter, &source.to_string())?).await });
        match admitted.await.map(|admitted| admitted.as_bool()) {
            Ok(Some(false)) => Err(RetryAfter(PERIOD)),
            Ok(_) => Ok(()),
            Err(error) => {
                let error = exception_message(&error);
                tracing::error!(error, "the rate limiter failed; the request is not limited");
                Ok(())
            }
        }
    }
}

/// The period of all limits in `wrangler.jsonc`, in seconds.
const PERIOD: u64 = 60;

#[wasm_bindgen(module = "/src/rate_limits.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn admit(limiter: &JsValue, key: &str) -> Result<Promise, JsValue>;
}
