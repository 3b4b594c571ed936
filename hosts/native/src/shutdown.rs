//! How the process ends.

use std::{io, time::Duration};

use crate::http_server::Stop;

/// Ends `stop` gracefully at the first signal, and after [`GRACE`] at once. A second signal ends the process on the
/// spot; what has been answered is on disk.
pub(crate) fn on_signals(stop: Stop) -> io::Result<()> {
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("stopping: finishing the requests under way");
        stop.gracefully.cancel();
        tokio::select! {
            () = tokio::time::sleep(GRACE) => stop.at_once.cancel(),
            () = signals.next() => std::process::exit(SECOND_SIGNAL),
        }
        signals.next().await;
        std::process::exit(SECOND_SIGNAL);
    });
    Ok(())
}

/// How long requests may take to finish.
const GRACE: Duration = Duration::from_secs(10);

/// The status that shells give to a program that Control-C ended.
const SECOND_SIGNAL: i32 = 130;

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a handler, Control-C ends the process by itself.
            std::future::pending::<()>().await;
        }
    }
}
