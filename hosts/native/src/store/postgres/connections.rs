//! Connections to PostgreSQL, and statements on them, with limits on every wait.

use std::{
    error::Error as _,
    fmt::Write as _,
    io,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use deadpool_postgres::{
    ConfigConnectImpl, Connect, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError,
    RecyclingMethod, Runtime, Timeouts,
};
use deputy::host::{BoxFuture, StoreError};
use rustls_tokio_postgres::{MakeRustlsConnect, config_from_ca_cert, config_platform_verifier};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_postgres::{Client, Config, Error, NoTls, Row, Statement, error::SqlState, types::ToSql};

use super::{
    PostgresError,
    schema::Access,
    url::{PostgresUrl, Tls},
};
use crate::sync::lock;

/// The connections of this process to one database. Clones share them.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool,
    pub(super) place: String,
    tls: Tls,
    /// The parameters of further connections.
    latest: Arc<Mutex<Config>>,
    connect: Arc<dyn Connect>,
    /// The schema with Deputy's tables, once it is known.
    pub(super) schema: Arc<OnceLock<String>>,
}

/// Connects with the latest parameters.
struct Latest {
    parameters: Arc<Mutex<Config>>,
    connect: Arc<dyn Connect>,
}

impl Connect for Latest {
    fn connect(&self, _: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        let parameters = lock(&self.parameters).clone();
        self.connect.connect(&parameters)
    }
}

/// A statement that failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It was not sent, or the server refused it.
    NotExecuted(StoreError),
    /// It was sent, and there was no response. It may have been executed, or may be executed yet.
    Unknown(StoreError),
}

impl Failure {
    pub(super) fn into_error(self) -> StoreError {
        match self {
            Self::NotExecuted(error) | Self::Unknown(error) => error,
        }
    }
}

