//! The database file: its path, its permissions and its checks.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};

use super::schema;

/// Why a database cannot be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file is damaged.
    #[error(
        "the database {path} is damaged ({1}). Restore a backup of it. Or start with an empty database, after which all \
         users log in again: move {path} and the files beside it that end in -wal and -shm to another place",
        path = .0.display()
    )]
    Damaged(PathBuf, String),
    /// Another program's database.
    #[error(
        "{path} is a database of another program. Choose another folder with --data-dir, or move the file to another place",
        path = .0.display()
    )]
    Foreign(PathBuf),
    /// The disk is full.
    #[error(
        "the disk that holds {path} is full: {1}. Free some space, or choose another folder with --data-dir",
        path = .0.display()
    )]
    Full(PathBuf, String),
    /// Another process uses the folder.
    #[error(
        "another Deputy{process} uses the folder {path}, which only one process can use. Stop the other process first, or \
         choose another folder with --data-dir",
        path = .0.display(),
        // The process may not have written its id yet.
        process = if .1.is_empty() { String::new() } else { format!(" (process {})", .1) }
    )]
    InUse(PathBuf, String),
    /// The folder or the file cannot be used.
    #[error(
        "cannot use {path}: {1}. Make it readable and writable for this user, or choose another folder with --data-dir",
        path = .0.display()
    )]
    Io(PathBuf, io::Error),
    /// Another program has locked the file.
    #[error(
        "the database {path} is locked by another program, such as sqlite3 or a backup. End that program, and start Deputy \
         again",
        path = .0.display()
    )]
    Locked(PathBuf),
    /// A newer Deputy wrote the file.
    #[error(
        "the database {path} was written by a newer Deputy (its schema is {1}; this Deputy knows up to {newest}). Run the \
         newer Deputy, or choose another folder with --data-dir",
        path = .0.display(),
        newest = schema::NEWEST
    )]
    Newer(PathBuf, u32),
    /// The file or its file system is read-only.
    #[error(
        "{path} is on a read-only file system or is read-only itself: {1}. Make it writable for this user, or choose \
         another folder with --data-dir",
        path = .0.display()
    )]
    ReadOnly(PathBuf, String),
}

impl OpenError {
    pub(super) fn from_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let (path, text) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(path, text),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked(path),
            Some(ErrorCode::DiskFull) => Self::Full(path, text),
            // SQLite's error does not contain the cause of a failed write.
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) if is_full(&path) => {
                Self::Full(path, text)
            }
            Some(ErrorCode::ReadOnly) => Self::ReadOnly(path, text),
            _ => Self::Io(path, io::Error::other(text)),
        }
    }

    pub(super) fn from_io(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::QuotaExceeded | io::ErrorKind::StorageFull => Self::Full(path, error.to_string()),
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(path, error.to_string()),
            _ => Self::Io(path, error),
        }
    }

    /// The cause alone, without advice about the data folder.
    pub(super) fn cause(&self) -> String {
        match self {
            Self::Damaged(_, text) => format!("it is damaged ({text})"),
            Self::Foreign(_) => "it is not a database of Deputy".to_owned(),
            Self::Full(_, text) => format!("the disk is full ({text})"),
            Self::InUse(..) | Self::Locked(_) => "another program uses it".to_owned(),
            Self::Io(_, error) => error.to_string(),
            Self::Newer(_, version) => {
                format!(
                    "a newer Deputy wrote it (schema {version}; this Deputy knows up to {})",
                    schema::NEWEST
                )
            }
            Self::ReadOnly(_, text) => format!("the disk or the file is read-only ({text})"),
        }
    }
}

/// Whether the disk has less space than SQLite needs to open a database.
#[cfg(unix)]
fn is_full(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < 64 * 1024)
}

#[cfg(not(unix))]
fn is_full(_: &Path) -> bool {
    false
}

/// The path of the file in `folder`.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// Creates `folder` and the file in it for their owner only, and returns the path of the file. An existing folder keeps
/// its mode; an existing file does not. SQLite gives its other files the mode of this one.
pub(super) fn prepare(folder: &Path) -> Result<PathBuf, OpenError> {
    create_folder(folder).map_err(|error| OpenError::from_io(folder, error))?;
    let path = path(folder);
    create_file(&path).map_err(|error| OpenError::from_io(&path, error))?;
    Ok(path)
}

