//! [`deputy::host::Host`] on Workers.

use std::{num::NonZeroU32, time::Duration};

use bytes::Bytes;
use deputy::host::{
    BoxFuture, Endpoint, FetchError, FetchLimits, Host, RetryAfter, Source, Store, Timestamp,
};
use worker::{Env, send::SendFuture};

use crate::{rate_limits::RateLimits, store::WorkersStore};

/// Clock, randomness, store and outgoing HTTP of Workers. It holds only bindings, which are the same for every request
/// of an isolate.
#[derive(Debug)]
pub struct WorkersHost {
    rate_limits: RateLimits,
    store: WorkersStore,
}

impl WorkersHost {
    /// A host with the bindings of `env`. Fails if one is missing.
    pub fn new(env: &Env) -> worker::Result<Self> {
        Ok(Self { rate_limits: RateLimits::new(env)?, store: WorkersStore::new(env)? })
    }
}

impl Host for WorkersHost {
    fn now(&self) -> Timestamp {
        workers_runtime::now()
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        workers_runtime::fill_random(buffer);
    }

    fn fetch(
        &self,
        request: http::Request<Bytes>,
        limits: FetchLimits,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, FetchError>> {
        Box::pin(SendFuture::new(workers_runtime::fetch(request, limits)))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(SendFuture::new(async move { workers_runtime::Timer::start(duration).await }))
    }

    fn detach(&self, work: BoxFuture<'static, ()>) {
        workers_runtime::detach(work);
    }

    fn admit(
        &self,
        endpoint: Endpoint,
        source: Source,
        _: NonZeroU32,
    ) -> BoxFuture<'_, Result<(), RetryAfter>> {
        Box::pin(self.rate_limits.admit(endpoint, source))
    }

    fn store(&self) -> &dyn Store {
        &self.store
    }
}
