//! Lost responses, locks, and a server that restarts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use deputy::host::Store as _;
use futures_util::future::join_all;
use harness::postgres::{Cluster, cluster};
use tokio::time::sleep;

use super::{opened, proxy::Proxy};
use crate::{LATER, NOW, grant};

/// A store behind a proxy, which has prepared its statements on the one connection that is used.
async fn behind_a_proxy() -> (Proxy, deputy_native::store::PostgresStore) {
    let url = cluster().schema();
    let proxy = Proxy::start(&url).await;
    let store = opened(&proxy.url(&url)).await;
    for _ in 0..2 {
        store.put(&grant(0), Vec::new(), LATER).await.unwrap();
        let version = store.get(&grant(0), NOW).await.unwrap().unwrap().version;
        store.replace(&grant(0), Some(version), Vec::new(), LATER, NOW).await.unwrap();
        store.take(&grant(0), NOW).await.unwrap();
        store.replace(&grant(0), None, Vec::new(), LATER, NOW).await.unwrap();
    }
    (proxy, store)
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn write_whose_response_was_lost_is_read_back() {
    let (proxy, store) = behind_a_proxy().await;
    proxy.lose_a_response();
    assert_eq!(store.put(&grant(1), b"first".to_vec(), LATER).await, Ok(()));
    let version = store.get(&grant(1), NOW).await.unwrap().unwrap().version;
    store.replace(&grant(1), Some(version), b"warm".to_vec(), LATER, NOW).await.unwrap();
    let version = store.get(&grant(1), NOW).await.unwrap().unwrap().version;
    proxy.lose_a_response();
    assert_eq!(store.replace(&grant(1), Some(version), b"second".to_vec(), LATER, NOW).await, Ok(true));
    assert_eq!(store.get(&grant(1), NOW).await.unwrap().unwrap().value, b"second");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn lost_race_whose_response_was_lost_is_an_error() {
    let (proxy, store) = behind_a_proxy().await;
    let stale = store.get(&grant(0), NOW).await.unwrap().unwrap().version;
    store.put(&grant(0), b"other".to_vec(), LATER).await.unwrap();
    proxy.lose_a_response();
    assert!(store.replace(&grant(0), Some(stale), b"mine".to_vec(), LATER, NOW).await.is_err());
    assert_eq!(store.get(&grant(0), NOW).await.unwrap().unwrap().value, b"other");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn take_whose_response_was_lost_is_an_error() {
    let (proxy, store) = behind_a_proxy().await;
    proxy.lose_a_response();
    // Not "no record", which would say that another process took it.
    assert!(store.take(&grant(0), NOW).await.is_err());
    assert_eq!(store.take(&grant(0), NOW).await, Ok(None));
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn read_whose_response_was_lost_is_repeated() {
    let (proxy, store) = behind_a_proxy().await;
    proxy.lose_a_response();
    assert!(store.get(&grant(0), NOW).await.unwrap().is_some());
}

/// As when the server restarts: every connection in the pool breaks.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn read_is_repeated_while_connections_of_the_pool_break() {
    let (proxy, store) = behind_a_proxy().await;
    let key = grant(0);
    for _ in 0..2 {
        // On connections of their own.
        let gets = join_all((0..6).map(|_| store.get(&key, NOW))).await;
        assert!(gets.iter().all(|record| matches!(record, Ok(Some(_)))));
    }
    proxy.lose_responses(4);
    assert!(store.get(&key, NOW).await.unwrap().is_some());
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn operation_behind_a_lock_fails_in_time() {
    let url = cluster().schema();
    let store = opened(&url).await;
    store.put(&grant(1), Vec::new(), LATER).await.unwrap();
    let (locking, watched) = (url.clone(), url);
    let locked = thread::spawn(move || {
        cluster().sql_at(&locking, "BEGIN; LOCK TABLE deputy_record; SELECT pg_sleep(12); COMMIT");
    });
    let locks = "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' AND relation = \
                 'deputy_record'::regclass";
    while cluster().sql_at(&watched, locks) == "0" {
        sleep(Duration::from_millis(50)).await;
    }
    let error = store.get(&grant(1), NOW).await.unwrap_err();
    assert!(error.to_string().contains("lock timeout"), "{error}");
    assert!(store.probe(NOW).await.unwrap_err().to_string().contains("PostgreSQL does not respond"));
    locked.join().unwrap();
    assert!(store.get(&grant(1), NOW).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn confirmed_writes_survive_a_crash_of_the_server() {
    let cluster = Arc::new(Cluster::start());
    let store = Arc::new(opened(&cluster.schema()).await);
    let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (store, stop, next) = (Arc::clone(&store), Arc::clone(&stop), Arc::clone(&next));
            tokio::spawn(async move {
                let mut confirmed = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if store.put(&grant(number), b"kept".to_vec(), LATER).await.is_ok() {
                        confirmed.push(number);
                    }
                }
                confirmed
            })
        })
        .collect();
    for mode in ["immediate", "fast"] {
        sleep(Duration::from_millis(300)).await;
        let restarted = Arc::clone(&cluster);
        tokio::task::spawn_blocking(move || {
            restarted.stop(mode);
            restarted.resume();
        })
        .await
        .unwrap();
    }
    sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::Relaxed);
    let mut count = 0;
    for writer in writers {
        for number in writer.await.unwrap() {
            let record = store.get(&grant(number), NOW).await.unwrap();
            assert!(record.is_some(), "write {number} of {next:?} was confirmed and is lost");
            count += 1;
        }
    }
    assert!(count > 100, "{count} writes");
    assert_eq!(store.probe(NOW).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn failover_to_a_synchronous_standby_loses_no_confirmed_write() {
    let primary = Arc::new(Cluster::start());
    let url = primary.schema();
    let standby = Arc::new(primary.standby());
    let store = Arc::new(opened(&primary.url_with(&standby, &url)).await);
    let (stop, writing) = (Arc::new(AtomicBool::new(false)), Arc::clone(&store));
    let stopped = Arc::clone(&stop);
    let writer = tokio::spawn(async move {
        let mut confirmed = Vec::new();
        for number in 0.. {
            if stopped.load(Ordering::Relaxed) {
                break;
            }
            if writing.put(&grant(number), b"kept".to_vec(), LATER).await.is_ok() {
                confirmed.push(number);
            }
        }
        confirmed
    });
    sleep(Duration::from_millis(500)).await;
    let promoted = Arc::clone(&standby);
    tokio::task::spawn_blocking(move || {
        primary.stop("immediate");
        promoted.become_primary();
    })
    .await
    .unwrap();
    sleep(Duration::from_millis(500)).await;
    store.put(&grant(1_000_000), b"after".to_vec(), LATER).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    let confirmed = writer.await.unwrap();
    assert!(confirmed.len() > 20, "{} writes", confirmed.len());
    for number in confirmed {
        assert!(store.get(&grant(number), NOW).await.unwrap().is_some(), "write {number} is lost");
    }
}
