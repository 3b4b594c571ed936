//! Databases of each earlier schema, in the folder `schemas`. A migration needs a file there with the schema before it.

use std::{collections::BTreeSet, fs, path::Path};

use deputy::host::Store as _;
use deputy_native::store::SqliteStore;
use rusqlite::Connection;

use crate::{LATER, NOW, grant, value};

/// The statements that make a database of `kind`, for each schema from the first.
pub(crate) fn of(kind: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/schemas");
    let read = |version: usize| fs::read_to_string(folder.join(format!("{kind}-{version}.sql"))).ok();
    (1..).map_while(read).collect()
}

/// The tables and indexes of a file, as the statements that made them, and its version.
fn schema(folder: &Path) -> (BTreeSet<String>, u32) {
    let file = Connection::open(folder.join("deputy.sqlite3")).unwrap();
    let mut statement = file.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").unwrap();
    let words = |sql: String| sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let made = statement.query_map([], |row| row.get(0).map(words)).unwrap();
    let version = file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    (made.map(Result::unwrap).collect(), version)
}

#[tokio::test]
async fn file_of_each_schema_becomes_one_of_the_newest() {
    let fresh = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(fresh.path()).unwrap());
    let newest = schema(fresh.path());
    let earlier = of("sqlite");
    assert_eq!(earlier.len(), newest.1 as usize, "tests/store/schemas has a file for each schema");
    for statements in earlier {
        let folder = tempfile::tempdir().unwrap();
        let file = Connection::open(folder.path().join("deputy.sqlite3")).unwrap();
        file.execute_batch(&statements).unwrap();
        drop(file);
        let store = SqliteStore::open(folder.path()).unwrap();
        assert_eq!(value(&store, &grant(1)).await, Some(b"kept".to_vec()));
        let version = store.get(&grant(1), NOW).await.unwrap().unwrap().version;
        assert!(store.replace(&grant(1), Some(version), b"new".to_vec(), LATER, NOW).await.unwrap());
        drop(store);
        assert_eq!(schema(folder.path()), newest);
    }
}