impl Connections {
    /// Connects with the first statement.
    pub(super) fn new(url: PostgresUrl, most: usize) -> Result<Self, PostgresError> {
        let PostgresUrl { config, tls, place, is_local } = url;
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let connect: Arc<dyn Connect> = match &tls {
            Tls::Off => {
                if !is_local {
                    tracing::warn!(
                        %place,
                        "the connections to PostgreSQL are not encrypted (sslmode=disable). Use sslmode=verify-full unless \
                         you trust every computer on the way"
                    );
                }
                Arc::new(ConfigConnectImpl { tls: NoTls })
            }
            Tls::VerifyFull { roots } => {
                let tls = match roots {
                    Some(path) => config_from_ca_cert(path).map_err(|error| error.to_string()),
                    None => config_platform_verifier().map_err(|error| error.to_string()),
                };
                let tls = tls.map_err(PostgresError::Authorities)?;
                Arc::new(ConfigConnectImpl { tls: MakeRustlsConnect::new(tls) })
            }
        };
        let latest = Arc::new(Mutex::new(config.clone()));
        let latest_connect = Latest { parameters: Arc::clone(&latest), connect: Arc::clone(&connect) };
        let manager = Manager::from_connect(config, latest_connect, recycling);
        let limit = Some(CONNECTION_TIMEOUT);
        let pool = Pool::builder(manager)
            .max_size(most)
            .timeouts(Timeouts { wait: limit, create: limit, recycle: limit })
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(
                    async move { client.batch_execute(SESSION_SETTINGS).await.map_err(HookError::Backend) },
                )
            }))
            .build()
            .map_err(|error| PostgresError::Unusable(place.clone(), error.to_string()))?;
        Ok(Self { pool, place, tls, latest, connect, schema: Arc::default() })
    }

    /// Opens further connections as `url` says, which names the same database, after one connection has shown that they can be
    /// used. Open connections stay.
    pub(super) async fn use_url(&self, url: PostgresUrl) -> Result<(), PostgresError> {
        let PostgresUrl { mut config, tls, place, .. } = url;
        if (&place, &tls) != (&self.place, &self.tls) {
            return Err(PostgresError::Elsewhere(place));
        }
        if let Some(name) = lock(&self.latest).get_application_name() {
            config.application_name(name);
        }
        let access = timeout(CONNECTION_TIMEOUT, self.access_with(&config)).await;
        let access = access.unwrap_or_else(|_| Err("PostgreSQL does not respond".to_owned()));
        match access.map_err(|cause| PostgresError::NotYet(place.clone(), cause))? {
            Some(Access { schema, .. }) if self.schema.get().is_some_and(|used| *used != schema) => {
                Err(PostgresError::OtherTables(place))
            }
            None => Err(PostgresError::OtherTables(place)),
            Some(Access { is_sufficient: false, .. }) => Err(PostgresError::NotYet(
                place,
                "the user may not read and write Deputy's tables".to_owned(),
            )),
            Some(_) => {
                *lock(&self.latest) = config;
                Ok(())
            }
        }
    }

    /// Opens a connection with these parameters, and looks for the tables with it.
    async fn access_with(&self, config: &Config) -> Result<Option<Access>, String> {
        // The connection ends with the client.
        let (client, _) = self.connect.connect(config).await.map_err(|error| cause(&error))?;
        Access::find(&client).await.map_err(|error| cause(&error))
    }

    /// Executes a statement and returns its rows. Waits a little while the server restarts. A statement that may have been
    /// sent is not sent again.
    pub(super) async fn query(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let (client, statement) = self.prepared(sql).await.map_err(Failure::NotExecuted)?;
        match timeout(RESPONSE_TIMEOUT, client.query(&statement, params)).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => {
                let failed = StoreError(cause(&error));
                match error.code() {
                    // A server that has become a standby.
                    Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => {
                        drop(Object::take(client));
                        Err(Failure::NotExecuted(failed))
                    }
                    Some(code) if !is_passing(code) => Err(Failure::NotExecuted(failed)),
                    _ => Err(Failure::Unknown(failed)),
                }
            }
            Err(_) => {
                drop(Object::take(client));
                Err(Failure::Unknown(StoreError("PostgreSQL does not respond".to_owned())))
            }
        }
    }

    /// Executes a statement that changes nothing, and again if the connection was lost meanwhile. When the server restarts,
    /// every connection is lost, and the pool may not know it yet.
    pub(super) async fn read(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let until = Instant::now() + PATIENCE;
        loop {
            let is_last = Instant::now() >= until;
            match self.query(sql, params).await {
                Err(Failure::Unknown(_)) if !is_last => sleep(FIRST_PAUSE).await,
                done => return done.map_err(Failure::into_error),
            }
        }
    }

    /// A connection for a transaction.
    pub(super) async fn client(&self) -> Result<Object, StoreError> {
        self.prepared("SELECT 1").await.map(|(client, _)| client)
    }

    /// Operations that wait for a connection.
    pub(super) fn waiting(&self) -> u32 {
        u32::try_from(self.pool.status().waiting).unwrap_or(u32::MAX)
    }

    /// A connection on which the statement is prepared. Tries again while the server starts or another becomes the primary.
    async fn prepared(&self, sql: &str) -> Result<(Object, Statement), StoreError> {
        let until = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        loop {
            let (error, passes) = match self.pool.get().await {
                Ok(client) => match timeout(RESPONSE_TIMEOUT, client.prepare_cached(sql)).await {
                    Ok(Ok(statement)) => return Ok((client, statement)),
                    Ok(Err(error)) => (cause(&error), passes(&error)),
                    Err(_) => {
                        drop(Object::take(client));
                        ("PostgreSQL does not respond".to_owned(), false)
                    }
                },
                Err(PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error))) => {
                    (cause(&error), passes(&error))
                }
                Err(PoolError::Timeout(_)) => {
                    ("no connection to PostgreSQL was free or could be opened in time".to_owned(), false)
                }
                Err(error) => (error.to_string(), false),
            };
            if !passes || Instant::now() + pause > until {
                return Err(StoreError(error));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Whether a failure may pass by itself.
fn passes(error: &Error) -> bool {
    match error.code() {
        Some(code) => is_passing(code),
        None => error.is_closed() || error.source().is_some_and(<dyn std::error::Error>::is::<io::Error>),
    }
}

/// Whether the server closes the connection with this code, or does not accept one at the moment.
fn is_passing(code: &SqlState) -> bool {
    *code == SqlState::TOO_MANY_CONNECTIONS || code.code().starts_with("08") || code.code().starts_with("57P")
}

/// The error with its causes, without the details of the server, which may quote values.
pub(in crate::store) fn cause(error: &Error) -> String {
    if let Some(refusal) = error.as_db_error() {
        return format!("{} ({})", refusal.message(), refusal.code().code());
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a `String` cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// Time for a connection: to become free, and to be opened.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Time for the response to a statement: longer than the server's own limit in [`SESSION_SETTINGS`].
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(7);

/// Time in which a lost server may come back.
const PATIENCE: Duration = Duration::from_secs(4);

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// The settings of a session. Without synchronous commits, a confirmed write could be lost.
///
/// PostgreSQL keeps the plan of a prepared statement until the statistics of the table change. A plan from when the table
/// had few records would read all of it, also when it has grown. Every statement on
/// records has an index. The estimated cost of others, which read one row, is not worth a compilation (`jit`).
const SESSION_SETTINGS: &str = "
    SET enable_seqscan = off;
    SET jit = off;
    SET statement_timeout = '5s';
    SET lock_timeout = '4s';
    SET idle_in_transaction_session_timeout = '1min';
    SET default_transaction_isolation = 'read committed';
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";
