//! The SQLite store: the suite that every store passes, and what only a file can do.

use std::{
    collections::HashSet,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use deputy::host::{Digest, GrantId, Key, Store as _, Timestamp};
use deputy_native::store::{BackupError, FolderLock, OpenError, SqliteStore, back_up, restore};
use harness::store_suite;

const NOW: Timestamp = Timestamp(1_800_000_000);
const LATER: Timestamp = Timestamp(1_800_000_600);

fn grant(number: u64) -> Key {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    Key::Grant(GrantId(id))
}

fn login() -> Key {
    Key::Login(Digest([7; 32]))
}

async fn value(store: &SqliteStore, key: &Key) -> Option<Vec<u8>> {
    store.get(key, NOW).await.unwrap().map(|record| record.value)
}

#[tokio::test]
async fn the_store_suite_passes() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(store_suite::run(&store, NOW, 1).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_suite_passes_beside_itself_on_many_threads() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path()).unwrap());
    let runs: Vec<_> = (0..8)
        .map(|salt| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store_suite::run(&*store, NOW, salt).await })
        })
        .collect();
    for run in runs {
        assert_eq!(run.await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn of_many_threads_that_replace_one_version_one_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let stores = [SqliteStore::open(folder.path()).unwrap(), SqliteStore::open(folder.path()).unwrap()];
    stores[0].put(&grant(1), b"first".to_vec(), LATER).await.unwrap();
    let version = stores[0].get(&grant(1), NOW).await.unwrap().unwrap().version;
    let replaced = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..8_u8)
            .map(|racer| {
                let store = &stores[usize::from(racer % 2)];
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    let key = grant(1);
                    let replace = store.replace(&key, Some(version), vec![racer], LATER, NOW);
                    runtime.block_on(replace).unwrap()
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!(replaced, 1);
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
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
async fn versions_do_not_come_again_after_reopening() {
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
async fn a_sweep_removes_what_has_expired_and_nothing_else_a_bounded_number_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    let expired = SqliteStore::SWEEP as u64 + 5;
    for number in 0..expired {
        store.put(&grant(number), Vec::new(), NOW).await.unwrap();
    }
    store.put(&login(), b"alive".to_vec(), LATER).await.unwrap();
    assert_eq!(store.sweep(NOW).await, Ok(SqliteStore::SWEEP));
    assert_eq!(store.sweep(NOW).await, Ok(5));
    assert_eq!(store.sweep(NOW).await, Ok(0));
    assert_eq!(value(&store, &login()).await, Some(b"alive".to_vec()));
    // For somebody whose clock is behind, what was swept would still be there.
    assert_eq!(store.get(&grant(0), Timestamp(0)).await, Ok(None));
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_folder_and_files() {
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
fn a_file_that_others_may_read_is_closed_to_them() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deputy.sqlite3");
    fs::write(&file, b"").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    SqliteStore::open(folder.path()).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_is_no_database_is_refused_left_alone_and_named() {
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
async fn a_database_with_damaged_pages_is_refused() {
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

#[test]
fn a_database_of_a_newer_deputy_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(folder.path()).unwrap());
    let file = rusqlite::Connection::open(folder.path().join("deputy.sqlite3")).unwrap();
    file.pragma_update(None, "user_version", 99).unwrap();
    drop(file);
    let error = SqliteStore::open(folder.path()).err().unwrap();
    assert!(matches!(error, OpenError::Newer(_, 99)), "{error}");
}

#[test]
fn a_database_of_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = rusqlite::Connection::open(folder.path().join("deputy.sqlite3")).unwrap();
    file.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    drop(file);
    let error = SqliteStore::open(folder.path()).err().unwrap();
    assert!(matches!(error, OpenError::Foreign(_)), "{error}");
}

#[tokio::test]
async fn a_write_that_the_disk_refuses_is_an_error_and_the_next_one_works() {
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
async fn store_that_closes_during_a_read_is_folded_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    store.put(&grant(1), b"kept".to_vec(), LATER).await.unwrap();
    let reader = rusqlite::Connection::open(folder.path().join("deputy.sqlite3")).unwrap();
    reader.query_row("SELECT count(*) FROM record", [], |row| row.get::<_, i64>(0)).unwrap();
    drop(store);
    let log = fs::metadata(folder.path().join("deputy.sqlite3-wal")).unwrap();
    assert_eq!(log.len(), 0, "another program still has the database open, and the log is empty");
}

#[tokio::test]
async fn probe_notices_a_removed_folder_database_or_log() {
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
async fn log_removed_while_running_is_folded_at_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    store.put(&grant(1), b"kept".to_vec(), LATER).await.unwrap();
    fs::remove_file(folder.path().join("deputy.sqlite3-wal")).unwrap();
    drop(store);
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(value(&store, &grant(1)).await, Some(b"kept".to_vec()));
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

#[tokio::test]
async fn database_in_the_newest_schema_opens_while_another_program_writes() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(folder.path()).unwrap());
    let other = rusqlite::Connection::open(folder.path().join("deputy.sqlite3")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(value(&store, &grant(1)).await, None);
}

#[test]
fn database_locked_by_another_program_is_refused_as_that() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(folder.path()).unwrap());
    let other = rusqlite::Connection::open(folder.path().join("deputy.sqlite3")).unwrap();
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    let error = SqliteStore::open(folder.path()).err().unwrap();
    assert!(matches!(error, OpenError::Locked(_)), "{error}");
}

#[test]
fn folder_has_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = FolderLock::take(folder.path()).unwrap();
    let second = FolderLock::take(folder.path()).unwrap_err().to_string();
    let process = format!("another Deputy (process {}) uses the folder", std::process::id());
    assert!(second.starts_with(&process) && second.contains(folder.path().to_str().unwrap()), "{second}");
    drop(first);
    FolderLock::take(folder.path()).unwrap();
}

#[tokio::test]
async fn backup_of_a_running_store_restores_what_was_answered() {
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
async fn restored_backup_meets_no_log_of_the_database_before() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = SqliteStore::open(folder.path()).unwrap();
    store.put(&grant(1), b"kept".to_vec(), LATER).await.unwrap();
    let backup = elsewhere.path().join("backup");
    back_up(folder.path(), &backup).unwrap();
    // As after kill -9: a log that was not folded, and a database that cannot be opened to fold it.
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
fn backup_that_cannot_be_used_changes_nothing() {
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
fn backup_to_an_unusable_place_names_the_place() {
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

/// SQLite takes such a name for a URI.
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

/// Root may write there all the same, and then tests less.
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
    // Only root can give files away; anybody else restores for themselves.
    let given = chown(folder.path(), Some(65534), Some(65534)).is_ok();
    restore(folder.path(), &elsewhere.path().join("deputy.sqlite3")).unwrap();
    let owner = |path: &Path| fs::metadata(path).unwrap().uid();
    for file in ["deputy.sqlite3", "lock"] {
        assert_eq!(owner(&folder.path().join(file)), owner(folder.path()), "given away: {given}");
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

/// This test is its own child process: with the variable set, it writes until it is killed.
#[tokio::test]
async fn what_was_answered_is_there_after_kill_9_under_load() {
    if let Ok(folder) = std::env::var(WRITER) {
        write_for_ever(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut answered = Vec::new();
    for round in 0..5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "what_was_answered_is_there_after_kill_9_under_load", "--nocapture"])
            .env(WRITER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let number =
            |line: String| line.strip_prefix("answered ").and_then(|number| number.parse::<u64>().ok());
        let before = answered.len();
        answered.extend(lines.by_ref().filter_map(number).take(300));
        child.kill().unwrap();
        child.wait().unwrap();
        answered.extend(lines.filter_map(number));
        assert!(answered.len() >= before + 300, "round {round}: the child wrote too little");
        let store = SqliteStore::open(folder.path()).unwrap();
        for number in &answered {
            assert_eq!(value(&store, &grant(*number)).await, Some(number.to_be_bytes().to_vec()), "{number}");
        }
    }
}

/// Writes records from eight tasks, and prints the number of each after its answer.
async fn write_for_ever(folder: &Path) -> ! {
    let store = SqliteStore::open(folder).unwrap();
    let start = u64::from(std::process::id()) << 32;
    let writers = (0..8).map(async |writer| {
        for number in (start + writer..).step_by(8) {
            let written = store.put(&grant(number), number.to_be_bytes().to_vec(), LATER).await;
            written.unwrap();
            // One write call per line, so that no line is cut by the kill.
            std::io::stdout().lock().write_all(format!("\nanswered {number}\n").as_bytes()).unwrap();
            std::io::stdout().lock().flush().unwrap();
        }
    });
    futures_util::future::join_all(writers).await;
    unreachable!("the numbers do not end")
}

const WRITER: &str = "DEPUTY_TEST_WRITES_TO";
