//! How the process ends.

use std::{io, time::Duration};

use crate::{http_server::Shutdown, logging::Output};

/// Ends `shutdown` gracefully at the first signal, and after [`GRACE`] at once. A second SIGINT or SIGTERM ends the process
/// on the spot; what has been answered is on disk.
///
/// SIGHUP stops gracefully too: a terminal has been closed, or an operator wants the configuration to be read again, for
/// which the supervisor starts the next process. It never counts as a second signal, since terminals send several.
pub(crate) fn on_signals(shutdown: Shutdown, output: Output) -> io::Result<()> {
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        signals.first().await;
        tracing::info!("stopping: finishing the requests under way");
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

/// How long requests may take to finish.
const GRACE: Duration = Duration::from_secs(10);

/// The status that shells give to a program that Control-C ended.
const SECOND_SIGNAL: i32 = 130;

#[cfg(unix)]
struct Signals {
    /// `None` where the process was started to ignore it, as by `nohup`.
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

    async fn first(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = hangup => {}
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    async fn second(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Whether SIGHUP, the first bit, is among the ignored signals. Where the system does not say, it is not.
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

    async fn first(&mut self) {
        self.second().await;
    }

    async fn second(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a handler, Control-C ends the process by itself.
            std::future::pending::<()>().await;
        }
    }
}
