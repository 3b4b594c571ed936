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
use deputy_openapi::Catalog;
use todo_api::native::{NativeBackend, SqliteTodos};

use crate::{
    Tools,
    commands::DemoOptions,
    configuration::{self, loopback_url},
    env_file::EnvFile,
    error::StartError,
    host::NativeHost,
    http_server::{self, Server as HttpServer, Shutdown},
    listen::Listen,
    logging::Output,
    openapi::{OpenApiError, ToolSource},
    serve::{self, AuditPlace, Deputy},
    shutdown::Stop,
    store::Place,
};
use banner::{Banner, Verification};
use pingone::{PingOne, User};
use state::State;

/// Runs the demo until a signal.
pub(crate) async fn run(options: DemoOptions, tools: Tools, output: Output) -> Result<(), StartError> {
    let tools = ToolSource::open(&options.document, tools)?;
    if options.api_url.is_none() && !tools.catalog().is_none_or(is_of_invoices) {
        return Err(OpenApiError::NoApi.into());
    }
    let deputy_listening = Listen::localhost(options.port).bind("--port").await?;
    // An API of the user's own takes the place of the Todo API.
    let api_listening = match options.api_url {
        Some(_) => None,
        None => Some(Listen::localhost(options.todo_api_port).bind("--todo-api-port").await?),
    };
    let pingone_listening = Listen::localhost(options.pingone_port).bind("--pingone-port").await?;
    let public_url = loopback_url(deputy_listening.port);
    let api_port = api_listening.as_ref().map_or(options.todo_api_port, |listening| listening.port);
    let base_path = tools.catalog().and_then(|catalog| catalog.base_path.as_deref()).unwrap_or_default();
    let api_url = options.api_url.clone().unwrap_or_else(|| loopback_url(api_port) + base_path);
    let pingone_url = loopback_url(pingone_listening.port);

    let scopes = options.scopes.clone().or_else(|| tools.catalog().map(|catalog| catalog.scopes().join(" ")));
    let scopes = scopes.unwrap_or_else(|| "todo:read todo:write".to_owned());
    let state = State::open(&options.data_dir, options.reset)?;
    let api = Api { url: &api_url, identifier: &options.api_identifier, scopes: &scopes };
    let pingone = PingOne::open(&pingone_url, &public_url, &api, &state.pingone)?;
    let config = config(&pingone, &public_url, &api, &state, &tools)?;
    let mcp = config.public_url.resource();
    let http = HttpServer { name: "deputy", ..HttpServer::default() };
    let stop = Stop::default();
    let audit = Some(AuditPlace { folder: state.deputy.clone(), bytes: AUDIT_BYTES });
    let place = Place::Folder(&state.deputy);
    let deputy = Deputy::open(config, place, audit, &tools, &http.limits, &stop, None).await?;
    let shutdown = stop.shutdown.clone();
    let api = match api_listening {
        None => None,
        Some(listening) => Some((
            "todo-api",
            listening,
            todo_api(&pingone, &options.api_identifier, &state.todo_api, options.empty, deputy.host())?,
        )),
    };

    serve::signals(&stop, &output)?;
    // The others stop after Deputy, whose last requests need them.
    let shutdown_others = Shutdown { immediate: shutdown.immediate.clone(), ..Shutdown::default() };
    let others = api.into_iter().chain([("pingone", pingone_listening, pingone.simulator.router())]);
    let others: Vec<_> = others
        .map(|(name, listening, router)| {
            let router = only_loopback_hosts(router, listening.port);
            let http = HttpServer { name, ..HttpServer::default() };
            tokio::spawn(http_server::serve(http, listening.listeners, router, shutdown_others.clone()))
        })
        .collect();
    let webhook = tokio::spawn(pingone.simulator.clone().send_deliveries());
    let users = &pingone.users;
    let banner = Banner {
        mcp: &mcp,
        api: &api_url,
        document: tools.catalog().map(|catalog| catalog.api.as_str()),
        verification: options
            .api_url
            .is_some()
            .then_some(Verification { issuer: &pingone.issuer, audience: &options.api_identifier }),
        pingone: &pingone_url,
        users,
        data_dir: &options.data_dir,
    };
    output.print(&banner.to_string());
    deputy.serve(deputy_listening.listeners, http, shutdown).await;
    webhook.abort();
    shutdown_others.graceful.cancel();
    for other in others {
        // A panic of the server is logged.
        let _ = other.await;
    }
    Ok(())
}

