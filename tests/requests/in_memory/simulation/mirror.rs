//! PostgreSQL beside the store in memory: every operation of the simulation runs on both, with the same outcome.

use std::{
    collections::HashMap,
    env,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
};

use deputy::host::{Digest, GrantId, Operation, Outcome, Record, RecordKey, Store as _, Timestamp, Version};
use deputy_native::store::PostgresStore;
use harness::postgres::cluster;
use tokio::runtime::{Builder, Runtime};

/// Records on PostgreSQL, equal to those in memory that one run of the simulation uses.
pub(super) struct Mirror {
    server: &'static Server,
    /// Keeps the records of runs apart, since each begins with the same random numbers.
    salt: u64,
    /// The versions of a record, in memory and on PostgreSQL.
    versions: Mutex<HashMap<RecordKey, (Version, Version)>>,
}

/// The store of all runs.
struct Server {
    /// The simulation polls futures by itself, and would never wake the driver.
    runtime: Runtime,
    store: Arc<PostgresStore>,
}

impl Mirror {
    /// A mirror without records, if `DEPUTY_SIMULATION` is `postgres`.
    pub(super) fn from_environment() -> Option<Self> {
        static SERVER: OnceLock<Server> = OnceLock::new();
        static NEXT: AtomicU64 = AtomicU64::new(1);
        env::var_os("DEPUTY_SIMULATION").filter(|host| host == "postgres")?;
        let (server, salt) = (SERVER.get_or_init(Server::start), NEXT.fetch_add(1, Ordering::SeqCst));
        Some(Self { server, salt, versions: Mutex::default() })
    }

    /// Executes an operation that had this outcome in memory, where the record was `before` and is `after` now. The outcome
    /// must be the same.
    pub(super) fn execute(
        &self,
        key: &RecordKey,
        operation: Operation,
        (before, after): (Option<Record>, Option<Record>),
        outcome: &Outcome,
        now: Timestamp,
    ) {
        self.prepare(key, before.as_ref());
        let known = self.versions.lock().unwrap().get(key).copied();
        let operation = match operation {
            // A version that is no longer the record's is of no record here either.
            Operation::Replace { expected: Some(expected), value, expires_at, now } => {
                let expected = known.filter(|(memory, _)| *memory == expected);
                let expected = Some(expected.map_or(Version(1), |(_, mirrored)| mirrored));
                Operation::Replace { expected, value, expires_at, now }
            }
            operation => operation,
        };
        let seen = self.operate(key, operation.clone());
        let same = match (&seen, outcome) {
            (Outcome::Record(Some(seen)), Outcome::Record(Some(record))) => {
                (&seen.value, seen.expires_at) == (&record.value, record.expires_at)
            }
            (seen, outcome) => seen == outcome,
        };
        assert!(same, "{operation:?} of {key:?}: {outcome:?} in memory, {seen:?} on PostgreSQL");
        self.note(key, after.as_ref(), now);
    }

    /// Writes a record that the world wrote in memory.
    fn prepare(&self, key: &RecordKey, before: Option<&Record>) {
        let known = self.versions.lock().unwrap().get(key).copied();
        match before {
            Some(record) if known.is_none_or(|(memory, _)| memory != record.version) => {
                let Record { value, version, expires_at } = record.clone();
                self.operate(key, Operation::Put { value, expires_at });
                self.versions.lock().unwrap().insert(key.clone(), (version, Version(0)));
                self.note(key, Some(record), Timestamp(0));
            }
            None if known.is_some() => {
                self.operate(key, Operation::Take { now: Timestamp(0) });
                self.versions.lock().unwrap().remove(key);
            }
            _ => {}
        }
    }

    /// Notes the versions of a record, if there is one.
    fn note(&self, key: &RecordKey, record: Option<&Record>, now: Timestamp) {
        let mirrored = match self.operate(key, Operation::Get { now }) {
            Outcome::Record(mirrored) => mirrored.map(|mirrored| mirrored.version),
            Outcome::Written(_) => None,
        };
        let mut versions = self.versions.lock().unwrap();
        match (record, mirrored) {
            (Some(record), Some(mirrored)) => drop(versions.insert(key.clone(), (record.version, mirrored))),
            _ => drop(versions.remove(key)),
        }
    }

    fn operate(&self, key: &RecordKey, operation: Operation) -> Outcome {
        let (store, key) = (Arc::clone(&self.server.store), self.salted(key));
        self.server.wait(async move { store.execute(&key, operation).await.expect("a database") })
    }

    /// The name of the record among those of all runs.
    fn salted(&self, key: &RecordKey) -> RecordKey {
        let salt = self.salt.to_be_bytes();
        let of_id = |id: &GrantId| {
            let mut id = *id;
            id.0.iter_mut().zip(salt).for_each(|(byte, salt)| *byte ^= salt);
            id
        };
        let of_digest = |digest: &Digest| {
            let mut digest = *digest;
            digest.0.iter_mut().zip(salt).for_each(|(byte, salt)| *byte ^= salt);
            digest
        };
        match key {
            RecordKey::Approval(id) => RecordKey::Approval(of_id(id)),
            RecordKey::Assertion(digest) => RecordKey::Assertion(of_digest(digest)),
            RecordKey::Blocklist(digest) => RecordKey::Blocklist(of_digest(digest)),
            RecordKey::Client(id) => RecordKey::Client(format!("{} {id}", self.salt)),
            RecordKey::Delivery(digest) => RecordKey::Delivery(of_digest(digest)),
            RecordKey::Grant(id) => RecordKey::Grant(of_id(id)),
            RecordKey::Login(id) => RecordKey::Login(of_id(id)),
            RecordKey::Reply(digest) => RecordKey::Reply(of_digest(digest)),
            RecordKey::User(digest) => RecordKey::User(of_digest(digest)),
        }
    }
}

impl Server {
    fn start() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let Ok(url) = cluster().schema().parse();
        let store = Arc::new(PostgresStore::new(&url, 4).expect("a URL"));
        let server = Self { runtime, store };
        let store = Arc::clone(&server.store);
        server.wait(async move { store.migrate().await.expect("a database") });
        server
    }

    /// Completes a future on the runtime of the driver.
    fn wait<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let (done, result) = mpsc::channel();
        self.runtime.spawn(async move { done.send(work.await) });
        result.recv().expect("a result")
    }
}
