//! `deputy demo`: Deputy, the Todo API and a simulated PingOne in one process, on loopback addresses.

mod banner;
mod pingone;
mod state;

use std::{path::Path, sync::Arc, time::Duration};

use axum::Router;
use deputy::{
    config::Config,
    host::{FetchLimits, HttpClient as _, Reach},
    only_loopback_hosts,
};
use todo_api::native::{NativeBackend, SqliteTodos};

use crate::{
    Tools,
    commands::DemoOptions,
    error::StartError,
    host::NativeHost,
    http_server::{self, Server as HttpServer, Shutdown},
    listen::Listen,
    logging::Output,
    serve::{self, Deputy, loopback_url},
    shutdown::Stop,
};
use banner::Banner;
use pingone::PingOne;
use state::State;

/// Runs the demo until a signal.
pub(crate) async fn run(options: DemoOptions, tools: Tools, output: Output) -> Result<(), StartError> {
    let deputy_listening = Listen::localhost(options.port).bind("--port").await?;
    let api_listening = Listen::localhost(options.todo_api_port).bind("--todo-api-port").await?;
    let pingone_listening = Listen::localhost(options.pingone_port).bind("--pingone-port").await?;
    let public_url = loopback_url(deputy_listening.port);
    let api_url = loopback_url(api_listening.port);
    let pingone_url = loopback_url(pingone_listening.port);

    let state = State::open(&options.data_dir, options.reset)?;
    let pingone = PingOne::open(&pingone_url, &public_url, &state.pingone)?;
    let config = config(&pingone, &public_url, &api_url, &state)?;
    let mcp = config.public_url.resource();
    let http = HttpServer { name: "deputy", ..HttpServer::default() };
    let stop = Stop::default();
    let deputy = Deputy::open(config, &state.deputy, Some(AUDIT_BYTES), tools, &http.limits, &stop, None)?;
    let shutdown = stop.shutdown.clone();
    let api = todo_api(&pingone, &state.todo_api, deputy.host())?;

    serve::signals(&stop, &output)?;
    // The others stop after Deputy, whose last requests need them.
    let shutdown_others = Shutdown { immediate: shutdown.immediate.clone(), ..Shutdown::default() };
    let others = [("todo-api", api_listening, api), ("pingone", pingone_listening, pingone.router.clone())]
        .map(|(name, listening, router)| {
            let router = only_loopback_hosts(router, listening.port);
            let http = HttpServer { name, ..HttpServer::default() };
            tokio::spawn(http_server::serve(http, listening.listeners, router, shutdown_others.clone()))
        });
    let users = &pingone.users;
    let banner =
        Banner { mcp: &mcp, todo_api: &api_url, pingone: &pingone_url, users, data_dir: &options.data_dir };
    output.print(&banner.to_string());
    deputy.serve(deputy_listening.listeners, http, shutdown).await;
    shutdown_others.graceful.cancel();
    for other in others {
        // A panic of the server is logged.
        let _ = other.await;
    }
    Ok(())
}

fn config(pingone: &PingOne, public_url: &str, api_url: &str, state: &State) -> Result<Config, StartError> {
    let key = state.server_key()?;
    let config = Config::parse(|name| {
        let value = match name {
            "API_IDENTIFIER" => &pingone.api_identifier,
            "API_URL" => api_url,
            "SERVER_KEY" => key.expose(),
            "PINGONE_CLIENT_ID" => &pingone.client_id,
            "PINGONE_CLIENT_SECRET" => pingone.client_secret.expose(),
            "PINGONE_DV_POLICY_ID" => &pingone.policy_id,
            "PINGONE_ISSUER" => &pingone.issuer,
            "PUBLIC_URL" => public_url,
            // The redirect URI that Cursor registers.
            "PRIVATE_USE_REDIRECT_URIS" => "cursor://anysphere.cursor-mcp/oauth/callback",
            "WHO_AM_I_TOKEN" => "full",
            // The demo calls nothing outside this computer.
            "CLIENT_ID_METADATA_DOCUMENTS" => "off",
            _ => return None,
        };
        Some(value.to_owned())
    })?;
    Ok(config)
}

fn todo_api(pingone: &PingOne, folder: &Path, host: &Arc<NativeHost>) -> Result<Router, StartError> {
    let config = todo_api::Config::new(&pingone.issuer, &pingone.api_identifier).map_err(|errors| {
        StartError::TodoApi(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })?;
    let todos = SqliteTodos::open(&folder.join("todos.sqlite3"))
        .map_err(|error| StartError::TodoApi(error.to_string()))?;
    let host = Arc::clone(host);
    let backend = NativeBackend::new(todos, move |request| {
        let host = Arc::clone(&host);
        Box::pin(async move { host.fetch(request, KEYS).await.map_err(|error| error.to_string()) })
    });
    Ok(todo_api::router(config, Arc::new(backend)))
}

/// Limits for the key sets that the Todo API fetches.
const KEYS: FetchLimits =
    FetchLimits { deadline: Duration::from_secs(10), max_bytes: 256 * 1024, reach: Reach::Anywhere };

/// Bytes of the demo's audit log.
const AUDIT_BYTES: u64 = 16 * 1024 * 1024;
