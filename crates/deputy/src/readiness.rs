//! Whether storage works, for health checks.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::host::{Host, Timestamp};

/// The result of the last probe of storage. Health checks need no authentication, so all requests together probe
/// storage at most once a second.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Probes>);

#[derive(Clone, Copy, Debug, Default)]
struct Probes {
    /// Time and result of the last probe.
    last: Option<(Timestamp, Result<(), NotReady>)>,
    /// When the probe that is under way began.
    running_since: Option<Timestamp>,
}

/// The probe of storage failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotReady;

impl Readiness {
    /// Probes storage, or returns the result of a probe by another request in this second.
    pub(crate) async fn check(&self, host: &Host) -> Result<(), NotReady> {
        let now = loop {
            let now = host.now();
            match self.begin(now) {
                Begin::Probe => break now,
                Begin::Known(result) => return result,
                Begin::Wait => host.sleep(POLL_INTERVAL).await,
            }
        };
        let running = RunningProbe(self);
        let result = host.store().probe(now).await.map_err(|error| {
            tracing::error!(%error, "storage does not work");
            NotReady
        });
        self.probes().last = Some((now, result));
        drop(running);
        result
    }

    fn begin(&self, now: Timestamp) -> Begin {
        let mut probes = self.probes();
        match *probes {
            Probes { last: Some((at, result)), .. } if at == now => Begin::Known(result),
            Probes { running_since: Some(since), .. } if now.since(since) < PROBE_TIMEOUT && since <= now => {
                Begin::Wait
            }
            Probes { .. } => {
                probes.running_since = Some(now);
                Begin::Probe
            }
        }
    }

    fn probes(&self) -> MutexGuard<'_, Probes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first step of a health check.
enum Begin {
    Probe,
    Known(Result<(), NotReady>),
    Wait,
}

/// A probe under way, until it has a result or its request is dropped.
struct RunningProbe<'a>(&'a Readiness);

impl Drop for RunningProbe<'_> {
    fn drop(&mut self) {
        self.0.probes().running_since = None;
    }
}

/// Seconds after which other requests stop waiting for a probe: some runtimes never drop a canceled request.
const PROBE_TIMEOUT: u64 = 5;

const POLL_INTERVAL: Duration = Duration::from_millis(50);
