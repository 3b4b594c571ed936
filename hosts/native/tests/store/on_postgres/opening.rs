//! Connecting: TLS, passwords, migrations, and databases that are refused.

use deputy::host::Store as _;
use deputy_native::store::PostgresStore;
use futures_util::future::join_all;
use harness::postgres::cluster;

use super::opened;
use crate::{LATER, NOW, grant, schemas};

/// The error of a store with this URL.
async fn refusal(url: &str) -> String {
    let Ok(url) = url.parse();
    match PostgresStore::new(&url, 2) {
        Ok(store) => store.migrate().await.unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn replicas_that_start_at_once_migrate_once() {
    let url = cluster().schema();
    let stores = join_all((0..8).map(|_| opened(&url))).await;
    stores[0].put(&grant(1), b"value".to_vec(), LATER).await.unwrap();
    assert!(stores[7].get(&grant(1), NOW).await.unwrap().is_some());
    assert_eq!(cluster().sql_at(&url, "SELECT count(*), max(version) FROM deputy_schema"), "1|1");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn user_without_rights_to_create_opens_a_migrated_database() {
    let url = cluster().schema();
    drop(opened(&url).await);
    cluster().sql_at(&url, "CREATE ROLE clerk LOGIN");
    let schema = url.split("%3D").nth(1).unwrap().to_owned();
    cluster().sql_at(
        &url,
        &format!(
            "GRANT USAGE ON SCHEMA {schema} TO clerk; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON deputy_record TO clerk; GRANT SELECT ON deputy_schema TO clerk"
        ),
    );
    let store = opened(&url.replace("user=deputy", "user=clerk")).await;
    store.put(&grant(1), b"value".to_vec(), LATER).await.unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn database_of_each_schema_becomes_one_of_the_newest() {
    let schema = |url: &str| {
        let tables = "SELECT table_name, column_name, data_type, collation_name, is_nullable FROM information_schema.columns \
                      WHERE table_schema = current_schema() ORDER BY 1, 2";
        let indexes = "SELECT tablename, replace(indexdef, current_schema() || '.', '') FROM pg_indexes \
                       WHERE schemaname = current_schema() ORDER BY 1, 2";
        [tables, indexes, "SELECT version FROM deputy_schema"].map(|query| cluster().sql_at(url, query))
    };
    let fresh = cluster().schema();
    drop(opened(&fresh).await);
    let newest = schema(&fresh);
    let earlier = schemas::of("postgres");
    assert_eq!(earlier.len().to_string(), newest[2], "tests/store/schemas has a file for each schema");
    for statements in earlier {
        let url = cluster().schema();
        cluster().sql_at(&url, &format!("SET ROLE deputy; {statements}"));
        let store = opened(&url).await;
        let record = store.get(&grant(1), NOW).await.unwrap().unwrap();
        assert_eq!(record.value, b"kept");
        assert!(store.replace(&grant(1), Some(record.version), b"new".to_vec(), LATER, NOW).await.unwrap());
        assert_eq!(schema(&url), newest);
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn schema_of_a_newer_deputy_is_refused() {
    let url = cluster().schema();
    drop(opened(&url).await);
    cluster().sql_at(&url, "UPDATE deputy_schema SET version = 99");
    let refusal = refusal(&url).await;
    assert!(refusal.contains("newer Deputy (its schema is 99; this Deputy knows up to 1)"), "{refusal}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn database_without_unicode_is_refused() {
    let url = cluster().database("ENCODING 'SQL_ASCII' TEMPLATE template0");
    let refusal = refusal(&url).await;
    assert!(
        refusal.contains("has the encoding SQL_ASCII") && refusal.contains("CREATE DATABASE"),
        "{refusal}"
    );
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn server_with_a_trusted_certificate_is_used() {
    let url = format!(
        "postgres://deputy:correct%20horse@{}/tests?sslrootcert={}&options=-c%20search_path%3D{}",
        cluster().tcp(),
        cluster().certificate().display(),
        cluster().schema().split("%3D").nth(1).unwrap(),
    );
    let store = opened(&url).await;
    store.put(&grant(1), b"value".to_vec(), LATER).await.unwrap();
    assert_eq!(store.get(&grant(1), NOW).await.unwrap().unwrap().value, b"value");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn server_that_cannot_be_verified_is_refused() {
    let (tcp, roots) = (cluster().tcp(), cluster().certificate().display().to_string());
    let by_address = tcp.replace("localhost", "127.0.0.1");
    for (url, reason) in [
        (format!("postgres://deputy:correct%20horse@{tcp}/tests?sslmode=verify-full"), "certificate"),
        (format!("postgres://deputy:correct%20horse@{by_address}/tests?sslrootcert={roots}"), "certificate"),
        // The server requires TLS.
        (format!("postgres://deputy:correct%20horse@{tcp}/tests?sslmode=disable"), "no encryption"),
        (
            format!("postgres://deputy:wrong@{tcp}/tests?sslrootcert={roots}"),
            "password authentication failed",
        ),
        (format!("postgres://deputy:wrong@{tcp}/tests?sslrootcert=/nowhere.pem"), "sslrootcert"),
    ] {
        let refusal = refusal(&url).await;
        assert!(refusal.contains(reason), "{url}: {refusal}");
        assert!(!refusal.contains("horse") && !refusal.contains("wrong@"), "{refusal}");
    }
}
