//! `deputy demo`: Deputy, the Todo API and a simulated PingOne in one process, on loopback addresses.

mod banner;
mod pingone;
mod state;

use std::{path::Path, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
    response::IntoResponse as _,
};
use deputy::{
    config::Config,
    host::{FetchLimits, Host as _, Reach},
};
use http::{HeaderValue, StatusCode, header::HOST};
use todo_api::native::{NativeBackend, SqliteTodos};

use crate::{
    StartError, Tools,
    commands::DemoOptions,
    host::NativeHost,
    http_server::{self, Limits, Stop},
    listen::Listen,
    logging::Output,
    serve::{self, Deputy, on_this_computer},
};
use banner::Banner;
use pingone::PingOne;
use state::State;

/// Runs the demo until a signal.
pub async fn run(options: DemoOptions, tools: Tools, output: Output) -> Result<(), StartError> {
    let deputy_listening = Listen::localhost(options.port).bind("--port").await?;
    let api_listening = Listen::localhost(options.todo_api_port).bind("--todo-api-port").await?;
    let pingone_listening = Listen::localhost(options.pingone_port).bind("--pingone-port").await?;
    let public_url = on_this_computer(deputy_listening.port);
    let api_url = on_this_computer(api_listening.port);
    let pingone_url = on_this_computer(pingone_listening.port);

    let state = State::open(&options.data_dir, options.reset)?;
    let pingone = PingOne::open(&pingone_url, &public_url, &state.pingone)?;
    let config = config(&pingone, &public_url, &api_url, &state)?;
    let mcp = config.public_url.resource();
    let (limits, stop) = (Limits::default(), Stop::default());
    let deputy = Deputy::open(config, &state.deputy, tools, &limits, &stop)?;
    let api = todo_api(&pingone, &state.todo_api, deputy.host())?;

    serve::signals(&stop, &output)?;
    // The others stop after Deputy, whose last requests need them.
    let stop_others = Stop { at_once: stop.at_once.clone(), ..Stop::default() };
    let others = [("todo-api", api_listening, api), ("pingone", pingone_listening, pingone.router.clone())]
        .map(|(name, listening, router)| {
            tokio::spawn(http_server::serve(
                name,
                listening.listeners,
                only_by_names_of_this_computer(router, listening.port),
                limits.clone(),
                stop_others.clone(),
            ))
        });
    let people = &pingone.people;
    let banner =
        Banner { mcp: &mcp, todo_api: &api_url, pingone: &pingone_url, people, data_dir: &options.data_dir };
    output.print(&banner.to_string());
    deputy.serve(deputy_listening.listeners, limits, stop).await;
    stop_others.gracefully.cancel();
    for other in others {
        // A server that panicked has been reported.
        let _ = other.await;
    }
    Ok(())
}

/// Refuses names that lead here by rebinding DNS, as Deputy does itself: a page of another site must not read what is here.
fn only_by_names_of_this_computer(router: Router, port: u16) -> Router {
    let names = ["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}:{port}"));
    router.layer(from_fn(move |request: Request, next: Next| {
        // RFC 9112 §3.2.2: a target in absolute form overrides `Host`.
        let target = request.uri().authority().map(|authority| authority.as_str().as_bytes());
        let host = target.or(request.headers().get(HOST).map(HeaderValue::as_bytes)).unwrap_or_default();
        // As browsers leave it away.
        let ours = names.iter().any(|name| {
            name.as_bytes() == host || port == 80 && name.strip_suffix(":80").map(str::as_bytes) == Some(host)
        });
        async move {
            if ours { next.run(request).await } else { StatusCode::MISDIRECTED_REQUEST.into_response() }
        }
    }))
}

fn config(pingone: &PingOne, public_url: &str, api_url: &str, state: &State) -> Result<Config, StartError> {
    let key = state.cookie_encryption_key()?;
    let config = Config::parse(|name| {
        let value = match name {
            "API_IDENTIFIER" => &pingone.api_identifier,
            "API_URL" => api_url,
            "COOKIE_ENCRYPTION_KEY" => key.expose(),
            "MCP_SERVER_CLIENT_ID" => &pingone.client_id,
            "MCP_SERVER_CLIENT_SECRET" => pingone.client_secret.expose(),
            "PINGONE_DV_POLICY_ID" => &pingone.policy_id,
            "PINGONE_ISSUER" => &pingone.issuer,
            "PUBLIC_URL" => public_url,
            // What Cursor registers, so that it can be tried.
            "PRIVATE_USE_REDIRECT_URIS" => "cursor://anysphere.cursor-mcp/oauth/callback",
            "WHO_AM_I_TOKEN" => "full",
            // It calls nothing outside this computer.
            "CLIENT_ID_METADATA_DOCUMENTS" => "off",
            _ => return None,
        };
        Some(value.to_owned())
    })?;
    Ok(config)
}

fn todo_api(pingone: &PingOne, folder: &Path, host: &Arc<NativeHost>) -> Result<Router, StartError> {
    let failed =
        |error: &dyn std::fmt::Display| StartError::Other(format!("the Todo API does not start: {error}"));
    let config = todo_api::Config::new(&pingone.issuer, &pingone.api_identifier)
        .map_err(|errors| failed(&errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
    let todos = SqliteTodos::open(&folder.join("todos.sqlite3")).map_err(|error| failed(&error))?;
    let host = Arc::clone(host);
    let backend = NativeBackend::new(todos, move |request| {
        let host = Arc::clone(&host);
        Box::pin(async move { host.fetch(request, KEYS).await.map_err(|error| error.to_string()) })
    });
    Ok(todo_api::router(config, Arc::new(backend)))
}

/// What the Todo API fetches: documents of keys.
const KEYS: FetchLimits =
    FetchLimits { deadline: Duration::from_secs(10), max_bytes: 256 * 1024, reach: Reach::Anywhere };
