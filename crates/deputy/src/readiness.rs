//! Whether this process can do its work, for health checks.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::host::{Host, Timestamp};

/// What storage said last. Anybody may ask, so storage is asked once a second at most, however many requests there are.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Looks>);

#[derive(Clone, Copy, Debug, Default)]
struct Looks {
    /// When storage was asked last, and whether it was well.
    last: Option<(Timestamp, Result<(), NotReady>)>,
    /// Since when a request has been asking.
    asking: Option<Timestamp>,
}

/// Storage fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotReady;

impl Readiness {
    /// Asks storage, or learns from another request that has just asked.
    pub(crate) async fn look(&self, host: &Host) -> Result<(), NotReady> {
        let now = loop {
            let now = host.now();
            match self.begin(now) {
                Begin::Ask => break now,
                Begin::Known(verdict) => return verdict,
                Begin::Wait => host.sleep(PAUSE).await,
            }
        };
        let asking = Asking(self);
        let verdict = host.store().probe(now).await.map_err(|error| {
            tracing::error!(%error, "storage does not work");
            NotReady
        });
        self.looks().last = Some((now, verdict));
        drop(asking);
        verdict
    }

    fn begin(&self, now: Timestamp) -> Begin {
        let mut looks = self.looks();
        match *looks {
            Looks { last: Some((at, verdict)), .. } if at == now => Begin::Known(verdict),
            Looks { asking: Some(since), .. } if now.since(since) < PATIENCE && since <= now => Begin::Wait,
            Looks { .. } => {
                looks.asking = Some(now);
                Begin::Ask
            }
        }
    }

    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request does first.
enum Begin {
    Ask,
    Known(Result<(), NotReady>),
    Wait,
}

/// A request that asks storage, until it has the answer or has been dropped.
struct Asking<'a>(&'a Readiness);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.looks().asking = None;
    }
}

/// Seconds after which a request that asks is not waited for any more: some runtimes never drop what nobody awaits.
const PATIENCE: u64 = 5;

const PAUSE: Duration = Duration::from_millis(50);
