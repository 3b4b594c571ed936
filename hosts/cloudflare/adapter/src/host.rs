//! The parts of [`deputy::host::Host`] on Workers.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use bytes::Bytes;
use deputy::host::{
    BoxFuture, Capacity, Clock, EndpointKind, FetchError, FetchLimits, Host, HttpClient, RateLimiter,
    RetryAfter, SecureRandom, Source, Tasks, Timestamp,
};
use worker::{Env, send::SendFuture};

use crate::{audit::audit_log, grant_index::WorkersGrantIndex, rate_limits::RateLimits, store::WorkersStore};

/// The host with the bindings of `env`, which are the same for every request of an isolate, and this many operations on
/// records for a request. Fails if a binding is missing.
pub(crate) fn host(env: &Env, operations: usize) -> worker::Result<Host> {
    Ok(Host {
        clock: Arc::new(WorkersRuntime),
        http: Arc::new(WorkersRuntime),
        random: Arc::new(WorkersRuntime),
        rate_limiter: Arc::new(RateLimits::new(env)?),
        store: Arc::new(WorkersStore::new(env)?),
        grant_index: Arc::new(WorkersGrantIndex::new(env)?),
        tasks: Arc::new(WorkersRuntime),
        audit: audit_log(env),
        capacity: Capacity { operations, ..Capacity::default() },
    })
}

/// Clock, randomness, outgoing HTTP, background tasks and log of the runtime.
#[derive(Clone, Copy, Debug)]
pub struct WorkersRuntime;

impl Clock for WorkersRuntime {
    fn now(&self) -> Timestamp {
        workers_runtime::now()
    }

    fn monotonic(&self) -> Duration {
        // The clock stands still while a Worker computes, and is never set back within a request.
        Duration::from_millis(workers_runtime::milliseconds())
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(SendFuture::new(async move { workers_runtime::Timer::start(duration).await }))
    }
}

impl SecureRandom for WorkersRuntime {
    fn fill(&self, buffer: &mut [u8]) {
        workers_runtime::fill_random(buffer);
    }
}

impl HttpClient for WorkersRuntime {
    fn fetch(
        &self,
        request: http::Request<Bytes>,
        limits: FetchLimits,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, FetchError>> {
        Box::pin(SendFuture::new(workers_runtime::fetch(request, limits)))
    }
}

impl Tasks for WorkersRuntime {
    fn detach(&self, work: BoxFuture<'static, ()>) {
        workers_runtime::detach(work);
    }
}

impl RateLimiter for RateLimits {
    fn admit(
        &self,
        endpoint: EndpointKind,
        source: Source,
        _: NonZeroU32,
    ) -> BoxFuture<'_, Result<(), RetryAfter>> {
        Box::pin(self.admit(endpoint, source))
    }
}
