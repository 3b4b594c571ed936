//! Rate limits by remote address. The runtime counts the requests.

use deputy::host::{Endpoint, RetryAfter, Source};
use worker::{Env, RateLimiter, send::SendFuture};

/// The bindings `AUTHORIZE_RATE`, `REGISTER_RATE` and `TOKEN_RATE`. `wrangler.jsonc` has the limits. Each of
/// Cloudflare's locations counts separately.
#[derive(Debug)]
pub struct RateLimits {
    authorize: RateLimiter,
    register: RateLimiter,
    token: RateLimiter,
}

impl RateLimits {
    /// The rate limits in the bindings of `env`. Fails if one is missing.
    pub fn new(env: &Env) -> worker::Result<Self> {
        Ok(Self {
            authorize: env.rate_limiter("AUTHORIZE_RATE")?,
            register: env.rate_limiter("REGISTER_RATE")?,
            token: env.rate_limiter("TOKEN_RATE")?,
        })
    }

    /// Counts a request of `source`, and rejects it beyond the limit of `endpoint`.
    pub async fn admit(&self, endpoint: Endpoint, source: Source) -> Result<(), RetryAfter> {
        let limiter = match endpoint {
            Endpoint::Authorize => &self.authorize,
            Endpoint::Register => &self.register,
            Endpoint::Token => &self.token,
        };
        match SendFuture::new(limiter.limit(source.to_string())).await {
            Ok(outcome) if !outcome.success => Err(RetryAfter(PERIOD)),
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::error!(%error, "the rate limiter failed; the request is not limited");
                Ok(())
            }
        }
    }
}

/// The period of all limits in `wrangler.jsonc`, in seconds.
const PERIOD: u64 = 60;
