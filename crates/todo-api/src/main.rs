//! The program `todo-api`.

use std::{
    future::IntoFuture as _,
    io::{self, IsTerminal as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use clap::Parser;
use http::Response;
use todo_api::{
    BoxFuture, Config, ConfigError,
    native::{NativeBackend, OpenError, SqliteTodos},
    router,
};
use tokio::{net::TcpListener, runtime::Runtime, signal, sync::oneshot, time::timeout};
use tracing_subscriber::EnvFilter;

/// The Todo API: the todos of each user, protected by PingOne access tokens.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The issuer of the access tokens.
    #[arg(long, env = "PINGONE_ISSUER", value_name = "URL")]
    pingone_issuer: String,
    /// The audience of this API's resource at PingOne; the `aud` of a token must contain it.
    #[arg(long, env = "API_IDENTIFIER", value_name = "AUDIENCE")]
    api_identifier: String,
    /// The address to listen on.
    #[arg(long, env = "TODO_API_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8788")]
    listen: SocketAddr,
    /// The folder of the database.
    #[arg(long, env = "TODO_API_DATA_DIR", value_name = "FOLDER", default_value = "./data")]
    data_dir: PathBuf,
}

fn main() -> ExitCode {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        // The subscriber would print them to standard error, and panics if that is closed.
        .log_internal_errors(false)
        .init();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("todo-api: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), StartError> {
    let config = Config::new(&options.pingone_issuer, &options.api_identifier).map_err(StartError::Config)?;
    let todos = SqliteTodos::open(&options.data_dir.join(DATABASE))?;
    let client = client()?;
    let backend = NativeBackend::new(todos, move |request| -> BoxFuture<'static, _> {
        Box::pin(fetch(client.clone(), request))
    });
    let runtime = Runtime::new().map_err(StartError::Runtime)?;
    runtime.block_on(serve(router(config, Arc::new(backend)), options.listen, &options.data_dir))
}

async fn serve(router: axum::Router, listen: SocketAddr, data_dir: &Path) -> Result<(), StartError> {
    let listener = TcpListener::bind(listen).await.map_err(|error| StartError::Listen(listen, error))?;
    let address = listener.local_addr().map_err(|error| StartError::Listen(listen, error))?;
    tracing::info!(%address, data_dir = %data_dir.display(), "listening");
    let (stop, stopping) = oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async {
        // Stop also when the sender has been dropped.
        let _ = stopping.await;
    });
    let server = tokio::spawn(server.into_future());
    stop_signal().await.map_err(StartError::Runtime)?;
    tracing::info!("stopping; requests under way get their responses");
    drop(stop);
    if timeout(GRACE, server).await.is_err() {
        tracing::warn!("stopped with connections still open");
    }
    Ok(())
}

/// Completes when the process gets SIGTERM or SIGINT.
async fn stop_signal() -> io::Result<()> {
    #[cfg(unix)]
    {
        use signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        std::future::poll_fn(|cx| {
            if terminate.poll_recv(cx).is_ready() || interrupt.poll_recv(cx).is_ready() {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            }
        })
        .await
    }
    #[cfg(not(unix))]
    signal::ctrl_c().await
}

fn client() -> Result<reqwest::Client, StartError> {
    // This fails if there is a provider already, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .retry(reqwest::retry::never())
        .timeout(FETCH_DEADLINE)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("todo-api/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(StartError::Client)
}

async fn fetch(client: reqwest::Client, request: http::Request<Bytes>) -> Result<Response<Bytes>, String> {
    let request = reqwest::Request::try_from(request).map_err(|error| error.to_string())?;
    let mut received = client.execute(request).await.map_err(|error| error.to_string())?;
    let mut body = BytesMut::new();
    while let Some(chunk) = received.chunk().await.map_err(|error| error.to_string())? {
        if chunk.len() > FETCH_BYTES - body.len() {
            return Err("the response is too large".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(body.freeze());
    *response.status_mut() = received.status();
    Ok(response)
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("cannot create an HTTPS client: {0}. Are certificate authorities installed?")]
    Client(reqwest::Error),
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\ntodo-api: "))]
    Config(Vec<ConfigError>),
    #[error("cannot listen on {0}: {1}. Choose another address with --listen")]
    Listen(SocketAddr, io::Error),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{0}")]
    Runtime(io::Error),
}

const DATABASE: &str = "todo-api.sqlite3";

const FETCH_BYTES: usize = 256 * 1024;

const FETCH_DEADLINE: Duration = Duration::from_secs(10);

/// The time for requests under way at a stop.
const GRACE: Duration = Duration::from_secs(10);
