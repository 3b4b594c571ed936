//! `deputy serve`, and the parts that the demo shares with it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use deputy::{
    config::{Config, ConfigErrors, Keys},
    host::{Clock as _, Store, Timestamp},
};
use tokio::{
    net::TcpListener,
    sync::Notify,
    task::{JoinHandle, spawn_blocking},
    time::sleep,
};

use crate::{
    Tools,
    admin::Admin,
    audit::{self, AuditFiles},
    build::BUILD,
    commands::ServeOptions,
    configuration::{checked_config, config_at},
    env_file::EnvFile,
    error::StartError,
    host::NativeHost,
    http_server::{self, Limits, Server as HttpServer, Shutdown},
    listen::Listen,
    logging::{LogFormat, Output},
    metrics::{MeasuredStore, Metrics},
    notify, open_files,
    openapi::ToolSource,
    rotation::{Rotation, ServedConfig},
    secret_files::SecretFiles,
    shutdown::{self, Stop},
    store::{self, FolderLock, NativeStore, Place},
};

/// Serves until a signal.
pub(crate) async fn run(
    options: ServeOptions,
    file: EnvFile,
    secrets: SecretFiles,
    tools: Tools,
    output: Output,
) -> Result<(), StartError> {
    // Before anything is created or opened.
    let tools = ToolSource::open(&options.document, tools)?;
    let mut config = checked_config(&file, options.listen.port(), &tools)?;
    let listening = options.listen.bind("--listen (LISTEN)").await?;
    let port = listening.port;
    if options.listen.port() == 0 {
        config = config_at(&file, port, &tools)?;
    }
    let limits = Limits {
        // The command line admits 100,000 at most.
        connections: open_files::connections_within_limit(options.max_connections as usize)?,
        keep_alive: Duration::from_secs(options.keep_alive),
        ..Limits::default()
    };
    let http = HttpServer {
        client_address_header: options.client_address_header,
        limits,
        name: "deputy",
        ..HttpServer::default()
    };
    let metrics = match &options.metrics_listen {
        Some(listen) => Some(Metrics::start(listen).await?),
        None => None,
    };
    let admin = match (&options.admin_listen, &config.admin_token) {
        (Some(_), None) => return Err(StartError::NoAdminToken),
        (Some(listen), Some(_)) => Some(Admin::start(listen).await?),
        (None, _) => None,
    };
    let hangup = (!secrets.0.is_empty()).then(Arc::<Notify>::default);
    let stop =
        Stop { drain: Duration::from_secs(options.drain_seconds), hangup: hangup.clone(), ..Stop::default() };
    signals(&stop, &output)?;
    warn_about_addresses(&config, &options.listen, http.client_address_header.is_some());
    let ready = ready(&config, port, output.format());
    let keys = config.keys.clone();
    let audit = options.audit.then_some(options.audit_max_mb * 1024 * 1024);
    let place = options.store.place(&options.data.data_dir)?;
    let audit = audit.map(|bytes| AuditPlace { folder: options.data.data_dir.clone(), bytes });
    let mut app = Deputy::open(config, place, audit, &tools, &http.limits, &stop, metrics).await?;
    if let Some(admin) = admin {
        app.serve_admin(admin);
    }
    if let Some(hangup) = hangup {
        let parse = move |file: &EnvFile| config_at(file, port, &tools);
        app.rotate_secrets(secrets, keys, file, parse, hangup);
    }
    output.print(&ready);
    notify::ready();
    app.check_pingone();
    app.serve(listening.listeners, http, stop.shutdown).await;
    Ok(())
}

/// Warns about a public URL that clients cannot reach, and about a proxy whose clients are not known.
fn warn_about_addresses(config: &Config, listen: &Listen, names_clients: bool) {
    if config.public_url.is_loopback() && !listen.is_loopback() {
        tracing::warn!(
            "other computers can connect (LISTEN), but PUBLIC_URL is {}, which leads each of them to itself. Set PUBLIC_URL \
             to the URL that clients use",
            config.public_url
        );
    }
    if config.rate_limits.is_some()
        && !names_clients
        && listen.is_loopback()
        && !config.public_url.is_loopback()
    {
        tracing::warn!(
            "requests are not limited by address, because all of them come from a proxy on this computer. Let the proxy send \
             the client's address in a header, and set that header with --client-address-header (CLIENT_ADDRESS_HEADER); or \
             set RATE_LIMITS=off"
        );
    }
}

