//! The search for damage in a large database, while requests are served.

use std::{
    io,
    path::Path,
    sync::{Arc, OnceLock},
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, InterruptHandle};

use super::file::{self, OpenError};

/// A check of the whole database on a thread of its own. It stops when this value is dropped.
pub(super) struct DamageCheck {
    found: Arc<OnceLock<OpenError>>,
    interrupt: InterruptHandle,
    thread: Option<JoinHandle<()>>,
}

impl DamageCheck {
    /// Starts to check the database at `path`. Damage is logged.
    pub(super) fn start(path: &Path) -> Result<Self, OpenError> {
        let connection = file::open_reader(path).map_err(|error| OpenError::from_sqlite(path, &error))?;
        let interrupt = connection.get_interrupt_handle();
        let found = Arc::default();
        let thread = spawn(connection, path, Arc::clone(&found))
            .map_err(|error| OpenError::Io(path.to_owned(), error))?;
        Ok(Self { found, interrupt, thread: Some(thread) })
    }

    /// The damage that was found.
    pub(super) fn found(&self) -> Option<&OpenError> {
        self.found.get()
    }
}

impl Drop for DamageCheck {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        // An interrupt has no effect before the check has begun, so it is repeated.
        while !thread.is_finished() {
            self.interrupt.interrupt();
            thread::sleep(INTERRUPT_EVERY);
        }
    }
}

fn spawn(connection: Connection, path: &Path, found: Arc<OnceLock<OpenError>>) -> io::Result<JoinHandle<()>> {
    let path = path.to_owned();
    thread::Builder::new().name("deputy-check".to_owned()).spawn(move || {
        let damage = match file::find_damage(&connection, "quick_check") {
            Ok(None) => return,
            Ok(Some(text)) => OpenError::Damaged(path, text),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => return,
            Err(error) => OpenError::from_sqlite(&path, &error),
        };
        if matches!(damage, OpenError::Damaged(..)) {
            let damage = found.get_or_init(|| damage);
            tracing::error!("{damage}");
        } else {
            tracing::warn!(error = %damage, "the database was not searched for damage");
        }
    })
}

const INTERRUPT_EVERY: Duration = Duration::from_millis(5);
