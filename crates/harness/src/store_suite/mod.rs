//! The test suite for implementations of [`Store`]: a table of behaviors that runs against each of them.
//!
//! It needs no runtime: concurrency is `join_all`, and time is the argument `now`. The keys contain a salt, so the
//! suite can run again on a store that still has the records of an earlier run. Reads of [`RecordKey::Client`] may be stale
//! and its writes need not be atomic, so the suite requires only that much of them.

mod expiry;
mod records;
mod versions;

use std::fmt::Debug;

use deputy::host::{BoxFuture, GrantId, RecordKey, Store, StoreError, Timestamp, Version};

/// A behavior: its description, and the check.
pub type Behavior = (&'static str, for<'a> fn(Trial<'a>) -> BoxFuture<'a, Outcome>);

/// The outcome of a check. The error says what was seen instead.
pub type Outcome = Result<(), String>;

/// All behaviors.
pub const SUITE: &[Behavior] = &[
    ("record that was never written does not exist", |t| Box::pin(records::absent(t))),
    ("get returns the value of put for every kind of key", |t| Box::pin(records::put_and_get(t))),
    ("put overwrites a record with another version", |t| Box::pin(records::put_overwrites(t))),
    ("keys of different kinds with the same name do not collide", |t| Box::pin(records::kinds_are_apart(t))),
    ("approval, login and grant follow each other", |t| Box::pin(records::login_becomes_a_grant(t))),
    ("empty value and value of 64 KiB come back unchanged", |t| Box::pin(records::sizes(t))),
    ("client id with unusual characters is stored under its name", |t| Box::pin(records::unusual_names(t))),
    ("expired record does not exist for get", |t| Box::pin(expiry::get_expired(t))),
    ("expired record does not exist for take", |t| Box::pin(expiry::take_expired(t))),
    ("expired record cannot be replaced by its version", |t| Box::pin(expiry::replace_expired(t))),
    ("expired record does not prevent creation of a new one", |t| Box::pin(expiry::create_over_expired(t))),
    ("replace without a version creates a missing record only", |t| Box::pin(versions::replace_creates(t))),
    ("replace with a version writes over that version once", |t| Box::pin(versions::replace_by_version(t))),
    ("replace with the version of a removed record writes nothing", |t| {
        Box::pin(versions::replace_removed(t))
    }),
    ("one of many concurrent creations of a record succeeds", |t| Box::pin(versions::create_race(t))),
    ("one of many concurrent replacements of a version succeeds", |t| Box::pin(versions::replace_race(t))),
    ("take returns a record and removes it", |t| Box::pin(versions::take_removes(t))),
    ("one of many concurrent takes of a record succeeds", |t| Box::pin(versions::take_race(t))),
    ("take and replace of the same version exclude each other", |t| {
        Box::pin(versions::take_against_replace(t))
    }),
    ("record that is written again has a new version", |t| Box::pin(versions::versions_differ(t))),
    ("working store passes every probe", |t| Box::pin(records::probe(t))),
    ("many concurrent writes are all stored", |t| Box::pin(records::many_at_once(t))),
];

/// Runs the whole suite and returns every failure, with the description of its behavior. `now` should be near the real
/// time, for stores that remove records by a clock of their own.
pub async fn run(store: &dyn Store, now: Timestamp, salt: u64) -> Vec<String> {
    let mut failures = Vec::new();
    for (index, (description, check)) in (0..).zip(SUITE) {
        if let Err(seen) = check(Trial { store, now, salt, behavior: index }).await {
            failures.push(format!("{description}: {seen}"));
        }
    }
    failures
}

/// One run of one check.
#[derive(Clone, Copy)]
pub struct Trial<'a> {
    store: &'a dyn Store,
    now: Timestamp,
    salt: u64,
    behavior: u64,
}

impl Trial<'_> {
    /// The default expiry of records in this trial.
    fn later(&self) -> Timestamp {
        self.now.plus(LIFE)
    }

    fn bytes<const N: usize>(&self, number: u64) -> [u8; N] {
        let seed = [self.salt, self.behavior, number];
        let seed = seed.map(u64::to_be_bytes);
        let mut bytes = [0; N];
        // The number comes first, because the name of a grant is shorter.
        for (byte, seed) in
            bytes.iter_mut().zip([seed[2], seed[1], seed[0]].iter().flat_map(|part| &part[4..]).cycle())
        {
            *byte = *seed;
        }
        bytes
    }

    fn grant(&self, number: u64) -> RecordKey {
        RecordKey::Grant(GrantId(self.bytes(number)))
    }

    fn approval(&self, number: u64) -> RecordKey {
        RecordKey::Approval(GrantId(self.bytes(number)))
    }

    fn login(&self, number: u64) -> RecordKey {
        RecordKey::Login(GrantId(self.bytes(number)))
    }

    fn client(&self, name: &str) -> RecordKey {
        RecordKey::Client(format!("{name} {} {}", self.salt, self.behavior))
    }

    async fn put(&self, key: &RecordKey, value: &[u8]) -> Outcome {
        self.store.put(key, value.to_vec(), self.later()).await.map_err(failed)
    }

    /// The value and the version of a record that has not expired.
    async fn read(&self, key: &RecordKey) -> Result<Option<(Vec<u8>, Version)>, String> {
        let record = self.store.get(key, self.now).await.map_err(failed)?;
        Ok(record.map(|record| (record.value, record.version)))
    }

    async fn value(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, String> {
        Ok(self.read(key).await?.map(|(value, _)| value))
    }

    async fn version(&self, key: &RecordKey) -> Result<Version, String> {
        self.read(key)
            .await?
            .map(|(_, version)| version)
            .ok_or_else(|| "no record to read a version of".to_owned())
    }

    async fn replace(
        &self,
        key: &RecordKey,
        expected: Option<Version>,
        value: &[u8],
    ) -> Result<bool, String> {
        self.store.replace(key, expected, value.to_vec(), self.later(), self.now).await.map_err(failed)
    }

    async fn take(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, String> {
        let record = self.store.take(key, self.now).await.map_err(failed)?;
        Ok(record.map(|record| record.value))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "so that calls need no `&`")]
fn same<T: PartialEq + Debug>(what: &str, seen: T, expected: T) -> Outcome {
    if seen == expected { Ok(()) } else { Err(format!("{what}: {seen:?}, not {expected:?}")) }
}

#[expect(clippy::needless_pass_by_value, reason = "so that calls need no `&`")]
fn differs<T: PartialEq + Debug>(what: &str, seen: T, other: T) -> Outcome {
    if seen == other { Err(format!("{what}: still {seen:?}")) } else { Ok(()) }
}

fn exists<T>(result: Result<Option<T>, StoreError>) -> Result<bool, String> {
    result.map(|record| record.is_some()).map_err(failed)
}

#[expect(clippy::needless_pass_by_value, reason = "the argument of `map_err`")]
fn failed(error: StoreError) -> String {
    error.to_string()
}

/// The lifetime of records in the suite, in seconds. It is longer than the shortest lifetime that a store allows.
const LIFE: u64 = 600;