/// The line that is printed once requests are served.
fn ready(config: &Config, port: u16, format: LogFormat) -> String {
    let url = &config.public_url;
    let (version, commit) = (BUILD.version, BUILD.commit.unwrap_or("unknown"));
    let (mcp, callback, signoff) = (url.resource(), url.callback(), url.agents());
    let message = format!(
        "Deputy {version} (commit {commit}) listens on port {port} as {url}. PingOne's application needs the redirect URI {callback} and \
         the Signoff URL {signoff}. MCP clients connect to {mcp}"
    );
    match format {
        LogFormat::Json => serde_json::json!({
            "level": "INFO",
            "message": message,
            "version": version,
            "commit": BUILD.commit,
            "build": BUILD.target,
            "port": port,
            "public_url": url.issuer(),
            "mcp_url": mcp,
            "callback_url": callback,
            "signoff_url": signoff,
        })
        .to_string(),
        LogFormat::Text => message,
    }
}

/// Lets signals stop the server.
pub(crate) fn signals(stop: &Stop, output: &Output) -> Result<(), StartError> {
    shutdown::on_signals(stop.clone(), output.clone()).map_err(StartError::Signals)
}

/// A Deputy with its own store.
pub(crate) struct Deputy {
    served: ServedConfig,
    host: Arc<NativeHost>,
    store: Arc<dyn NativeStore>,
    audit: Option<Arc<AuditFiles>>,
    lock: Option<FolderLock>,
    /// Work beside the requests, until the shutdown.
    tasks: Vec<JoinHandle<()>>,
}

/// The place for an audit log.
pub(crate) struct AuditPlace {
    /// The folder of the data.
    pub(crate) folder: PathBuf,
    /// The bytes to keep.
    pub(crate) bytes: u64,
}

impl Deputy {
    /// Opens the store, and an audit log, if any. Locks the folder of the data, unless nothing is in it. With `metrics`, the
    /// operations of the store are measured, and the metrics are served.
    pub(crate) async fn open(
        config: Config,
        place: Place<'_>,
        audit: Option<AuditPlace>,
        tools: &ToolSource,
        limits: &Limits,
        stop: &Stop,
        metrics: Option<Metrics>,
    ) -> Result<Self, StartError> {
        let folder = match place {
            Place::Folder(folder) => Some(folder),
            Place::Postgres(..) => audit.as_ref().map(|audit| audit.folder.as_path()),
        };
        let lock = folder.map(FolderLock::take).transpose()?;
        let store = store::open(place).await?;
        let Stop { shutdown, draining, .. } = stop;
        let host = Arc::new(NativeHost::new(limits.connections, shutdown.graceful.clone(), draining.clone()));
        let audit = audit.map(|AuditPlace { folder, bytes }| {
            AuditFiles::open(&audit::folder(&folder), &config.keys, bytes)
        });
        let audit = audit.transpose()?.map(Arc::new);
        let records: Arc<dyn Store> = match &metrics {
            Some(_) => Arc::new(MeasuredStore(store.clone())),
            None => store.clone(),
        };
        let mut parts = host.parts(records, store.grant_index());
        if let Some(audit) = &audit {
            parts.audit = audit.clone();
        }
        let server = tools.server(config, parts).with_build(BUILD);
        let mut tasks = vec![tokio::spawn(notify::watchdog())];
        if let Some(metrics) = metrics {
            let (host, store) = (Arc::clone(&host), Arc::downgrade(&store));
            tasks.push(tokio::spawn(metrics.serve(host, store)));
        }
        Ok(Self { served: ServedConfig::new(server), host, store, audit, lock, tasks })
    }

    pub(crate) fn host(&self) -> &Arc<NativeHost> {
        &self.host
    }

    /// Logs a warning if users cannot log in. Does not delay the start.
    fn check_pingone(&mut self) {
        let server = self.served.server.clone();
        self.tasks.push(tokio::spawn(async move { server.check_pingone().await }));
    }

    /// Serves the admin interface beside everything else.
    fn serve_admin(&mut self, admin: Admin) {
        let router = self.served.admin_router(admin.port());
        self.tasks.push(tokio::spawn(admin.serve(router)));
    }

