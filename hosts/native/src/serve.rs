//! `deputy serve`, and what the demo shares with it.

use std::{path::Path, sync::Arc, time::Duration};

use axum::Router;
use deputy::{
    config::{Config, ConfigErrors, Names, UnknownName},
    host::Host as _,
};
use tokio::{net::TcpListener, time::timeout};

use crate::{
    StartError, Tools,
    commands::{self, ServeOptions},
    env_file::EnvFile,
    host::NativeHost,
    http_server::{self, Limits, Stop},
    shutdown,
    store::SqliteStore,
};

/// Serves until a signal.
pub async fn run(options: ServeOptions, file: EnvFile, tools: Tools) -> Result<(), StartError> {
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
        connections: options.max_connections as usize,
        client_address_header: options.client_address_header,
        ..Limits::default()
    };
    let stop = Stop::default();
    signals(&stop)?;
    if config.rate_limits.is_some()
        && limits.client_address_header.is_none()
        && options.listen.is_loopback()
        && !config.public_url.is_loopback()
    {
        tracing::warn!(
            "requests are not limited by address: all of them come from a proxy on this computer. Have it name its \
             clients in a header, and name that header with --client-address-header (CLIENT_ADDRESS_HEADER); or set \
             RATE_LIMITS=off"
        );
    }
    let resource = config.public_url.resource();
    let app = Deputy::open(config, &options.data_dir, tools)?;
    println!("Deputy listens on port {}. MCP clients connect to {resource}", listening.port);
    app.serve(listening.listeners, limits, stop).await;
    Ok(())
}

/// Refuses a file in which a variable is misspelled, and warns of other names that have no effect.
///
/// The file is Deputy's. The environment belongs to every program, so there only a plain typo is worth a warning.
fn check_names(file: &EnvFile, is_set: impl Fn(&str) -> bool) -> Result<(), ConfigErrors> {
    let names = Names::new(commands::variables());
    for (name, _) in std::env::vars_os() {
        let unknown = name.to_str().and_then(|name| names.unknown(name));
        let typo = |unknown: &UnknownName| {
            unknown.meant.as_ref().is_some_and(|meant| meant.is_typo && !is_set(&meant.variable))
        };
        if let Some(unknown) = unknown.filter(typo) {
            tracing::warn!("the environment variable {unknown}");
        }
    }
    for unknown in names.check(file.names(), &is_set).map_err(ConfigErrors)? {
        tracing::warn!("in the file with variables, {unknown}");
    }
    Ok(())
}

/// The origin of a server on this computer, without a port where it is the scheme's own.
pub(crate) fn on_this_computer(port: u16) -> String {
    if port == 80 { "http://localhost".to_owned() } else { format!("http://localhost:{port}") }
}

/// Has `stop` follow the signals that the process gets.
pub(crate) fn signals(stop: &Stop) -> Result<(), StartError> {
    shutdown::on_signals(stop.clone())
        .map_err(|error| StartError::Other(format!("signals cannot be received: {error}")))
}

/// Deputy on its own store.
pub(crate) struct Deputy {
    router: Router,
    host: Arc<NativeHost>,
    store: Arc<SqliteStore>,
}

impl Deputy {
    /// Opens the store in `folder`.
    pub(crate) fn open(config: Config, folder: &Path, tools: Tools) -> Result<Self, StartError> {
        let store = Arc::new(SqliteStore::open(folder)?);
        let host = Arc::new(NativeHost::new(Arc::clone(&store)));
        let router = tools(config, host.clone()).router();
        Ok(Self { router, host, store })
    }

    /// The machine it runs on.
    pub(crate) fn host(&self) -> &Arc<NativeHost> {
        &self.host
    }

    /// Serves until told to stop; then waits for detached work, and closes the store.
    pub(crate) async fn serve(self, listeners: Vec<TcpListener>, limits: Limits, stop: Stop) {
        let Self { router, host, store } = self;
        let sweeping = tokio::spawn(sweep(Arc::clone(&host), Arc::clone(&store)));
        http_server::serve("deputy", listeners, router, limits, stop).await;
        sweeping.abort();
        if timeout(DRAIN, host.drained()).await.is_err() {
            tracing::warn!("stopped before all detached work had ended");
        }
        tracing::info!("stopped");
    }
}

/// Removes expired records, a little at a time.
async fn sweep(host: Arc<NativeHost>, store: Arc<SqliteStore>) {
    loop {
        match store.sweep(host.now()).await {
            Ok(removed) if removed == SqliteStore::SWEEP => tokio::time::sleep(SWEEP_PAUSE).await,
            // What failed is in the log; the next time may be better.
            Ok(_) | Err(_) => tokio::time::sleep(SWEEP_EVERY).await,
        }
    }
}

/// How long detached work may take when no request is left: with the grace of requests, less than the 15 seconds after
/// which supervisors lose patience.
const DRAIN: Duration = Duration::from_secs(4);

const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// Between two parts of a long sweep.
const SWEEP_PAUSE: Duration = Duration::from_millis(100);
