//! Whether this process can serve, for health checks.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use crate::{
    config::Config,
    host::{Host, Timestamp},
    pingone::PingOneClient,
    sync::lock,
};

/// The results of the last probes. Health checks need no authentication, so all requests together probe storage at most
/// once a second, and `PingOne` at most once in ten.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    storage: Probe,
    pingone: Probe,
}

/// Why this process should get no requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotReady {
    #[error("PingOne's discovery document or keys cannot be read; the log says why")]
    PingOne,
    #[error("the server is about to stop")]
    Stopping,
    #[error("records cannot be written and read; the log says why")]
    Storage,
}

impl Readiness {
    /// Everything that a login or a call needs of this process. The documents of `PingOne` count while the process may use
    /// them, also while `PingOne` is down.
    pub(crate) async fn check(
        &self,
        host: &Host,
        pingone: &PingOneClient,
        config: &Config,
    ) -> Result<(), NotReady> {
        if host.tasks.is_draining() {
            return Err(NotReady::Stopping);
        }
        self.storage(host).await?;
        if pingone.has_documents(host.clock.now()) {
            return Ok(());
        }
        let read = async |_| {
            let read = pingone.read_documents(host, config).await;
            // The client of PingOne logs the failure.
            read.map_err(|_| NotReady::PingOne)
        };
        self.pingone.check(host, PINGONE_PERIOD, read).await
    }

    /// Whether records can be written and read.
    pub(crate) async fn storage(&self, host: &Host) -> Result<(), NotReady> {
        let probe = async |now| {
            host.store.probe(now).await.map_err(|error| {
                tracing::error!(%error, "storage does not work");
                NotReady::Storage
            })
        };
        self.storage.check(host, STORAGE_PERIOD, probe).await
    }
}

/// A probe that concurrent requests share.
#[derive(Debug, Default)]
struct Probe(Mutex<Probes>);

#[derive(Clone, Copy, Debug, Default)]
struct Probes {
    /// Time and result of the last probe.
    last: Option<(Timestamp, Result<(), NotReady>)>,
    /// When the probe that is under way began.
    running_since: Option<Timestamp>,
}

impl Probe {
    /// Probes, or returns the result of a probe by another request in the last `period` seconds.
    async fn check(
        &self,
        host: &Host,
        period: u64,
        probe: impl AsyncFnOnce(Timestamp) -> Result<(), NotReady>,
    ) -> Result<(), NotReady> {
        let now = loop {
            let now = host.clock.now();
            match self.begin(period, now) {
                Begin::Probe => break now,
                Begin::Known(result) => return result,
                Begin::Wait => host.clock.sleep(POLL_INTERVAL).await,
            }
        };
        let running = RunningProbe(self);
        let result = probe(now).await;
        self.probes().last = Some((now, result));
        drop(running);
        result
    }

    fn begin(&self, period: u64, now: Timestamp) -> Begin {
        let mut probes = self.probes();
        match *probes {
            Probes { last: Some((at, result)), .. } if now.since(at) < period && at <= now => {
                Begin::Known(result)
            }
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
        lock(&self.0)
    }
}

/// The first step of a health check.
enum Begin {
    Probe,
    Known(Result<(), NotReady>),
    Wait,
}

/// A probe under way, until it has a result or its request is dropped.
struct RunningProbe<'a>(&'a Probe);

impl Drop for RunningProbe<'_> {
    fn drop(&mut self) {
        self.0.probes().running_since = None;
    }
}

/// Seconds between two probes of storage.
const STORAGE_PERIOD: u64 = 1;
/// Seconds between two requests for the documents of PingOne.
const PINGONE_PERIOD: u64 = 10;

/// Seconds after which other requests stop waiting for a probe: some runtimes never drop a canceled request.
const PROBE_TIMEOUT: u64 = 5;

const POLL_INTERVAL: Duration = Duration::from_millis(50);
