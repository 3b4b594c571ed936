//! The lock that allows one process for each data folder.

use std::{fs, io, io::Write as _, path::Path};

use super::file::{self, OpenError};

/// An exclusive lock of a data folder, until it is dropped or the process ends.
#[derive(Debug)]
pub struct FolderLock {
    _file: fs::File,
}

impl FolderLock {
    /// Takes the lock of `folder`, and creates the folder if it is missing. Fails while another process holds the lock.
    pub fn take(folder: &Path) -> Result<Self, OpenError> {
        file::create_folder(folder).map_err(|error| OpenError::from_io(folder, error))?;
        let path = folder.join(NAME);
        let failed = |error| OpenError::from_io(&path, error);
        let mut file = file::private().read(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let holder = io::read_to_string(&mut file).unwrap_or_default();
                return Err(OpenError::InUse(folder.to_owned(), holder.trim().to_owned()));
            }
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
        // The error of other processes shows this id. On a full disk the lock works without it.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

/// The name of the file in its folder.
pub(super) const NAME: &str = "lock";
