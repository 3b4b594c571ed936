//! Signals that stop the process.

use std::{io, sync::Arc, time::Duration};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{http_server::Shutdown, logging::Output, notify};

/// The stop of the server: it drains, which lets a load balancer find another process, and shuts down then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    /// Time in which everything is still served.
    pub(crate) drain: Duration,
    /// Cancelled at the first signal.
    pub(crate) draining: CancellationToken,
    pub(crate) shutdown: Shutdown,
    /// Told of SIGHUP, which then does not stop the server.
    pub(crate) hangup: Option<Arc<Notify>>,
}

/// Begins to drain at the first signal, starts the graceful shutdown after that, and the immediate one after [`GRACE`]. A
/// second SIGINT or SIGTERM ends the process at once; confirmed writes are on disk.
///
/// SIGHUP is a first signal too, unless [`Stop::hangup`] is told of it: a terminal was closed, or the supervisor is to start
/// a process that reads a new configuration. It is never a second one, because terminals send several.
pub(crate) fn on_signals(stop: Stop, output: Output) -> io::Result<()> {
    let Stop { drain, draining, shutdown, hangup } = stop;
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        signals.first(hangup.as_deref()).await;
        draining.cancel();
        notify::stopping();
        if !drain.is_zero() {
            tracing::info!(
                seconds = drain.as_secs(),
                "draining: /readyz responds with 503, other requests are served"
            );
            tokio::select! {
                () = tokio::time::sleep(drain) => {}
                () = signals.second() => end(&output),
            }
        }
        tracing::info!("stopping: finishing the requests in progress");
        shutdown.graceful.cancel();
        tokio::select! {
            () = tokio::time::sleep(GRACE) => shutdown.immediate.cancel(),
            () = signals.second() => end(&output),
        }
        signals.second().await;
        end(&output);
    });
    Ok(())
}

fn end(output: &Output) -> ! {
    output.flush();
    std::process::exit(SECOND_SIGNAL)
}

/// Time for requests to finish.
const GRACE: Duration = Duration::from_secs(10);

/// The exit status that shells give to a program that was ended by Control-C.
const SECOND_SIGNAL: i32 = 130;

#[cfg(unix)]
struct Signals {
    /// `None` if the process was started with SIGHUP ignored, as by `nohup`.
    hangup: Option<tokio::signal::unix::Signal>,
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            hangup: if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) },
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn first(&mut self, on_hangup: Option<&Notify>) {
        loop {
            let hangup = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = hangup => {}
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
            }
            match on_hangup {
                Some(told) => told.notify_one(),
                None => return,
            }
        }
    }

    async fn second(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Whether SIGHUP, the first bit, is ignored. On systems without `/proc` it counts as not ignored.
#[cfg(unix)]
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn first(&mut self, _: Option<&Notify>) {
        self.second().await;
    }

    async fn second(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a handler, Control-C ends the process on its own.
            std::future::pending::<()>().await;
        }
    }
}
