//! The PostgreSQL store. These tests start a server of their own; `./dev test` runs them, and
//! `cargo test --workspace --test store -- --ignored` where PostgreSQL is installed.

mod failures;
mod opening;
mod proxy;

use std::{sync::Arc, time::Duration};

use deputy::host::Store as _;
use deputy_native::store::{PostgresStore, SWEEP};
use harness::{index_suite, postgres::cluster, store_suite};

use crate::{LATER, NOW, grant, login};

/// A store that has connected to this URL.
async fn opened(url: &str) -> PostgresStore {
    let Ok(url) = url.parse();
    let store = PostgresStore::new(&url, 8).unwrap();
    store.migrate().await.unwrap();
    store
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn store_suite_passes_on_several_replicas_at_once() {
    let url = cluster().schema();
    let stores = [Arc::new(opened(&url).await), Arc::new(opened(&url).await)];
    let runs: Vec<_> = (0..6)
        .map(|salt| {
            let store = Arc::clone(&stores[salt % 2]);
            tokio::spawn(async move { store_suite::run(&*store, NOW, salt as u64).await })
        })
        .collect();
    for run in runs {
        assert_eq!(run.await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn index_suite_passes() {
    let store = opened(&cluster().schema()).await;
    for salt in 0..2 {
        let failures = index_suite::run(&store, &store.grant_index(), NOW, salt).await;
        assert_eq!(failures, Vec::<String>::new());
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn plan_from_when_there_were_few_records_uses_an_index() {
    let url = cluster().schema();
    let store = opened(&url).await;
    let use_every_statement = async || {
        let version = store.get(&grant(0), NOW).await.unwrap().unwrap().version;
        assert!(store.replace(&grant(0), Some(version), b"value".to_vec(), LATER, NOW).await.unwrap());
        store.put(&login(), Vec::new(), LATER).await.unwrap();
        store.take(&login(), NOW).await.unwrap();
        store.sweep(NOW).await.unwrap();
    };
    for number in 0..20 {
        store.put(&grant(number), b"value".to_vec(), LATER).await.unwrap();
    }
    // Statistics of a table in one page, for which an index is not worth it.
    cluster().sql_at(&url, "ANALYZE deputy_record");
    let scans = || {
        let scans = "SELECT seq_scan, idx_scan FROM pg_stat_user_tables WHERE schemaname = current_schema() AND relname = 'deputy_record'";
        let scans = cluster().sql_at(&url, scans);
        let (whole, by_index) = scans.trim().split_once('|').unwrap();
        [whole, by_index].map(|number| number.parse::<u64>().unwrap())
    };
    // PostgreSQL keeps a plan from the sixth execution on. Its numbers of scans are a second old.
    let until_counted = async || {
        let [whole, by_index] = scans();
        let mut now = [whole, by_index];
        while now[0] + now[1] < whole + by_index + 30 {
            use_every_statement().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            now = scans();
        }
        now
    };
    let before = until_counted().await;
    let after = until_counted().await;
    assert_eq!(after[0], before[0], "scans of the whole table");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn replacements_by_several_replicas_succeed_once() {
    let url = cluster().schema();
    let stores = [opened(&url).await, opened(&url).await, opened(&url).await].map(Arc::new);
    for round in 0..10 {
        let key = grant(round);
        stores[0].put(&key, b"first".to_vec(), LATER).await.unwrap();
        let version = stores[1].get(&key, NOW).await.unwrap().unwrap().version;
        let racers: Vec<_> = (0..30_u8)
            .map(|racer| {
                let (store, key) = (Arc::clone(&stores[usize::from(racer % 3)]), key.clone());
                tokio::spawn(async move { store.replace(&key, Some(version), vec![racer], LATER, NOW).await })
            })
            .collect();
        let mut won = 0;
        for racer in racers {
            won += u32::from(racer.await.unwrap().unwrap());
        }
        assert_eq!(won, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn replicas_that_sweep_at_once_remove_each_record_once() {
    let url = cluster().schema();
    let stores = [opened(&url).await, opened(&url).await];
    let expired = 2 * SWEEP as u64 + 5;
    for number in 0..expired {
        stores[0].put(&grant(number), Vec::new(), NOW).await.unwrap();
    }
    stores[0].put(&login(), b"alive".to_vec(), LATER).await.unwrap();
    let mut removed = 0;
    loop {
        let (one, other) = tokio::join!(stores[0].sweep(NOW), stores[1].sweep(NOW));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert!(one <= SWEEP && other <= SWEEP, "{one}, {other}");
        removed += one + other;
        if one + other == 0 {
            break;
        }
    }
    assert_eq!(removed as u64, expired);
    let kept = stores[1].get(&login(), NOW).await.unwrap().unwrap();
    assert_eq!(kept.value, b"alive");
    // A reader whose clock is behind would see unswept records.
    assert_eq!(stores[1].get(&grant(0), deputy::host::Timestamp(0)).await, Ok(None));
}