/// The API that the tools call.
struct Api<'a> {
    url: &'a str,
    /// The audience of its access tokens.
    identifier: &'a str,
    scopes: &'a str,
}

/// The configuration: the demo's own, the user's environment, and defaults.
fn config(
    pingone: &PingOne,
    public_url: &str,
    api: &Api<'_>,
    state: &State,
    tools: &ToolSource,
) -> Result<Config, StartError> {
    let key = state.server_key()?;
    let config = tools.config(|name| {
        let own = match name {
            "API_IDENTIFIER" => Some(api.identifier),
            "API_SCOPES" => Some(api.scopes),
            "API_URL" => Some(api.url),
            "SERVER_KEY" => Some(key.expose().as_str()),
            "PINGONE_CLIENT_ID" => Some(pingone.client_id.as_str()),
            "PINGONE_CLIENT_SECRET" => Some(pingone.client_secret.expose().as_str()),
            "PINGONE_DV_POLICY_ID" => Some(pingone.policy_id.as_str()),
            "PINGONE_ISSUER" => Some(pingone.issuer.as_str()),
            "PINGONE_WEBHOOK_SECRET" => Some(pingone.webhook_secret.expose().as_str()),
            "PUBLIC_URL" => Some(public_url),
            _ => None,
        };
        let default = || match name {
            // The redirect URI that Cursor registers.
            "PRIVATE_USE_REDIRECT_URIS" => Some("cursor://anysphere.cursor-mcp/oauth/callback"),
            "WHO_AM_I_TOKEN" if tools.catalog().is_none() => Some("full"),
            // The demo calls nothing outside this computer.
            "CLIENT_ID_METADATA_DOCUMENTS" => Some("off"),
            _ => None,
        };
        own.map(str::to_owned).or_else(|| setting(name)).or_else(|| default().map(str::to_owned))
    })?;
    Ok(config)
}

/// A variable of the environment. Those for a real PingOne have no effect on the simulated one.
fn setting(name: &str) -> Option<String> {
    let is_own = ["API_", "COOKIE_ENCRYPTION_KEY", "MCP_SERVER_", "PINGONE_"];
    if is_own.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    configuration::variable(&EnvFile::default(), name)
}

fn todo_api(
    pingone: &PingOne,
    identifier: &str,
    folder: &Path,
    empty: bool,
    host: &Arc<NativeHost>,
) -> Result<Router, StartError> {
    let config = todo_api::Config::new(&pingone.issuer, identifier).map_err(|errors| {
        StartError::TodoApi(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })?;
    let file = folder.join("todos.sqlite3");
    let is_new = !file.exists();
    let todos = SqliteTodos::open(&file).map_err(|error| StartError::TodoApi(error.to_string()))?;
    if is_new && !empty {
        add_first_todos(&todos, &pingone.users)
            .map_err(|error| StartError::TodoApi(format!("cannot write {}: {error}", file.display())))?;
    }
    let host = Arc::clone(host);
    let backend = NativeBackend::new(todos, move |request| {
        let host = Arc::clone(&host);
        Box::pin(async move { host.fetch(request, KEYS).await.map_err(|error| error.to_string()) })
    });
    Ok(todo_api::router(config, Arc::new(backend)))
}

/// Whether the demo's API has every operation of a document.
fn is_of_invoices(catalog: &Catalog) -> bool {
    catalog.operations.iter().all(|operation| todo_api::INVOICE_OPERATIONS.contains(&&*operation.source))
}

/// Gives each user a list to begin with.
fn add_first_todos(todos: &SqliteTodos, users: &[User]) -> Result<(), todo_api::TodosError> {
    for user in users {
        for (place, (text, completed)) in todo_api::FIRST_TODOS.into_iter().enumerate() {
            let id = format!("{}-{place}", user.username);
            let todo = todo_api::Todo { id, text: text.to_owned(), completed };
            todos.apply(&user.sub, todo_api::Operation::Create(todo))?;
        }
    }
    Ok(())
}

/// Limits for the key sets that the Todo API fetches.
const KEYS: FetchLimits =
    FetchLimits { deadline: Duration::from_secs(10), max_bytes: 256 * 1024, reach: Reach::Anywhere };

/// Bytes of the demo's audit log.
const AUDIT_BYTES: u64 = 16 * 1024 * 1024;
