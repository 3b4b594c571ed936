//! The clock, randomness and timer of the simulator.

use std::{
    future::Future,
    pin::Pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The clock, randomness and timer of the simulator. Tests bring their own.
pub trait SimEnvironment: Send + Sync + 'static {
    /// Seconds since 1970-01-01 00:00:00 UTC.
    fn now(&self) -> u64;

    /// Fills `buffer` with random bytes.
    fn fill_random(&self, buffer: &mut [u8]);

    /// Completes after `duration`. Failures that delay a response call it.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The clock and randomness of the operating system, and the timer of tokio.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEnvironment;

impl SimEnvironment for SystemEnvironment {
    fn now(&self) -> u64 {
        #[expect(clippy::disallowed_methods, reason = "this is where the simulator's clock comes from")]
        let now = SystemTime::now();
        now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        #[expect(clippy::disallowed_methods, reason = "this is where the simulator's randomness comes from")]
        getrandom::fill(buffer).expect("the system has randomness");
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}