    /// Reads the files of `secrets` again when they have changed, and at once at a hangup.
    fn rotate_secrets(
        &mut self,
        secrets: SecretFiles,
        keys: Keys,
        file: EnvFile,
        parse: impl Fn(&EnvFile) -> Result<Config, ConfigErrors> + Send + Sync + 'static,
        hangup: Arc<Notify>,
    ) {
        let (served, store, audit) = (self.served.clone(), Arc::clone(&self.store), self.audit.clone());
        let rotation = Rotation { served, store, audit, keys, file, parse };
        self.tasks.push(tokio::spawn(rotation.run(secrets, hangup)));
    }

    /// Serves until the shutdown. Then waits for detached work, and closes the store.
    pub(crate) async fn serve(self, listeners: Vec<TcpListener>, http: HttpServer, shutdown: Shutdown) {
        let Self { served, host, store, audit, lock, mut tasks } = self;
        let router = served.router();
        drop(served);
        tasks.push(tokio::spawn(sweep(host.clone(), store.clone())));
        tasks.push(tokio::spawn(watch(Arc::clone(&store))));
        tasks.extend(audit.clone().map(|audit| tokio::spawn(sync(audit))));
        let immediate = shutdown.immediate.clone();
        http_server::serve_latest(http, listeners, router, shutdown).await;
        for task in tasks {
            task.abort();
            // The task holds the store until it has ended.
            let _ = task.await;
        }
        // Longer than requests may take: a lost response of PingOne costs a user the login.
        tokio::select! {
            () = host.detached_work_done() => {}
            () = async { immediate.cancelled().await; sleep(DETACHED_GRACE).await } => {
                tracing::warn!("stopped before all detached work had ended; some users may have to log in again");
            }
        }
        if let Some(audit) = audit {
            audit.sync();
        }
        // A database in the folder is closed before another process may open it.
        drop((host, store));
        drop(lock);
        tracing::info!("stopped");
    }
}

/// Looks for a loss of the database.
async fn watch(store: Arc<dyn NativeStore>) {
    loop {
        sleep(WATCH_EVERY).await;
        store.watch();
    }
}

/// Has the audit log written to the disk.
async fn sync(audit: Arc<AuditFiles>) {
    loop {
        sleep(SYNC_EVERY).await;
        let audit = Arc::clone(&audit);
        // A panic is logged.
        let _ = spawn_blocking(move || audit.sync()).await;
    }
}

/// Removes expired records, a bounded number at a time.
async fn sweep(host: Arc<NativeHost>, store: Arc<dyn Store>) {
    let mut until = host.now();
    loop {
        // The store logs a failure; the next sweep tries again.
        while store.sweep(until).await.is_ok_and(|removed| removed > 0) {
            sleep(SWEEP_PAUSE).await;
        }
        sleep(SWEEP_EVERY).await;
        until = next_sweep(until, host.now());
    }
}

/// The time up to which the next sweep removes expired records. It follows a clock that jumps ahead only slowly: records that
/// expire by such a jump are valid again when the clock is set right, unless a sweep removed them.
fn next_sweep(last: Timestamp, now: Timestamp) -> Timestamp {
    now.min(last.plus(SWEEP_AT_MOST))
}

/// Time for detached work after [`shutdown`]'s time for requests. Together they are less than the 15 seconds that supervisors
/// wait at least.
const DETACHED_GRACE: Duration = Duration::from_secs(4);

const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// The most of the audit log that a loss of power can cost.
const SYNC_EVERY: Duration = Duration::from_secs(5);

const WATCH_EVERY: Duration = Duration::from_secs(5);

/// Seconds from one sweep to the time of the next: ten times as fast as time passes.
const SWEEP_AT_MOST: u64 = 600;

/// Between two parts of a sweep.
const SWEEP_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_that_jumps_ahead_removes_few_records() {
        let now = Timestamp(1_000_000);
        let jumped = next_sweep(now, now.plus(10 * 365 * 86_400));
        assert_eq!(jumped, now.plus(600));
        assert_eq!(next_sweep(jumped, now.plus(60)), now.plus(60));
        assert_eq!(next_sweep(now, now.plus(60)), now.plus(60), "an ordinary minute");
    }
}
