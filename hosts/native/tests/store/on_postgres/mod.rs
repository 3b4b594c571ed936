//! The PostgreSQL store. These tests start a server of their own; `./dev test` runs them, and
//! `cargo test --workspace --test store -- --ignored` where PostgreSQL is installed.

mod failures;
mod opening;
mod proxy;

use std::sync::Arc;

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
