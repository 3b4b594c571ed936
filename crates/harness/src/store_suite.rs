//! The test suite for implementations of [`Store`]: a table of behaviors that runs against each of them.
//!
//! It needs no runtime: concurrency is `join_all`, and time is the argument `now`. The keys contain a salt, so the
//! suite can run again on a store that still has the records of an earlier run. Reads of [`RecordKey::Client`] may be stale
//! and its writes need not be atomic, so the suite requires only that much of them.

use std::{fmt::Debug, ops::Range};

use deputy::host::{BoxFuture, Digest, GrantId, RecordKey, Store, StoreError, Timestamp, Version};
use futures_util::future::join_all;

/// A behavior: its description, and the check.
pub type Behavior = (&'static str, for<'a> fn(Trial<'a>) -> BoxFuture<'a, Outcome>);

/// The outcome of a check. The error says what was seen instead.
pub type Outcome = Result<(), String>;

/// All behaviors.
pub const SUITE: &[Behavior] = &[
    ("record that was never written does not exist", |t| Box::pin(absent(t))),
    ("get returns the value of put for every kind of key", |t| Box::pin(put_and_get(t))),
    ("put overwrites a record with another version", |t| Box::pin(put_overwrites(t))),
    ("keys of different kinds with the same name do not collide", |t| Box::pin(kinds_are_apart(t))),
    ("approval, login and grant follow each other", |t| Box::pin(login_becomes_a_grant(t))),
    ("empty value and value of 64 KiB come back unchanged", |t| Box::pin(sizes(t))),
    ("client id with unusual characters is stored under its name", |t| Box::pin(unusual_names(t))),
    ("expired record does not exist for get", |t| Box::pin(get_expired(t))),
    ("expired record does not exist for take", |t| Box::pin(take_expired(t))),
    ("expired record cannot be replaced by its version", |t| Box::pin(replace_expired(t))),
    ("expired record does not prevent creation of a new one", |t| Box::pin(create_over_expired(t))),
    ("replace without a version creates a missing record only", |t| Box::pin(replace_creates(t))),
    ("replace with a version writes over that version once", |t| Box::pin(replace_by_version(t))),
    ("replace with the version of a removed record writes nothing", |t| Box::pin(replace_removed(t))),
    ("one of many concurrent creations of a record succeeds", |t| Box::pin(create_race(t))),
    ("one of many concurrent replacements of a version succeeds", |t| Box::pin(replace_race(t))),
    ("take returns a record and removes it", |t| Box::pin(take_removes(t))),
    ("one of many concurrent takes of a record succeeds", |t| Box::pin(take_race(t))),
    ("take and replace of the same version exclude each other", |t| Box::pin(take_against_replace(t))),
    ("record that is written again has a new version", |t| Box::pin(versions_differ(t))),
    ("working store passes every probe", |t| Box::pin(probe(t))),
    ("many concurrent writes are all stored", |t| Box::pin(many_at_once(t))),
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

async fn absent(trial: Trial<'_>) -> Outcome {
    for key in [trial.grant(0), trial.login(0), trial.client("absent")] {
        same("get", trial.value(&key).await?, None)?;
    }
    same("take", trial.take(&trial.grant(0)).await?, None)
}

async fn put_and_get(trial: Trial<'_>) -> Outcome {
    let digest = Digest(trial.bytes(0));
    let keys = [
        trial.approval(0),
        trial.client("known"),
        trial.grant(0),
        trial.login(0),
        RecordKey::Assertion(digest),
        RecordKey::Reply(digest),
        RecordKey::User(digest),
    ];
    for key in &keys {
        trial.put(key, key.kind().as_bytes()).await?;
    }
    for key in &keys {
        let record = trial.store.get(key, trial.now).await.map_err(failed)?;
        let seen = record.map(|record| (record.value, record.expires_at));
        same(key.kind(), seen, Some((key.kind().as_bytes().to_vec(), trial.later())))?;
    }
    Ok(())
}

async fn put_overwrites(trial: Trial<'_>) -> Outcome {
    let key = trial.grant(0);
    trial.put(&key, b"first").await?;
    let first = trial.version(&key).await?;
    trial.put(&key, b"second").await?;
    same("the value", trial.value(&key).await?, Some(b"second".to_vec()))?;
    differs("the version", trial.version(&key).await?, first)
}

async fn kinds_are_apart(trial: Trial<'_>) -> Outcome {
    let digest = Digest(trial.bytes(0));
    // These three have one name.
    let (approval, grant, login) = (trial.approval(0), trial.grant(0), trial.login(0));
    let (reply, user) = (RecordKey::Reply(digest), RecordKey::User(digest));
    let client = RecordKey::Client(login.name());
    for key in [&approval, &client, &grant, &login, &reply, &user] {
        trial.put(key, key.kind().as_bytes()).await?;
    }
    same("take of the login", trial.take(&login).await?, Some(b"login".to_vec()))?;
    for key in [&approval, &client, &grant, &reply, &user] {
        same(key.kind(), trial.value(key).await?, Some(key.kind().as_bytes().to_vec()))?;
    }
    same("the login", trial.value(&login).await?, None)
}

/// The records of one login, each of which takes the place of the one before.
async fn login_becomes_a_grant(trial: Trial<'_>) -> Outcome {
    let (approval, grant, login) = (trial.approval(0), trial.grant(0), trial.login(0));
    trial.put(&approval, b"approval").await?;
    same("the approval", trial.take(&approval).await?, Some(b"approval".to_vec()))?;
    same("take of the login", trial.take(&login).await?, None)?;
    trial.put(&login, b"login").await?;
    same("the approval", trial.take(&approval).await?, None)?;
    same("the login", trial.take(&login).await?, Some(b"login".to_vec()))?;
    same("the first write", trial.replace(&grant, None, b"grant").await?, true)?;
    same("the second write", trial.replace(&grant, None, b"other").await?, false)?;
    same("the login", trial.take(&login).await?, None)?;
    same("the grant", trial.take(&grant).await?, Some(b"grant".to_vec()))?;
    same("the grant", trial.value(&grant).await?, None)
}

async fn sizes(trial: Trial<'_>) -> Outcome {
    let large: Vec<u8> = (0..=u8::MAX).cycle().take(64 * 1024).collect();
    trial.put(&trial.grant(0), &large).await?;
    trial.put(&trial.grant(1), b"").await?;
    let seen = trial.value(&trial.grant(0)).await?;
    if seen.as_ref() != Some(&large) {
        return Err(format!("{:?} bytes came back, or other bytes", seen.map(|value| value.len())));
    }
    same("the empty value", trial.value(&trial.grant(1)).await?, Some(Vec::new()))
}

async fn unusual_names(trial: Trial<'_>) -> Outcome {
    let keys: Vec<RecordKey> = UNUSUAL.iter().map(|name| trial.client(name)).collect();
    for (key, name) in keys.iter().zip(UNUSUAL) {
        trial.put(key, name.as_bytes()).await?;
    }
    for (key, name) in keys.iter().zip(UNUSUAL) {
        same(name, trial.value(key).await?, Some(name.as_bytes().to_vec()))?;
    }
    Ok(())
}

async fn get_expired(trial: Trial<'_>) -> Outcome {
    let key = trial.login(0);
    trial.put(&key, b"value").await?;
    let (before, at) = (trial.now.plus(LIFE - 1), trial.later());
    same("a second before", exists(trial.store.get(&key, before).await)?, true)?;
    same("at the second", exists(trial.store.get(&key, at).await)?, false)?;
    same("long after", exists(trial.store.get(&key, at.plus(LIFE)).await)?, false)
}

async fn take_expired(trial: Trial<'_>) -> Outcome {
    let (early, late) = (trial.login(0), trial.login(1));
    trial.put(&early, b"value").await?;
    trial.put(&late, b"value").await?;
    let (before, at) = (trial.now.plus(LIFE - 1), trial.later());
    same("a second before", exists(trial.store.take(&early, before).await)?, true)?;
    same("at the second", exists(trial.store.take(&late, at).await)?, false)
}

async fn replace_expired(trial: Trial<'_>) -> Outcome {
    let key = trial.grant(0);
    trial.put(&key, b"value").await?;
    let version = trial.version(&key).await?;
    let (at, end) = (trial.later(), trial.now.plus(2 * LIFE));
    let replaced =
        trial.store.replace(&key, Some(version), b"next".to_vec(), end, at).await.map_err(failed)?;
    same("replaced", replaced, false)?;
    same("the record", exists(trial.store.get(&key, at).await)?, false)
}

async fn create_over_expired(trial: Trial<'_>) -> Outcome {
    let key = trial.grant(0);
    trial.put(&key, b"old").await?;
    let old = trial.version(&key).await?;
    let (at, end) = (trial.later(), trial.now.plus(2 * LIFE));
    let created = trial.store.replace(&key, None, b"new".to_vec(), end, at).await.map_err(failed)?;
    same("created", created, true)?;
    let record = trial.store.get(&key, at).await.map_err(failed)?.ok_or("no record")?;
    same("the value", record.value, b"new".to_vec())?;
    differs("the version", record.version, old)
}

async fn replace_creates(trial: Trial<'_>) -> Outcome {
    let key = trial.grant(0);
    same("without a record", trial.replace(&key, None, b"first").await?, true)?;
    same("with a record", trial.replace(&key, None, b"second").await?, false)?;
    same("the value", trial.value(&key).await?, Some(b"first".to_vec()))
}

async fn replace_by_version(trial: Trial<'_>) -> Outcome {
    let key = trial.grant(0);
    trial.put(&key, b"first").await?;
    let version = trial.version(&key).await?;
    same("with the version", trial.replace(&key, Some(version), b"second").await?, true)?;
    same("with it again", trial.replace(&key, Some(version), b"third").await?, false)?;
    same("the value", trial.value(&key).await?, Some(b"second".to_vec()))?;
    differs("the version", trial.version(&key).await?, version)
}

async fn replace_removed(trial: Trial<'_>) -> Outcome {
    let key = trial.grant(0);
    trial.put(&key, b"value").await?;
    let version = trial.version(&key).await?;
    same("take", trial.take(&key).await?, Some(b"value".to_vec()))?;
    same("replaced", trial.replace(&key, Some(version), b"next").await?, false)?;
    same("the record", trial.value(&key).await?, None)
}

async fn create_race(trial: Trial<'_>) -> Outcome {
    race(trial, trial.grant(0), None).await
}

async fn replace_race(trial: Trial<'_>) -> Outcome {
    let key = trial.grant(0);
    trial.put(&key, b"value").await?;
    let version = trial.version(&key).await?;
    race(trial, key, Some(version)).await
}

/// Replaces `expected` from many callers at once: one succeeds, and its value is stored.
async fn race(trial: Trial<'_>, key: RecordKey, expected: Option<Version>) -> Outcome {
    let (trial, key) = (&trial, &key);
    let results =
        join_all(RACERS.map(|racer| async move { trial.replace(key, expected, &[racer]).await })).await;
    let results: Vec<bool> = results.into_iter().collect::<Result<_, _>>()?;
    let winners: Vec<u8> = RACERS.zip(results).filter(|(_, won)| *won).map(|(racer, _)| racer).collect();
    same("the number of winners", winners.len(), 1)?;
    same("the value", trial.value(key).await?, Some(winners))
}

async fn take_removes(trial: Trial<'_>) -> Outcome {
    let key = trial.login(0);
    trial.put(&key, b"value").await?;
    same("the first", trial.take(&key).await?, Some(b"value".to_vec()))?;
    same("the second", trial.take(&key).await?, None)?;
    same("get", trial.value(&key).await?, None)
}

async fn take_race(trial: Trial<'_>) -> Outcome {
    let key = trial.login(0);
    trial.put(&key, b"value").await?;
    let (trial, key) = (&trial, &key);
    let results = join_all(RACERS.map(|_| async move { trial.take(key).await })).await;
    let results: Vec<Option<Vec<u8>>> = results.into_iter().collect::<Result<_, _>>()?;
    same("the results", results.into_iter().flatten().collect(), vec![b"value".to_vec()])
}

async fn take_against_replace(trial: Trial<'_>) -> Outcome {
    for number in 0..8 {
        let key = trial.grant(number);
        trial.put(&key, b"old").await?;
        let version = trial.version(&key).await?;
        let (taken, replaced) =
            futures_util::future::join(trial.take(&key), trial.replace(&key, Some(version), b"new")).await;
        match (taken?.as_deref(), replaced?) {
            (Some(b"old"), false) | (Some(b"new"), true) => {
                same("the record", trial.value(&key).await?, None)?;
            }
            seen => return Err(format!("taken and replaced: {seen:?}")),
        }
    }
    Ok(())
}

async fn versions_differ(trial: Trial<'_>) -> Outcome {
    let key = trial.grant(0);
    let mut seen: Vec<Version> = Vec::new();
    for round in 0..6 {
        let created = trial.replace(&key, None, b"value").await?;
        same("created", created, true)?;
        let first = trial.version(&key).await?;
        same("replaced", trial.replace(&key, Some(first), b"next").await?, true)?;
        for version in [first, trial.version(&key).await?] {
            if seen.contains(&version) {
                return Err(format!("{version:?} came again in round {round}"));
            }
            seen.push(version);
        }
        trial.take(&key).await?;
    }
    Ok(())
}

async fn probe(trial: Trial<'_>) -> Outcome {
    for now in [trial.now, trial.now, trial.later()] {
        trial.store.probe(now).await.map_err(failed)?;
    }
    Ok(())
}

async fn many_at_once(trial: Trial<'_>) -> Outcome {
    let trial = &trial;
    let written = join_all((0..200_u64).map(|number| async move {
        trial.put(&trial.grant(number), &number.to_be_bytes()).await?;
        same("a record", trial.value(&trial.grant(number)).await?, Some(number.to_be_bytes().to_vec()))
    }));
    written.await.into_iter().collect()
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

const RACERS: Range<u8> = 0..16;

const UNUSUAL: [&str; 10] = [
    "https://client.example/metadata.json?a=1&b=%2F#x",
    "it's \"quoted\" `here`",
    "'; DROP TABLE record; --",
    "100% of_them*",
    "line\r\nbreak\ttab",
    "back\\slash/../..",
    "Ünïcödé",
    "U\u{308}nïcödé",
    "客户端 🤖 \u{202e}rtl",
    " ",
];
