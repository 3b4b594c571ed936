//! The stores: the suite that every store passes, and the properties of a file and of a server.

mod backup;
mod durability;
mod failures;
#[cfg(unix)]
mod on_postgres;
mod opening;
mod schemas;

use std::sync::Arc;

use deputy::host::{GrantId, RecordKey, Store as _, Timestamp};
use deputy_native::store::{SWEEP, SqliteGrantIndex, SqliteStore};
use harness::{index_suite, store_suite};

pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000);
pub(crate) const LATER: Timestamp = Timestamp(1_800_000_600);

pub(crate) fn grant(number: u64) -> RecordKey {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    RecordKey::Grant(GrantId(id))
}

pub(crate) fn login() -> RecordKey {
    RecordKey::Login(GrantId([7; 16]))
}

pub(crate) async fn value(store: &SqliteStore, key: &RecordKey) -> Option<Vec<u8>> {
    store.get(key, NOW).await.unwrap().map(|record| record.value)
}

#[tokio::test]
async fn store_suite_passes() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(store_suite::run(&store, NOW, 1).await, Vec::<String>::new());
}

#[tokio::test]
async fn index_suite_passes() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    let index = SqliteGrantIndex::of(folder.path());
    for salt in 0..2 {
        assert_eq!(index_suite::run(&store, &index, NOW, salt).await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn store_suite_passes_on_many_threads() {
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
async fn concurrent_replacements_of_one_version_succeed_once() {
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
async fn sweep_removes_a_bounded_number_of_expired_records() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    let expired = SWEEP as u64 + 5;
    for number in 0..expired {
        store.put(&grant(number), Vec::new(), NOW).await.unwrap();
    }
    store.put(&login(), b"alive".to_vec(), LATER).await.unwrap();
    assert_eq!(store.sweep(NOW).await, Ok(SWEEP));
    assert_eq!(store.sweep(NOW).await, Ok(5));
    assert_eq!(store.sweep(NOW).await, Ok(0));
    assert_eq!(value(&store, &login()).await, Some(b"alive".to_vec()));
    // A reader whose clock is behind would see unswept records.
    assert_eq!(store.get(&grant(0), Timestamp(0)).await, Ok(None));
}

#[tokio::test]
async fn sweep_logs_the_logins_that_were_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let file = Arc::new(std::fs::File::create(&log).unwrap());
    let writer = tracing_subscriber::fmt().with_writer(file).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(writer);
    let store = SqliteStore::open(folder.path()).unwrap();
    for key in [RecordKey::Approval(GrantId([1; 16])), login(), grant(1)] {
        store.put(&key, Vec::new(), NOW).await.unwrap();
    }
    assert_eq!(store.sweep(NOW).await, Ok(3));
    let log = std::fs::read_to_string(log).unwrap();
    assert_eq!(log.matches("reference=").count(), 2, "{log}");
    assert!(log.contains("no decision on the approval page after ten minutes reference=040G-2081"), "{log}");
    assert!(log.contains("login not back from PingOne after ten minutes reference=0W3G-E1R7"), "{log}");
}
