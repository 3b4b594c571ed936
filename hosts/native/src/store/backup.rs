//! Copies of the database, made and put back.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use rusqlite::Connection;

use super::{
    file::{self, NAME, OpenError, beside},
    lock::{self, FolderLock},
};

/// Why a backup was not made or not restored. Nothing has been changed then.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file to write is there already.
    #[error("{path} is there already. Choose another name for the backup, or remove that file", path = .0.display())]
    Exists(PathBuf),
    /// The file to read is not there.
    #[error("{path} is not there", path = .0.display())]
    Missing(PathBuf),
    /// A file cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Writes a copy of the database in `folder` to `to`, whole or not at all. A server may be running on the folder: the copy
/// is the state of one moment.
pub fn back_up(folder: &Path, to: &Path) -> Result<(), BackupError> {
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let from = folder.join(NAME);
    let source = existing(&from)?;
    let unfinished = beside(to, ".unfinished");
    copy(&from, &source, &unfinished)?;
    // Renaming would replace a file that has come since.
    let placed = fs::hard_link(&unfinished, to).or_else(|_| fs::rename(&unfinished, to));
    placed.map_err(|error| OpenError::from_io(to, error))?;
    let _ = fs::remove_file(&unfinished);
    Ok(sync_folder_of(to).map_err(|error| OpenError::from_io(to, error))?)
}

/// Where the database is that a restored one has replaced.
#[derive(Debug)]
pub struct Restored {
    /// `None`: there was none.
    pub replaced: Option<PathBuf>,
}

/// Makes the backup `from` the database in `folder`, and keeps what was there under another name. Refused while a server
/// runs on the folder.
pub fn restore(folder: &Path, from: &Path) -> Result<Restored, BackupError> {
    let source = existing(from)?;
    let _lock = FolderLock::take(folder)?;
    let path = folder.join(NAME);
    let failed = |error| OpenError::from_io(&path, error);
    let restored = beside(&path, ".unfinished");
    copy(from, &source, &restored)?;
    give_to_owner_of(folder, &[&restored, &folder.join(lock::NAME)]).map_err(failed)?;
    let replaced = path.exists().then(|| beside(&path, &format!(".replaced-{}", seconds())));
    if let Some(replaced) = &replaced {
        set_aside(&path, replaced).map_err(failed)?;
    }
    fs::rename(&restored, &path).map_err(failed)?;
    sync_folder_of(&path).map_err(failed)?;
    Ok(Restored { replaced })
}

/// Opens a database that must be there and be a Deputy's, and whole.
fn existing(path: &Path) -> Result<Connection, BackupError> {
    if !path.is_file() {
        return Err(BackupError::Missing(path.to_owned()));
    }
    let connection = file::open_reader(path).map_err(|error| OpenError::from_sqlite(path, &error))?;
    file::check(path, &connection, "integrity_check")?;
    Ok(connection)
}

/// Copies a database into a new file that only its owner may read, and checks the copy.
fn copy(from: &Path, source: &Connection, to: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::from_io(to, error);
    let copied = (|| {
        // An empty file is what SQLite fills; an unfinished copy of an earlier time is emptied.
        let file = file::private().truncate(true).open(to).map_err(failed)?;
        source
            .execute("VACUUM INTO ?1", [to.to_string_lossy()])
            .map_err(|error| OpenError::from_sqlite(to, &error))?;
        file.sync_all().map_err(failed)?;
        let copy = file::open_reader(to).map_err(|error| OpenError::from_sqlite(from, &error))?;
        file::check(to, &copy, "quick_check")
    })();
    if copied.is_err() {
        // A half copy must not be taken for a backup.
        let _ = fs::remove_file(to);
    }
    copied
}

/// Keeps the database at `path` as `aside` too, and leaves no log at `path`: SQLite would apply it to the next file there.
fn set_aside(path: &Path, aside: &Path) -> io::Result<()> {
    // Best folded. A damaged one cannot be; its log is then kept beside it.
    if let Ok(connection) = Connection::open(path) {
        let _ = file::fold(&connection);
    }
    for ending in ["-wal", "-shm"] {
        match fs::rename(beside(path, ending), beside(aside, ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    // Until the new file takes the name over, the old one has it: a start between the two finds a database.
    fs::hard_link(path, aside).or_else(|_| fs::copy(path, aside).map(|_| ()))
}

/// Lets the user whose folder it is use what root has made in it.
#[cfg(unix)]
fn give_to_owner_of(folder: &Path, files: &[&Path]) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let owner = fs::metadata(folder)?;
    let others = files.iter().filter(|file| fs::metadata(file).is_ok_and(|file| file.uid() != owner.uid()));
    others.into_iter().try_for_each(|file| chown(file, Some(owner.uid()), Some(owner.gid())))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
fn give_to_owner_of(_: &Path, _: &[&Path]) -> io::Result<()> {
    Ok(())
}

/// A name in a folder is on disk when the folder is.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn seconds() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a name for a file")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
