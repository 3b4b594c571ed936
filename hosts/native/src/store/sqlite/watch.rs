//! Detects that files of the open database were removed or replaced.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

/// The files of an open database. SQLite continues to write to a removed file, and these writes are lost.
pub(super) struct Watch {
    files: [(PathBuf, Identity); 2],
    missed: AtomicBool,
}

impl Watch {
    /// Watches the open database at `path`.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let identified = |path: PathBuf| identity(&path).map(|identity| (path, identity));
        let files = [identified(path.to_owned())?, identified(super::file::beside(path, "-wal"))?];
        Ok(Self { files, missed: AtomicBool::new(false) })
    }

    pub(super) fn files_are_in_place(&self) -> bool {
        let is_in_place =
            |(path, opened): &(PathBuf, Identity)| identity(path).is_ok_and(|now| now == *opened);
        let missing = self.files.iter().find(|file| !is_in_place(file));
        let missed = self.missed.swap(missing.is_some(), Ordering::Relaxed);
        match missing {
            Some((path, _)) if !missed => tracing::error!(
                file = %path.display(),
                "a file of the database was removed or replaced while Deputy runs, so writes may be lost at the next start. \
                 Stop Deputy, put the right file in place, and start it again"
            ),
            None if missed => tracing::warn!("the files of the database are in place again"),
            Some(_) | None => {}
        }
        missing.is_none()
    }
}

/// Distinguishes a file from another file at the same path.
#[cfg(unix)]
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

#[cfg(not(unix))]
type Identity = ();

#[cfg(not(unix))]
fn identity(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|_| ())
}