/// Opens the file for writing, checks it and migrates it to the newest schema. Of a large file, only a bounded part is checked.
///
/// A database in the newest schema is not written to. It opens while another program writes, and on a full disk with room
/// for the index of SQLite.
pub(in crate::store) fn open(path: &Path) -> Result<Connection, OpenError> {
    let failed = |error| OpenError::from_sqlite(path, &error);
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    let is_empty = !schema::has_tables(&connection).map_err(failed)?;
    if !is_empty && is_large(&connection).map_err(failed)? {
        check_kind(path, &connection)?;
        check_ends(&connection).map_err(failed)?;
    } else if !is_empty {
        check(path, &connection, "quick_check")?;
    }
    configure_writer(&connection).map_err(failed)?;
    if is_empty || schema::version(&connection).map_err(failed)? < schema::NEWEST {
        schema::migrate(&mut connection).map_err(failed)?;
    }
    Ok(connection)
}

/// Whether a check of the whole database would delay the start.
pub(super) fn is_large(connection: &Connection) -> rusqlite::Result<bool> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok(number("page_count")? * number("page_size")? > LARGE)
}

/// Refuses a damaged, foreign or newer database. `pragma` names the integrity check of SQLite.
pub(super) fn check(path: &Path, connection: &Connection, pragma: &str) -> Result<(), OpenError> {
    check_kind(path, connection)?;
    match find_damage(connection, pragma).map_err(|error| OpenError::from_sqlite(path, &error))? {
        None => Ok(()),
        Some(found) => Err(OpenError::Damaged(path.to_owned(), found)),
    }
}

/// Refuses a foreign or newer database.
fn check_kind(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let failed = |error| OpenError::from_sqlite(path, &error);
    if !schema::is_ours(connection).map_err(failed)? {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    let version = schema::version(connection).map_err(failed)?;
    if version > schema::NEWEST {
        return Err(OpenError::Newer(path.to_owned(), version));
    }
    Ok(())
}

/// Reads the first and the last record by each index. Fails if a page on the way is damaged.
fn check_ends(connection: &Connection) -> rusqlite::Result<()> {
    for order in ["id", "id DESC", "kind, name", "kind DESC, name DESC", "expires_at", "expires_at DESC"] {
        let record = format!("SELECT value FROM record ORDER BY {order} LIMIT 1");
        connection.query_row(&record, [], |_| Ok(())).optional()?;
    }
    connection.query_row("SELECT next FROM version_counter", [], |_| Ok(()))
}

/// The first damage that an integrity check of SQLite finds. `pragma` names the check.
pub(super) fn find_damage(connection: &Connection, pragma: &str) -> rusqlite::Result<Option<String>> {
    let found: String = connection.query_row(&format!("PRAGMA {pragma}(1)"), [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

/// Writes the log into the file and truncates the log. Returns `false` if a reader blocked it for too long.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map(|busy: bool| !busy)
}

/// `path` with `ending`, as in the names of the files that SQLite keeps beside a database.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Opens an unchanging file for reading, on a disk where SQLite cannot create its log.
pub(super) fn open_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let path = absolute(path);
    let escaped = |byte: &u8| match byte {
        b'/' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    let path: String = path.as_os_str().as_encoded_bytes().iter().map(escaped).collect();
    let uri = format!("file:{path}?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// An absolute path never begins with `file:`, which SQLite would take for a URI.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

pub(super) fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    // One thread at a time uses a connection, so SQLite need not lock it.
    let connection = Connection::open_with_flags(absolute(path), access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

fn configure_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // A commit is on disk when it returns, also on macOS, where a plain `fsync` stops at the cache of the drive.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES, |_| Ok(()))
}

#[cfg(unix)]
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// Options that create a file for its owner only.
pub(crate) fn private() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create(true);
    options
}

fn create_file(path: &Path) -> io::Result<()> {
    let file = private().truncate(false).open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    drop(file);
    Ok(())
}

/// The name of the database in its folder.
pub(super) const NAME: &str = "deputy.sqlite3";

/// Time that a process waits for another process that writes to the same file.
const BUSY: Duration = Duration::from_secs(5);

/// Bytes of a database beyond which it is large. Checking one of this size takes a tenth of a second.
const LARGE: i64 = 64 * 1024 * 1024;

/// Size to which the log is truncated after a checkpoint.
const WAL_BYTES: i64 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_is_on_disk_when_it_returns() {
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
