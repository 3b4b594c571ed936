//! The audit log: files of JSON lines that nobody without the server's key can change unnoticed.
//!
//! Each line ends with a code (HMAC-SHA256) over itself and the code of the line before, so that an edit, a deletion and a
//! change of order break the chain. `audit.head` has the number and the code of the last line, so that a truncation shows.
//! `docs/audit.md` describes the format for others who read it.

mod chain;
mod command;
mod files;
mod verify;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Mutex,
};

use deputy::{
    config::Keys,
    host::{AuditEvent, AuditLog},
};

use crate::sync::lock;

use chain::Chain;
pub(crate) use command::{AuditOptions, run};

/// The audit log in a folder.
pub(crate) struct AuditFiles(Mutex<Chain>);

/// Why the audit log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("the audit log in {path} cannot be used: {cause}. Mend that, or serve without one with --audit off", path = path.display())]
pub(crate) struct AuditError {
    path: PathBuf,
    cause: io::Error,
}

impl AuditFiles {
    /// Opens the log in `folder`, and continues its chain. At most about `max_bytes` are kept: the oldest files are removed
    /// beyond that.
    pub(crate) fn open(folder: &Path, keys: &Keys, max_bytes: u64) -> Result<Self, AuditError> {
        let chain = Chain::open(folder, keys, max_bytes);
        chain
            .map(|chain| Self(Mutex::new(chain)))
            .map_err(|cause| AuditError { path: folder.to_owned(), cause })
    }

    /// Has the operating system write everything to the disk. A line survives the end of this process without it, but not a
    /// loss of power.
    pub(crate) fn sync(&self) {
        if let Err(error) = lock(&self.0).sync() {
            tracing::error!(%error, "the audit log could not be synced to the disk");
        }
    }
}

impl AuditLog for AuditFiles {
    fn record(&self, event: &AuditEvent) {
        if let Err(error) = lock(&self.0).append(event) {
            // The event is not lost as long as the log is kept.
            let event = serde_json::to_string(event).unwrap_or_default();
            tracing::error!(%error, event, "an audit event could not be written");
        }
    }
}

/// The folder of the audit log in the folder of the data.
pub(crate) fn folder(data: &Path) -> PathBuf {
    data.join("audit")
}

#[cfg(test)]
mod tests;
