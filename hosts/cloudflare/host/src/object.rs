//! One record in one Durable Object.
//!
//! The object knows nothing of what it keeps: it has the four verbs of the store, and one class does for every kind of
//! record. Each verb runs without a break, so that no other request of the object comes between its reading and its
//! writing, and its answer leaves when what it did is durable.
//!
//! An object lasts as long as its record. It writes nothing before it is given one, has an alarm at the record's expiry,
//! and removes everything, alarm and table included, with the record.

use deputy::host::{Timestamp, Version};
use machine::{fill_random, now};
use serde::{Deserialize, Serialize};
use worker::{
    DurableObject, Env, ScheduledTime, SqlStorage, SqlStorageValue, State, Storage, durable_object,
    js_sys::Date, wasm_bindgen,
};

/// What the store asks of an object.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Get {
        now: Timestamp,
    },
    Put {
        #[serde(with = "base64")]
        value: Vec<u8>,
        expires_at: Timestamp,
    },
    Replace {
        expected: Option<u64>,
        #[serde(with = "base64")]
        value: Vec<u8>,
        expires_at: Timestamp,
        now: Timestamp,
    },
    Take {
        now: Timestamp,
    },
    #[cfg(feature = "eviction")]
    Evict,
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// To `Put`.
    Done,
    /// To `Get` and `Take`.
    Record(Option<Record>),
    /// To `Replace`: whether it did.
    Replaced(bool),
}

/// A record under way between the two.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    #[serde(with = "base64")]
    pub(crate) value: Vec<u8>,
    pub(crate) version: u64,
    pub(crate) expires_at: Timestamp,
}

impl From<Record> for deputy::host::Record {
    fn from(Record { value, version, expires_at }: Record) -> Self {
        Self { value, version: Version(version), expires_at }
    }
}

/// The class of objects that `wrangler.jsonc` names.
#[durable_object(alarm)]
pub struct RecordObject {
    state: State,
    #[cfg(feature = "eviction")]
    eviction: eviction::Eviction,
}

impl DurableObject for RecordObject {
    #[cfg(not(feature = "eviction"))]
    fn new(state: State, _: Env) -> Self {
        machine::answer_panics();
        Self { state }
    }

    #[cfg(feature = "eviction")]
    fn new(state: State, _: Env) -> Self {
        machine::answer_panics();
        let (state, eviction) = eviction::Eviction::of(state);
        Self { state, eviction }
    }

    async fn fetch(&self, mut request: worker::Request) -> worker::Result<worker::Response> {
        let request = request.json().await?;
        worker::Response::from_json(&self.answer(request).await?)
    }

    async fn alarm(&self) -> worker::Result<worker::Response> {
        match self.read()? {
            Some(record) if record.expires_at > now() => self.alarm_at(record.expires_at).await?,
            Some(_) | None => self.remove().await?,
        }
        worker::Response::empty()
    }
}

impl RecordObject {
    async fn answer(&self, request: Request) -> worker::Result<Answer> {
        match request {
            Request::Get { now } => Ok(Answer::Record(self.live(now)?)),
            Request::Put { value, expires_at } => {
                let before = self.read()?;
                self.write(before, value, expires_at).await?;
                Ok(Answer::Done)
            }
            Request::Replace { expected, value, expires_at, now } => {
                let before = self.read()?;
                let live = before.as_ref().filter(|record| record.expires_at > now);
                if live.map(|record| record.version) != expected {
                    return Ok(Answer::Replaced(false));
                }
                self.write(before, value, expires_at).await?;
                Ok(Answer::Replaced(true))
            }
            Request::Take { now } => {
                let before = self.read()?;
                if before.is_some() {
                    self.remove().await?;
                }
                Ok(Answer::Record(before.filter(|record| record.expires_at > now)))
            }
            #[cfg(feature = "eviction")]
            Request::Evict => self.eviction.begin().await,
        }
    }

    fn live(&self, now: Timestamp) -> worker::Result<Option<Record>> {
        Ok(self.read()?.filter(|record| record.expires_at > now))
    }

