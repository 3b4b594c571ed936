//! Backups of the database.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection, OpenFlags,
    types::{ToSqlOutput, ValueRef},
};

use super::{
    file::{self, NAME, OpenError, beside},
    lock::{self, FolderLock},
};
use crate::host::wall_clock;

/// Why a backup was not made or not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file for the backup exists.
    #[error("{path} exists already. Choose another name for the backup, or remove that file", path = .0.display())]
    Exists(PathBuf),
    /// The folder has no database.
    #[error("there is no database {path}. Set the folder of Deputy with --data-dir (DATA_DIR)", path = .0.display())]
    Missing(PathBuf),
    /// The database or its folder cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The backup cannot be read.
    #[error(
        "the backup {path} cannot be restored: {1}. The database is unchanged. Choose another backup",
        path = .0.display()
    )]
    Unusable(PathBuf, String),
    /// The backup cannot be written.
    #[error(
        "the backup {path} cannot be written: {1}. Choose another path, or repair this one",
        path = .0.display()
    )]
    Unwritable(PathBuf, String),
}

/// Writes a copy of the database in `folder` to `to`, completely or not at all. A server may be using the folder; the
/// copy has the state of one moment.
pub fn back_up(folder: &Path, to: &Path) -> Result<(), BackupError> {
    if fs::symlink_metadata(to).is_ok() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let from = folder.join(NAME);
    let source = match metadata(&from)? {
        Some(_) => open_whole(&from)?,
        None => return Err(BackupError::Missing(from)),
    };
    let unwritable = |error: &OpenError| BackupError::Unwritable(to.to_owned(), error.cause());
    let failed = |error| unwritable(&OpenError::from_io(to, error));
    let unfinished = beside(to, ".unfinished");
    let _lock = copy(&source, &unfinished).map_err(|error| unwritable(&error))?;
    // A rename would replace a file that was created meanwhile.
    fs::hard_link(&unfinished, to).or_else(|_| fs::rename(&unfinished, to)).map_err(failed)?;
    let _ = fs::remove_file(&unfinished);
    sync_folder_of(to).map_err(failed)
}

/// The result of [`restore`].
#[derive(Debug)]
pub struct Restored {
    /// The new path of the previous database, if there was one.
    pub replaced: Option<PathBuf>,
}

/// Replaces the database in `folder` with a copy of the backup `from`, and keeps the previous database under another
/// name. Fails while a server uses the folder.
pub fn restore(folder: &Path, from: &Path) -> Result<Restored, BackupError> {
    let unusable = |cause: String| BackupError::Unusable(from.to_owned(), cause);
    let source = match metadata(from).map_err(|error| unusable(error.cause()))? {
        Some(file) if file.is_file() => open_whole(from).map_err(|error| unusable(error.cause()))?,
        Some(_) => return Err(unusable("it is not a file".to_owned())),
        None => return Err(unusable("there is no such file".to_owned())),
    };
    let _lock = FolderLock::take(folder)?;
    let path = folder.join(NAME);
    let failed = |error| OpenError::from_io(&path, error);
    let restored = beside(&path, ".unfinished");
    let _copy_lock = copy(&source, &restored)?;
    // Also closes SQLite's log, in case the backup is the database to be replaced.
    drop(source);
    give_to_owner_of(folder, &[&restored, &folder.join(lock::NAME)]).map_err(failed)?;
    let replaced = path.exists().then(|| unused_beside(&path, &format!(".replaced-{}", wall_clock().0)));
    if let Some(replaced) = &replaced {
        set_aside(&path, replaced).map_err(failed)?;
    }
    fs::rename(&restored, &path).map_err(failed)?;
    sync_folder_of(&path).map_err(failed)?;
    Ok(Restored { replaced })
}

fn metadata(path: &Path) -> Result<Option<fs::Metadata>, OpenError> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(OpenError::from_io(path, error)),
    }
}

/// Opens a database, and checks that it is Deputy's and undamaged.
fn open_whole(path: &Path) -> Result<Connection, OpenError> {
    let checked = |connection: rusqlite::Result<Connection>| {
        let connection = connection.map_err(|error| OpenError::from_sqlite(path, &error))?;
        file::check(path, &connection, "integrity_check").map(|()| connection)
    };
    match checked(file::open_reader(path)) {
        // SQLite cannot create its log on a read-only disk. A copy that was made after a clean stop has no log; the
        // database of a running server has one.
        Err(OpenError::Full(..) | OpenError::Io(..) | OpenError::ReadOnly(..))
            if !beside(path, "-wal").exists() =>
        {
            checked(file::open_immutable(path))
        }
        opened => opened,
    }
}

/// Copies a database into a new file that only its owner can read, and checks the copy. The returned file is a lock:
/// until it is closed, no other process copies to the same path.
fn copy(source: &Connection, to: &Path) -> Result<fs::File, OpenError> {
    let failed = |error| OpenError::from_io(to, error);
    // SQLite copies into an empty file. An earlier unfinished copy is truncated below.
    let file = file::private().truncate(false).open(to).map_err(failed)?;
    match file.try_lock() {
        Err(fs::TryLockError::WouldBlock) => return Err(OpenError::Locked(to.to_owned())),
        Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
        Ok(()) => {}
    }
    let copied = (|| {
        file.set_len(0).map_err(failed)?;
        let name = file::absolute(to);
        let name = ToSqlOutput::Borrowed(ValueRef::Text(name.as_os_str().as_encoded_bytes()));
        source.execute("VACUUM INTO ?1", [name]).map_err(|error| OpenError::from_sqlite(to, &error))?;
        file.sync_all().map_err(failed)?;
        let copy = file::open_reader(to).map_err(|error| OpenError::from_sqlite(to, &error))?;
        file::check(to, &copy, "quick_check")
    })();
    if copied.is_err() {
        // An incomplete copy must not be mistaken for a backup.
        let _ = fs::remove_file(to);
    }
    copied.map(|()| file)
}

/// An unused name beside `path`.
fn unused_beside(path: &Path, ending: &str) -> PathBuf {
    let numbered = (2..).map(|number| beside(path, &format!("{ending}-{number}")));
    let mut names = std::iter::once(beside(path, ending)).chain(numbered);
    names.find(|name| fs::symlink_metadata(name).is_err()).unwrap_or_else(|| beside(path, ending))
}

/// Gives the database at `path` the second name `aside`, and moves its log there, because SQLite would apply a log at
/// `path` to the next database.
fn set_aside(path: &Path, aside: &Path) -> io::Result<()> {
    // A damaged database cannot be checkpointed. Its log is kept beside it.
    if let Ok(connection) = file::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE) {
        let _ = file::checkpoint(&connection);
    }
    for ending in ["-wal", "-shm"] {
        match fs::rename(beside(path, ending), beside(aside, ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    // The old database stays at `path` until it is replaced, so that a start in between finds a database.
    fs::hard_link(path, aside).or_else(|_| fs::copy(path, aside).map(|_| ()))
}

/// Gives files that root created to the owner of the folder.
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

/// Makes the names in the folder of `path` durable.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
