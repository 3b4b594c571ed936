//! Opening a database: permissions, damage and locks.

use std::{fs, path::Path};

use deputy::host::Store as _;
use deputy_native::store::{FolderLock, OpenError, SqliteStore};

use crate::{LATER, NOW, grant, login, value};

#[cfg(unix)]
#[tokio::test]
async fn folder_and_files_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("made").join("for us");
    let store = SqliteStore::open(&data).unwrap();
    store.put(&login(), Vec::new(), LATER).await.unwrap();
    assert_eq!(mode(&data), 0o700);
    let files: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "the database, its log and its index: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[cfg(unix)]
#[test]
fn file_readable_by_others_becomes_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deputy.sqlite3");
    fs::write(&file, b"").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    SqliteStore::open(folder.path()).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn file_that_is_not_a_database_is_refused_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deputy.sqlite3");
    fs::write(&file, "not a database, but somebody's text ".repeat(100)).unwrap();
    let error = SqliteStore::open(folder.path()).err().unwrap();
    assert!(matches!(&error, OpenError::Damaged(path, _) if *path == file), "{error}");
    assert!(
        error.to_string().contains(&format!("move {} and the files beside it", file.display())),
        "{error}"
    );
    assert!(fs::read_to_string(&file).unwrap().starts_with("not a database"));
}

#[tokio::test]
async fn database_with_damaged_pages_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    for number in 0..200 {
        store.put(&grant(number), vec![1; 500], LATER).await.unwrap();
    }
    drop(store);
    let file = folder.path().join("deputy.sqlite3");
    let mut bytes = fs::read(&file).unwrap();
    bytes[8192..20_000].fill(0xa5);
    fs::write(&file, bytes).unwrap();
    let error = SqliteStore::open(folder.path()).err().unwrap();
    assert!(matches!(error, OpenError::Damaged(..)), "{error}");
}

/// Makes the database in `folder` too large to be checked before the start, and damages `pages` of it.
fn damage_large_database(folder: &Path, pages: std::ops::Range<usize>) {
    drop(SqliteStore::open(folder).unwrap());
    let path = folder.join("deputy.sqlite3");
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch(
        "WITH RECURSIVE number (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < 70)
         INSERT INTO record (kind, name, value, version, expires_at)
         SELECT 'grant', i, zeroblob(1048576), i, i FROM number",
    )
    .unwrap();
    drop(file);
    let mut bytes = fs::read(&path).unwrap();
    bytes[pages.start * 4096..pages.end * 4096].fill(0xa5);
    fs::write(&path, bytes).unwrap();
}

#[test]
fn large_database_with_a_damaged_root_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    damage_large_database(folder.path(), 1..5);
    let error = SqliteStore::open(folder.path()).err().unwrap();
    assert!(matches!(error, OpenError::Damaged(..)), "{error}");
}

#[tokio::test]
async fn damage_in_a_large_database_makes_the_probe_fail() {
    let folder = tempfile::tempdir().unwrap();
    damage_large_database(folder.path(), 9_000..9_001);
    let store = SqliteStore::open(folder.path()).unwrap();
    let mut probed = Ok(());
    for _ in 0..600 {
        probed = store.probe(NOW).await;
        if probed.is_err() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let error = probed.unwrap_err().to_string();
    assert!(error.contains("deputy.sqlite3 is damaged") && error.contains("Restore a backup"), "{error}");
}

#[test]
fn database_of_a_newer_deputy_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(folder.path()).unwrap());
    let file = rusqlite::Connection::open(folder.path().join("deputy.sqlite3")).unwrap();
    file.pragma_update(None, "user_version", 99).unwrap();
    drop(file);
    let error = SqliteStore::open(folder.path()).err().unwrap();
    assert!(matches!(error, OpenError::Newer(_, 99)), "{error}");
}

#[test]
fn database_of_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = rusqlite::Connection::open(folder.path().join("deputy.sqlite3")).unwrap();
    file.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    drop(file);
    let error = SqliteStore::open(folder.path()).err().unwrap();
    assert!(matches!(error, OpenError::Foreign(_)), "{error}");
}

#[tokio::test]
async fn current_database_opens_while_another_program_writes() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(folder.path()).unwrap());
    let other = rusqlite::Connection::open(folder.path().join("deputy.sqlite3")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(value(&store, &grant(1)).await, None);
}

#[test]
fn locked_database_is_reported_as_locked() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(folder.path()).unwrap());
    let other = rusqlite::Connection::open(folder.path().join("deputy.sqlite3")).unwrap();
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    let error = SqliteStore::open(folder.path()).err().unwrap();
    assert!(matches!(error, OpenError::Locked(_)), "{error}");
}

#[test]
fn folder_lock_admits_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let first = FolderLock::take(folder.path()).unwrap();
    let second = FolderLock::take(folder.path()).unwrap_err().to_string();
    let process = format!("another Deputy (process {}) uses the folder", std::process::id());
    assert!(second.starts_with(&process) && second.contains(folder.path().to_str().unwrap()), "{second}");
    drop(first);
    FolderLock::take(folder.path()).unwrap();
}