    /// The record, expired or not.
    fn read(&self) -> worker::Result<Option<Record>> {
        let sql = self.sql();
        // A `CREATE TABLE IF NOT EXISTS` would make an object of every name that somebody guesses.
        if sql.exec(HAS_TABLE, None)?.raw().next().is_none() {
            return Ok(None);
        }
        match sql.exec(READ, None)?.raw().next().transpose()?.as_deref() {
            Some(
                [
                    SqlStorageValue::Blob(value),
                    SqlStorageValue::Integer(version),
                    SqlStorageValue::Integer(at),
                ],
            ) => {
                let (version, expires_at) = (version.unsigned_abs(), Timestamp(at.unsigned_abs()));
                Ok(Some(Record { value: value.clone(), version, expires_at }))
            }
            Some(_) => Err("a record has columns of other types".into()),
            None => Ok(None),
        }
    }

    async fn write(
        &self,
        before: Option<Record>,
        value: Vec<u8>,
        expires_at: Timestamp,
    ) -> worker::Result<()> {
        let sql = self.sql();
        sql.exec(CREATE_TABLE, None)?;
        sql.exec(
            WRITE,
            vec![
                SqlStorageValue::Blob(value),
                SqlStorageValue::try_from_i64(new_version())?,
                SqlStorageValue::try_from_i64(i64::try_from(expires_at.0).unwrap_or(i64::MAX))?,
            ],
        )?;
        if before.is_none_or(|before| before.expires_at != expires_at) {
            self.alarm_at(expires_at).await?;
        }
        Ok(())
    }

    /// Leaves nothing: an object without storage ceases to exist. The record is gone before anything is waited for.
    async fn remove(&self) -> worker::Result<()> {
        let sql = self.sql();
        if sql.exec(HAS_TABLE, None)?.raw().next().is_some() {
            sql.exec(DELETE, None)?;
        }
        let storage = self.storage();
        storage.delete_alarm().await?;
        storage.delete_all().await
    }

    async fn alarm_at(&self, expires_at: Timestamp) -> worker::Result<()> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds of a time that is a safe integer of seconds"
        )]
        let milliseconds = expires_at.0 as f64 * 1000.0;
        let date = Date::new(&milliseconds.into());
        self.storage().set_alarm(ScheduledTime::new(date)).await
    }

    fn storage(&self) -> Storage {
        self.state.storage()
    }

    fn sql(&self) -> SqlStorage {
        self.storage().sql()
    }
}

/// Random, since an object that was removed remembers no version: as many bits as SQLite's integers keep on their way
/// through JavaScript.
fn new_version() -> i64 {
    let mut bytes = [0; 8];
    fill_random(&mut bytes[..6]);
    i64::from_le_bytes(bytes)
}

#[cfg(feature = "eviction")]
mod eviction {
    use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};
    use worker::{State, worker_sys::DurableObjectState};

    /// The way to end an object's life in memory.
    pub(super) struct Eviction(Context);

    impl Eviction {
        pub(super) fn of(state: State) -> (State, Self) {
            let context = JsValue::from(state._inner());
            let state = State::from(context.clone().unchecked_into::<DurableObjectState>());
            (state, Self(context.unchecked_into()))
        }

        /// Does not come back. The runtime ends whatever runs when an object is aborted, which may not be WebAssembly
        /// that other objects of the isolate share: so a timer does it.
        pub(super) async fn begin(&self) -> ! {
            set_timeout(&self.0.abort().bind(&self.0, "evicted, as a test asked"), 0);
            std::future::pending().await
        }
    }

    #[wasm_bindgen]
    extern "C" {
        type Context;

        #[wasm_bindgen(method, getter)]
        fn abort(this: &Context) -> Abort;

        type Abort;

        #[wasm_bindgen(method)]
        fn bind(this: &Abort, context: &Context, reason: &str) -> JsValue;

        #[wasm_bindgen(js_name = setTimeout)]
        fn set_timeout(callback: &JsValue, milliseconds: i32);
    }
}

mod base64 {
    use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD_NO_PAD.decode(text).map_err(|_| D::Error::custom("not base64"))
    }
}

const HAS_TABLE: &str = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'record'";

const CREATE_TABLE: &str = "
    CREATE TABLE IF NOT EXISTS record (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        value BLOB NOT NULL,
        version INTEGER NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT";

const READ: &str = "SELECT value, version, expires_at FROM record";

const DELETE: &str = "DELETE FROM record";

const WRITE: &str = "INSERT OR REPLACE INTO record (id, value, version, expires_at) VALUES (1, ?1, ?2, ?3)";
