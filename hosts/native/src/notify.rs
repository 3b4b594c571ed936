//! Messages to systemd, where `NOTIFY_SOCKET` asks for them (`sd_notify(3)`). Elsewhere nothing happens.

/// The server serves.
#[cfg(unix)]
pub(crate) fn ready() {
    send(sd_notify::NotifyState::Ready);
}

/// The server is about to stop.
#[cfg(unix)]
pub(crate) fn stopping() {
    send(sd_notify::NotifyState::Stopping);
}

/// Tells systemd twice in each `WatchdogSec` that the runtime works. It never completes.
#[cfg(unix)]
pub(crate) async fn watchdog() {
    let Some(period) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    loop {
        send(sd_notify::NotifyState::Watchdog);
        tokio::time::sleep(period / 2).await;
    }
}

#[cfg(unix)]
fn send(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd cannot be notified (NOTIFY_SOCKET)");
    }
}

#[cfg(not(unix))]
pub(crate) fn ready() {}

#[cfg(not(unix))]
pub(crate) fn stopping() {}

#[cfg(not(unix))]
pub(crate) async fn watchdog() {
    std::future::pending().await
}
