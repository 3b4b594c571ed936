//! Counts of requests by address, which the runtime keeps.

use deputy::host::{Endpoint, RetryAfter, Source};
use worker::{Env, RateLimiter, send::SendFuture};

/// The bindings `AUTHORIZE_RATE`, `REGISTER_RATE` and `TOKEN_RATE`, in whose configuration the numbers are. Each of
/// Cloudflare's locations counts for itself.
#[derive(Debug)]
pub struct RateLimits {
    authorize: RateLimiter,
    register: RateLimiter,
    token: RateLimiter,
}

impl RateLimits {
    /// The limits in the bindings of `env`.
    pub fn new(env: &Env) -> worker::Result<Self> {
        Ok(Self {
            authorize: env.rate_limiter("AUTHORIZE_RATE")?,
            register: env.rate_limiter("REGISTER_RATE")?,
            token: env.rate_limiter("TOKEN_RATE")?,
        })
    }

    /// Counts a request.
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
                tracing::error!(%error, "requests are not counted");
                Ok(())
            }
        }
    }
}

/// Seconds, as in the configuration of the bindings.
const PERIOD: u64 = 60;
