//! The audit log: files of JSON lines, in which changes made without the server's key are detected, except the return
//! of an older copy.
//!
//! Each line ends with a MAC (HMAC-SHA256) over itself and the MAC of the line before, so that an edit, a deletion and
//! a change of order break the chain. `audit.head` has the number of the last line and another MAC over it, so that a
//! truncation is detected. `docs/audit.md` describes the format.

mod chain;
mod command;
mod files;
mod logins;
mod verify;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
};

use deputy::{
    config::Keys,
    host::{AuditEvent, AuditLog},
};

use crate::sync::lock;

use chain::Chain;
pub(crate) use command::{AuditOptions, Since, run};
pub(crate) use logins::{LoginsOptions, run as list_logins};

/// The audit log in a folder.
pub(crate) struct AuditFiles(Mutex<Chain>);

/// Why the audit log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("the audit log in {path} cannot be used: {cause}. Repair it, or turn it off with --audit off", path = path.display())]
pub(crate) struct AuditError {
    path: PathBuf,
    cause: io::Error,
}

impl AuditFiles {
    /// Opens the log in `folder`, and continues its chain. Keeps about `max_bytes` at most: the oldest files beyond
    /// that are removed.
    pub(crate) fn open(folder: &Path, keys: &Keys, max_bytes: u64) -> Result<Self, AuditError> {
        let chain = Chain::open(folder, keys, max_bytes);
        chain
            .map(|chain| Self(Mutex::new(chain)))
            .map_err(|cause| AuditError { path: folder.to_owned(), cause })
    }

    /// Continues the chain with the newest of `keys`.
    pub(crate) fn use_keys(&self, keys: &Keys) {
        if let Err(error) = lock(&self.0).use_keys(keys) {
            tracing::error!(%error, "the audit log could not record the new key");
        }
    }

    /// Syncs the log to the disk. Without this, a line survives the end of the process, but not a loss of power.
    pub(crate) fn sync(&self) {
        if let Err(error) = lock(&self.0).sync() {
            tracing::error!(%error, "the audit log could not be synced to the disk");
        }
    }
}

impl AuditLog for AuditFiles {
    fn record(&self, event: &AuditEvent) {
        // Written to text before the lock, which is then short.
        let event = serde_json::to_string(event).unwrap_or_default();
        if let Err(error) = lock_spinning(&self.0).append(event.as_bytes()) {
            // The server's log keeps the event.
            tracing::error!(%error, event, "an audit event could not be written");
        }
    }
}

/// Locks like [`lock`]. A line takes a few microseconds, less than it takes to put a thread to sleep and to wake it.
fn lock_spinning(chain: &Mutex<Chain>) -> MutexGuard<'_, Chain> {
    for _ in 0..SPINS {
        if let Ok(guard) = chain.try_lock() {
            return guard;
        }
        std::hint::spin_loop();
    }
    lock(chain)
}

/// Attempts to lock before a thread sleeps: some tens of microseconds.
const SPINS: u32 = 1_000;

/// The folder of the audit log in the data folder.
pub(crate) fn folder(data: &Path) -> PathBuf {
    data.join("audit")
}

#[cfg(test)]
mod tests;
