//! `deputy serve`, and what the demo shares with it.

use std::{path::Path, sync::Arc, time::Duration};

use deputy::{
    Server,
    config::{Config, ConfigError, ConfigErrors, Names, UnknownName},
    host::{Host as _, Timestamp},
};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

use crate::{
    StartError, Tools,
    commands::{self, ServeOptions},
    env_file::EnvFile,
    host::NativeHost,
    http_server::{self, Limits, Server as HttpServer, Shutdown},
    logging::{LogFormat, Output},
    open_files, shutdown,
    store::{FolderLock, SqliteStore},
};

/// Serves until a signal.
pub async fn run(
    options: ServeOptions,
    file: EnvFile,
    tools: Tools,
    output: Output,
) -> Result<(), StartError> {
    let set = |name: &str| {
        // Compose files and CI set what they do not know to nothing; that is not to hide the file.
        let set = std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        set.or_else(|| file.get(name).filter(|value| !value.is_empty()).map(str::to_owned))
    };
    let config_at = |port: u16| {
        Config::parse(|name| set(name).or_else(|| (name == "PUBLIC_URL").then(|| on_this_computer(port))))
    };
    // Before anything is created or opened.
    let mut config = match (check_names(&file, |name| set(name).is_some()), config_at(options.listen.port()))
    {
        (Ok(()), config) => config?,
        (Err(mut misspelled), config) => {
            misspelled.0.extend(config.err().map(|errors| errors.0).unwrap_or_default());
            return Err(misspelled.into());
        }
    };
    if config.public_url.is_loopback() && !options.listen.is_loopback() {
        tracing::warn!(
            "other computers can connect (LISTEN), but PUBLIC_URL is {}, which leads each of them to itself. Set PUBLIC_URL \
             to the address that clients use",
            config.public_url
        );
    }
    let listening = options.listen.bind("--listen (LISTEN)").await?;
    if options.listen.port() == 0 {
        config = config_at(listening.port)?;
    }
    let limits = Limits {
        // At most 100,000, says the command line.
        connections: open_files::connections_that_fit(options.max_connections as usize)?,
        keep_alive: Duration::from_secs(options.keep_alive),
        ..Limits::default()
    };
    let http = HttpServer {
        client_address_header: options.client_address_header,
        limits,
        name: "deputy",
        ..HttpServer::default()
    };
    let shutdown = Shutdown::default();
    signals(&shutdown, &output)?;
    if config.rate_limits.is_some()
        && http.client_address_header.is_none()
        && options.listen.is_loopback()
        && !config.public_url.is_loopback()
    {
        tracing::warn!(
            "requests are not limited by address: all of them come from a proxy on this computer. Let the proxy send the \
             client's address in a header, and name that header with --client-address-header (CLIENT_ADDRESS_HEADER); or \
             set RATE_LIMITS=off"
        );
    }
    let ready = ready(&config, listening.port, output.format());
    let mut app = Deputy::open(config, &options.data.data_dir, tools, &http.limits, &shutdown)?;
    output.print(&ready);
    app.check_upstream();
    app.serve(listening.listeners, http, shutdown).await;
    Ok(())
}

/// Refuses a file in which a variable is misspelled, and a variable of the environment that is no text. Warns of other names
/// that have no effect.
///
/// The file is Deputy's. The environment belongs to every program, so only a plain typo is worth a warning there.
fn check_names(file: &EnvFile, is_set: impl Fn(&str) -> bool) -> Result<(), ConfigErrors> {
    let names = Names::new(commands::variables());
    let mut errors = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let typo = |unknown: &UnknownName| {
            unknown.meant.as_ref().is_some_and(|meant| meant.is_typo && !meant.is_set(&is_set))
        };
        match names.unknown(name) {
            // It would count as absent.
            None if value.to_str().is_none() => {
                errors
                    .push(ConfigError { name: name.to_owned().into(), problem: "is not UTF-8 text".into() });
            }
            Some(unknown) if typo(&unknown) => tracing::warn!("the environment variable {unknown}"),
            None | Some(_) => {}
        }
    }
    match names.check(file.names(), &is_set) {
        Ok(others) => {
            for unknown in others {
                tracing::warn!("in the file with variables, {unknown}");
            }
        }
        Err(misspelled) => errors.extend(misspelled),
    }
    if errors.is_empty() { Ok(()) } else { Err(ConfigErrors(errors)) }
}

/// What is said once requests are answered.
fn ready(config: &Config, port: u16, format: LogFormat) -> String {
    let (version, url) = (env!("CARGO_PKG_VERSION"), &config.public_url);
    let (mcp, callback) = (url.resource(), url.callback());
    let message = format!(
        "Deputy {version} listens on port {port} as {url}. PingOne's application needs the redirect URI {callback}. MCP \
         clients connect to {mcp}"
    );
    match format {
        LogFormat::Json => serde_json::json!({
            "level": "INFO",
            "message": message,
            "version": version,
            "port": port,
            "public_url": url.issuer(),
            "mcp_url": mcp,
            "callback_url": callback,
        })
        .to_string(),
        LogFormat::Text => message,
    }
}

