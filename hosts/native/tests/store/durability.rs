//! Confirmed writes survive the end of the process.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use deputy::host::Store as _;
use deputy_native::store::SqliteStore;

use crate::{LATER, NOW, grant, login, value};

#[tokio::test]
async fn records_are_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    store.put(&grant(1), b"kept".to_vec(), LATER).await.unwrap();
    store.put(&login(), b"used".to_vec(), LATER).await.unwrap();
    store.take(&login(), NOW).await.unwrap();
    drop(store);
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(value(&store, &grant(1)).await, Some(b"kept".to_vec()));
    assert_eq!(value(&store, &login()).await, None);
}

#[tokio::test]
async fn versions_do_not_repeat_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let store = SqliteStore::open(folder.path()).unwrap();
        assert!(store.replace(&grant(1), None, Vec::new(), LATER, NOW).await.unwrap());
        let version = store.take(&grant(1), NOW).await.unwrap().unwrap().version;
        assert!(!seen.contains(&version));
        seen.push(version);
    }
}

#[tokio::test]
async fn closed_store_is_one_file_that_can_be_copied() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    for number in 0..50 {
        store.put(&grant(number), b"kept".to_vec(), LATER).await.unwrap();
        value(&store, &grant(number)).await;
    }
    drop(store);
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["deputy.sqlite3"]);
    let elsewhere = tempfile::tempdir().unwrap();
    fs::copy(folder.path().join("deputy.sqlite3"), elsewhere.path().join("deputy.sqlite3")).unwrap();
    let copy = SqliteStore::open(elsewhere.path()).unwrap();
    assert_eq!(value(&copy, &grant(49)).await, Some(b"kept".to_vec()));
}

#[tokio::test]
async fn store_closed_during_a_read_is_checkpointed() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    store.put(&grant(1), b"kept".to_vec(), LATER).await.unwrap();
    let reader = rusqlite::Connection::open(folder.path().join("deputy.sqlite3")).unwrap();
    reader.query_row("SELECT count(*) FROM record", [], |row| row.get::<_, i64>(0)).unwrap();
    drop(store);
    let log = fs::metadata(folder.path().join("deputy.sqlite3-wal")).unwrap();
    assert_eq!(log.len(), 0, "the log was not truncated");
}

#[tokio::test]
async fn log_removed_while_running_is_checkpointed_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    store.put(&grant(1), b"kept".to_vec(), LATER).await.unwrap();
    fs::remove_file(folder.path().join("deputy.sqlite3-wal")).unwrap();
    drop(store);
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(value(&store, &grant(1)).await, Some(b"kept".to_vec()));
}

/// The test runs itself as a child process, which writes until it is killed.
#[tokio::test]
async fn confirmed_writes_survive_kill_9_under_load() {
    if let Ok(folder) = std::env::var(WRITER) {
        write_forever(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut confirmed = Vec::new();
    for round in 0..5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "durability::confirmed_writes_survive_kill_9_under_load", "--nocapture"])
            .env(WRITER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let number =
            |line: String| line.strip_prefix("confirmed ").and_then(|number| number.parse::<u64>().ok());
        let before = confirmed.len();
        confirmed.extend(lines.by_ref().filter_map(number).take(300));
        child.kill().unwrap();
        child.wait().unwrap();
        confirmed.extend(lines.filter_map(number));
        assert!(confirmed.len() >= before + 300, "round {round}: the child wrote too little");
        let store = SqliteStore::open(folder.path()).unwrap();
        for number in &confirmed {
            assert_eq!(value(&store, &grant(*number)).await, Some(number.to_be_bytes().to_vec()), "{number}");
        }
    }
}

/// Writes records from eight tasks, and prints the number of each when it is confirmed.
async fn write_forever(folder: &Path) -> ! {
    let store = SqliteStore::open(folder).unwrap();
    let start = u64::from(std::process::id()) << 32;
    let writers = (0..8).map(async |writer| {
        for number in (start + writer..).step_by(8) {
            let written = store.put(&grant(number), number.to_be_bytes().to_vec(), LATER).await;
            written.unwrap();
            // One call per line, so that the kill cuts no line.
            std::io::stdout().lock().write_all(format!("\nconfirmed {number}\n").as_bytes()).unwrap();
            std::io::stdout().lock().flush().unwrap();
        }
    });
    futures_util::future::join_all(writers).await;
    unreachable!("the numbers do not end")
}

const WRITER: &str = "DEPUTY_TEST_WRITES_TO";
