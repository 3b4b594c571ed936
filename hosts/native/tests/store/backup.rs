//! Backups and their restoration.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use deputy::host::Store as _;
use deputy_native::store::{BackupError, FolderLock, OpenError, SqliteStore, back_up, restore};

use crate::{LATER, grant, value};

#[tokio::test]
async fn backup_of_a_running_store_has_all_confirmed_writes() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let backup = elsewhere.path().join("backup");
    let store = SqliteStore::open(folder.path()).unwrap();
    store.put(&grant(1), b"before".to_vec(), LATER).await.unwrap();
    back_up(folder.path(), &backup).unwrap();
    store.put(&grant(1), b"after".to_vec(), LATER).await.unwrap();
    drop(store);
    let replaced = restore(folder.path(), &backup).unwrap().replaced.unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(value(&store, &grant(1)).await, Some(b"before".to_vec()));
    drop(store);
    fs::rename(replaced, elsewhere.path().join("deputy.sqlite3")).unwrap();
    let aside = SqliteStore::open(elsewhere.path()).unwrap();
    assert_eq!(value(&aside, &grant(1)).await, Some(b"after".to_vec()));
}

#[tokio::test]
async fn restored_backup_ignores_the_log_of_the_previous_database() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = SqliteStore::open(folder.path()).unwrap();
    store.put(&grant(1), b"kept".to_vec(), LATER).await.unwrap();
    let backup = elsewhere.path().join("backup");
    back_up(folder.path(), &backup).unwrap();
    // A log as after kill -9, and a database that cannot be opened to checkpoint it.
    store.put(&grant(2), vec![1; 5000], LATER).await.unwrap();
    let log = fs::read(folder.path().join("deputy.sqlite3-wal")).unwrap();
    drop(store);
    fs::write(folder.path().join("deputy.sqlite3-wal"), log).unwrap();
    fs::write(folder.path().join("deputy.sqlite3"), "damaged ".repeat(1000)).unwrap();
    restore(folder.path(), &backup).unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(value(&store, &grant(1)).await, Some(b"kept".to_vec()));
    assert_eq!(value(&store, &grant(2)).await, None);
}

#[test]
fn unusable_backup_changes_nothing() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(SqliteStore::open(folder.path()).unwrap());
    let before = fs::read(folder.path().join("deputy.sqlite3")).unwrap();
    let (text, foreign) = (elsewhere.path().join("text"), elsewhere.path().join("foreign"));
    fs::write(&text, "not a database ".repeat(500)).unwrap();
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    let refused = |file: &Path| restore(folder.path(), file).unwrap_err();
    for (file, cause) in [
        (text.as_path(), "it is damaged (file is not a database)"),
        (&foreign, "it is not a database of Deputy"),
        (&elsewhere.path().join("nothing"), "there is no such file"),
        (elsewhere.path(), "it is not a file"),
    ] {
        assert!(matches!(refused(file), BackupError::Unusable(named, why) if named == *file && why == cause));
    }
    assert!(matches!(back_up(folder.path(), &text).unwrap_err(), BackupError::Exists(_)));
    assert!(matches!(back_up(elsewhere.path(), &elsewhere.path().join("new")), Err(BackupError::Missing(_))));
    assert_eq!(fs::read(folder.path().join("deputy.sqlite3")).unwrap(), before);
}

#[test]
fn backup_to_an_unusable_path_names_the_path() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(folder.path()).unwrap());
    let to = folder.path().join("nowhere").join("backup");
    let refused = back_up(folder.path(), &to).unwrap_err();
    assert!(matches!(&refused, BackupError::Unwritable(named, _) if *named == to), "{refused}");
    assert!(!refused.to_string().contains("--data-dir"), "{refused}");
}

#[test]
fn restores_within_a_second_keep_every_database() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(folder.path()).unwrap());
    let backup = folder.path().join("backup");
    back_up(folder.path(), &backup).unwrap();
    let replaced: Vec<_> =
        (0..5).map(|_| restore(folder.path(), &backup).unwrap().replaced.unwrap()).collect();
    let distinct: HashSet<_> = replaced.iter().filter(|path| path.exists()).collect();
    assert_eq!(distinct.len(), 5, "{replaced:?}");
}

/// SQLite takes a name that begins with `file:` for a URI.
#[test]
fn backup_with_a_name_like_a_uri_is_written_under_that_name() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let relative = Path::new(folder.path().file_name().unwrap());
    drop(SqliteStore::open(&relative.join("data")).unwrap());
    let backup = PathBuf::from(format!("file:{}", relative.display()));
    let made = back_up(&relative.join("data"), &backup);
    let restored = restore(&relative.join("data"), &backup);
    fs::remove_file(&backup).unwrap();
    made.unwrap();
    restored.unwrap();
}

/// Root may write to the folder, so the test proves less when it runs as root.
#[cfg(unix)]
#[test]
fn copied_database_in_a_read_only_folder_is_restored() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, medium) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(SqliteStore::open(folder.path()).unwrap());
    let copy = medium.path().join("50% of it?.sqlite3");
    fs::copy(folder.path().join("deputy.sqlite3"), &copy).unwrap();
    fs::set_permissions(medium.path(), fs::Permissions::from_mode(0o500)).unwrap();
    restore(folder.path(), &copy).unwrap();
    fs::set_permissions(medium.path(), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn restore_is_refused_while_a_server_runs_on_the_folder() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let _store = SqliteStore::open(folder.path()).unwrap();
    let backup = elsewhere.path().join("backup");
    back_up(folder.path(), &backup).unwrap();
    let _server = FolderLock::take(folder.path()).unwrap();
    let refused = restore(folder.path(), &backup).unwrap_err();
    assert!(matches!(refused, BackupError::Open(OpenError::InUse(..))), "{refused}");
}

#[cfg(unix)]
#[test]
fn restored_database_belongs_to_the_owner_of_the_folder() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(SqliteStore::open(elsewhere.path()).unwrap());
    // Only root can change the owner.
    let given = chown(folder.path(), Some(65534), Some(65534)).is_ok();
    restore(folder.path(), &elsewhere.path().join("deputy.sqlite3")).unwrap();
    let owner = |path: &Path| fs::metadata(path).unwrap().uid();
    for file in ["deputy.sqlite3", "lock"] {
        assert_eq!(owner(&folder.path().join(file)), owner(folder.path()), "owner changed: {given}");
    }
}

#[cfg(unix)]
#[test]
fn backup_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(folder.path()).unwrap());
    let backup = folder.path().join("backup");
    back_up(folder.path(), &backup).unwrap();
    assert_eq!(fs::metadata(backup).unwrap().permissions().mode() & 0o777, 0o600);
}