/// The origin of a server on this computer, without a port where it is the scheme's own.
pub(crate) fn on_this_computer(port: u16) -> String {
    if port == 80 { "http://localhost".to_owned() } else { format!("http://localhost:{port}") }
}

/// Has `shutdown` follow the signals that the process gets.
pub(crate) fn signals(shutdown: &Shutdown, output: &Output) -> Result<(), StartError> {
    shutdown::on_signals(shutdown.clone(), output.clone())
        .map_err(|error| StartError::Other(format!("signals cannot be received: {error}")))
}

/// Deputy on its own store.
pub(crate) struct Deputy {
    server: Server,
    host: Arc<NativeHost>,
    store: Arc<SqliteStore>,
    lock: FolderLock,
    /// What goes on beside the requests, until the stop.
    tasks: Vec<JoinHandle<()>>,
}

impl Deputy {
    /// Opens the store in `folder`, for this process alone.
    pub(crate) fn open(
        config: Config,
        folder: &Path,
        tools: Tools,
        limits: &Limits,
        shutdown: &Shutdown,
    ) -> Result<Self, StartError> {
        let lock = FolderLock::take(folder)?;
        let store = Arc::new(SqliteStore::open(folder)?);
        let host = NativeHost::new(Arc::clone(&store), limits.connections, shutdown.graceful.clone());
        let host = Arc::new(host);
        let server = tools(config, host.clone());
        Ok(Self { server, host, store, lock, tasks: Vec::new() })
    }

    /// The machine it runs on.
    pub(crate) fn host(&self) -> &Arc<NativeHost> {
        &self.host
    }

    /// Says in the log if nobody can log in, beside everything else.
    fn check_upstream(&mut self) {
        let server = self.server.clone();
        self.tasks.push(tokio::spawn(async move { server.check_upstream().await }));
    }

    /// Serves until told to stop; then waits for detached work, and closes the store.
    pub(crate) async fn serve(self, listeners: Vec<TcpListener>, http: HttpServer, shutdown: Shutdown) {
        let Self { server, host, store, lock, mut tasks } = self;
        let router = server.router();
        drop(server);
        tasks.push(tokio::spawn(sweep(Arc::clone(&host), Arc::clone(&store))));
        tasks.push(tokio::spawn(watch(Arc::clone(&store))));
        let immediate = shutdown.immediate.clone();
        http_server::serve(http, listeners, router, shutdown).await;
        for task in tasks {
            task.abort();
            // Its part of the store is dropped when it has ended.
            let _ = task.await;
        }
        // As long as requests may take, and some more: a response of PingOne that nobody takes costs a user the login.
        tokio::select! {
            () = host.drained() => {}
            () = async { immediate.cancelled().await; sleep(DRAIN).await } => {
                tracing::warn!("stopped before all detached work had ended");
            }
        }
        // The last one closes the database, before another process may open it.
        drop((host, store));
        drop(lock);
        tracing::info!("stopped");
    }
}

/// Looks for the files of the database, which somebody may remove.
async fn watch(store: Arc<SqliteStore>) {
    loop {
        sleep(WATCH_EVERY).await;
        store.files_are_there();
    }
}

/// Removes expired records, a little at a time.
async fn sweep(host: Arc<NativeHost>, store: Arc<SqliteStore>) {
    let mut until = host.now();
    loop {
        // What failed is in the log; the next time may be better.
        while store.sweep(until).await.is_ok_and(|removed| removed == SqliteStore::SWEEP) {
            sleep(SWEEP_PAUSE).await;
        }
        sleep(SWEEP_EVERY).await;
        until = next_sweep(until, host.now());
    }
}

/// Until when records are removed that have expired. A clock that jumps ahead is followed slowly: what it lets expire is
/// there again when it is set right, unless it was removed.
fn next_sweep(last: Timestamp, now: Timestamp) -> Timestamp {
    now.min(last.plus(SWEEP_AT_MOST))
}

/// How long detached work may take after the grace of requests: with that, less than the 15 seconds after which supervisors
/// lose patience.
const DRAIN: Duration = Duration::from_secs(4);

const SWEEP_EVERY: Duration = Duration::from_mins(1);

const WATCH_EVERY: Duration = Duration::from_secs(5);

/// Seconds that one sweep may go on from the last one: ten times as fast as time passes.
const SWEEP_AT_MOST: u64 = 600;

/// Between two parts of a long sweep.
const SWEEP_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_that_jumps_ahead_removes_little_before_it_is_set_right() {
        let now = Timestamp(1_000_000);
        let jumped = next_sweep(now, now.plus(10 * 365 * 86_400));
        assert_eq!(jumped, now.plus(600));
        assert_eq!(next_sweep(jumped, now.plus(60)), now.plus(60));
        assert_eq!(next_sweep(now, now.plus(60)), now.plus(60), "an ordinary minute");
    }
}
