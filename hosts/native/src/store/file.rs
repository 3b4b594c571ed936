//! The database file: where it is, who may read it, and whether it can be used.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema;

/// Why a database cannot be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What is in the file makes no sense.
    #[error(
        "the database {path} is damaged ({1}). Restore a backup of it, or set it aside and start with an empty one, \
         after which everybody logs in again: move {path} and the files beside it that end in -wal and -shm to \
         another place", path = .0.display()
    )]
    Damaged(PathBuf, String),
    /// Another program's database.
    #[error(
        "{path} is a database of another program. Choose another folder with --data-dir, or move the file away",
        path = .0.display()
    )]
    Foreign(PathBuf),
    /// The folder or the file cannot be used.
    #[error(
        "cannot use {path}: {1}. Make it readable and writable for this user, or choose another folder with --data-dir",
        path = .0.display()
    )]
    Io(PathBuf, io::Error),
    /// A later Deputy wrote it.
    #[error(
        "the database {path} was written by a newer Deputy (its schema is {1}; this Deputy knows up to {newest}). Run \
         that Deputy again, or choose another folder with --data-dir",
        path = .0.display(),
        newest = schema::NEWEST
    )]
    Newer(PathBuf, u32),
}

impl OpenError {
    pub(super) fn from_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged(path.to_owned(), error.to_string())
            }
            _ => Self::Io(path.to_owned(), io::Error::other(error.to_string())),
        }
    }
}

/// Creates `folder` and the file in it, for their owner only, and answers the file's path. A folder that is there
/// already keeps its mode; the file never does. SQLite gives the files beside it the mode of this one.
pub(super) fn prepare(folder: &Path) -> Result<PathBuf, OpenError> {
    create_folder(folder).map_err(|error| OpenError::Io(folder.to_owned(), error))?;
    let path = folder.join(NAME);
    create_file(&path).map_err(|error| OpenError::Io(path.clone(), error))?;
    Ok(path)
}

/// Opens the file for writing, checks it and brings it to the newest schema.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let failed = |error| OpenError::from_sqlite(path, &error);
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    if !schema::is_ours(&connection).map_err(failed)? {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    let version = schema::version(&connection).map_err(failed)?;
    if version > schema::NEWEST {
        return Err(OpenError::Newer(path.to_owned(), version));
    }
    let check: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if check != "ok" {
        return Err(OpenError::Damaged(path.to_owned(), check));
    }
    configure_writer(&connection).map_err(failed)?;
    schema::migrate(&mut connection).map_err(failed)?;
    Ok(connection)
}

/// Opens the file for reading.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    // Each connection is used by one thread at a time, so that SQLite need not lock it too.
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

fn configure_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // A commit is on disk when it returns: also where a plain `fsync` stops at the drive's cache (macOS).
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES, |_| Ok(()))
}

#[cfg(unix)]
fn create_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn create_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(unix)]
fn create_file(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let file = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn create_file(path: &Path) -> io::Result<()> {
    fs::OpenOptions::new().append(true).create(true).open(path).map(|_| ())
}

const NAME: &str = "deputy.sqlite3";

/// How long one process waits for another that writes to the same file, as while one Deputy replaces another.
const BUSY: Duration = Duration::from_secs(5);

/// What the log is cut back to after it was folded into the file.
const WAL_BYTES: i64 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_on_disk_when_it_returns_whatever_the_power_does() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open(&prepare(folder.path()).unwrap()).unwrap();
        let setting =
            |name| connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
        assert_eq!(setting("journal_mode").unwrap(), "wal".to_owned().into());
        // FULL (SQLite, "PRAGMA synchronous").
        assert_eq!(setting("synchronous").unwrap(), 2.into());
        assert_eq!(setting("fullfsync").unwrap(), 1.into());
    }
}
