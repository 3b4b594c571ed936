//! A disk that refuses writes, and files that are removed.

use std::fs;

use deputy::host::Store as _;
use deputy_native::store::SqliteStore;

use crate::{LATER, NOW, grant, value};

#[tokio::test]
async fn failed_write_is_an_error_and_the_next_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    let other = rusqlite::Connection::open(folder.path().join("deputy.sqlite3")).unwrap();
    other
        .execute_batch("CREATE TRIGGER full BEFORE INSERT ON record BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    let error = store.put(&grant(1), b"lost".to_vec(), LATER).await.unwrap_err();
    assert!(error.to_string().contains("full"), "{error}");
    other.execute_batch("DROP TRIGGER full").unwrap();
    store.put(&grant(1), b"kept".to_vec(), LATER).await.unwrap();
    assert_eq!(value(&store, &grant(1)).await, Some(b"kept".to_vec()));
}

#[tokio::test]
async fn damaged_page_fails_reads_until_it_is_restored() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    for number in 0..200 {
        store.put(&grant(number), vec![1; 500], LATER).await.unwrap();
    }
    drop(store);
    let file = folder.path().join("deputy.sqlite3");
    let whole = fs::read(&file).unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    let mut damaged = whole.clone();
    damaged[8192..].fill(0xa5);
    fs::write(&file, damaged).unwrap();
    for _ in 0..2 {
        let error = store.get(&grant(100), NOW).await.unwrap_err();
        assert!(error.to_string().contains("malformed"), "{error}");
    }
    fs::write(&file, whole).unwrap();
    for _ in 0..3 {
        assert_eq!(value(&store, &grant(100)).await, Some(vec![1; 500]));
    }
}

#[tokio::test]
async fn probe_detects_a_removed_folder_database_or_log() {
    for removed in ["", "deputy.sqlite3", "deputy.sqlite3-wal"] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let store = SqliteStore::open(&data).unwrap();
        assert_eq!(store.probe(NOW).await, Ok(()));
        fs::rename(data.join(removed), folder.path().join("elsewhere")).unwrap();
        let error = store.probe(NOW).await.unwrap_err();
        assert!(error.to_string().contains("removed or replaced"), "{removed}: {error}");
        assert!(!store.files_are_in_place());
    }
}

#[tokio::test]
async fn probe_fails_while_the_disk_refuses_writes() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    let other = rusqlite::Connection::open(folder.path().join("deputy.sqlite3")).unwrap();
    other
        .execute_batch("CREATE TRIGGER full BEFORE INSERT ON record BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    assert!(store.probe(NOW).await.unwrap_err().to_string().contains("full"));
    other.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(store.probe(NOW).await, Ok(()));
}
