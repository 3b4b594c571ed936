//! The program `pingone-sim`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Parser, builder::BoolishValueParser};
use pingone_sim::{SimConfig, Simulator, SystemEnvironment, only_known_hosts};

/// A simulated PingOne with a DaVinci flow, for the demo and the tests. Every page says that it is a simulator.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The address to listen on. Only this computer should reach it.
    #[arg(long, env = "PINGONE_SIM_LISTEN", default_value = "127.0.0.1:8789")]
    listen: SocketAddr,
    /// The origin at which browsers reach it; by default localhost with the port of --listen.
    #[arg(long, env = "PINGONE_SIM_BASE_URL")]
    base_url: Option<String>,
    /// The redirect URI of the application.
    #[arg(long, env = "PINGONE_SIM_REDIRECT_URI", default_value = "http://localhost:8787/callback")]
    redirect_uri: String,
    /// The audience of the API's access tokens.
    #[arg(long, env = "API_IDENTIFIER", default_value = "http://localhost:8788")]
    api_identifier: String,
    /// The scopes of the API, separated by spaces.
    #[arg(long, env = "API_SCOPES", default_value = "todo:read todo:write")]
    scopes: String,
    /// Begin without an application and a resource: a client of the management API, such as `deputy provision`, creates them.
    #[arg(long, env = "PINGONE_SIM_EMPTY", value_parser = BoolishValueParser::new())]
    empty: bool,
    /// One more user, as name:password. The option may be repeated.
    #[arg(long = "user", env = "PINGONE_SIM_USERS", value_delimiter = ' ', value_parser = user)]
    users: Vec<(String, String)>,
    /// A file for users, sessions, tokens and keys. Without it, they are lost at the end.
    #[arg(long, env = "PINGONE_SIM_STATE_FILE")]
    state_file: Option<PathBuf>,
    /// The destination of the webhook, as `http://localhost:8787/pingone/events`. Without it, there is none.
    #[arg(long, env = "PINGONE_SIM_WEBHOOK_URL", requires = "webhook_secret")]
    webhook_url: Option<String>,
    /// The secret that the webhook sends as a bearer token.
    #[arg(long, env = "PINGONE_SIM_WEBHOOK_SECRET", hide_env_values = true)]
    webhook_secret: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn user(text: &str) -> Result<(String, String), &'static str> {
    let (name, password) = text.split_once(':').ok_or("expected name:password")?;
    Ok((name.to_owned(), password.to_owned()))
}

async fn run(options: Options) -> std::io::Result<()> {
    let base_url = options.base_url.unwrap_or_else(|| format!("http://localhost:{}", options.listen.port()));
    let config = SimConfig::demo(&base_url, &options.redirect_uri, &options.api_identifier);
    let config = options.users.iter().zip(1..).fold(
        config.with_scopes(&options.scopes),
        |config, ((name, password), number)| {
            config.with_user(&format!("05e20000-0000-4000-8000-{number:012}"), name, password)
        },
    );
    let config = if options.empty { config.without_application() } else { config };
    let environment = Arc::new(SystemEnvironment);
    let simulator = match &options.state_file {
        Some(file) => Simulator::with_state_file(config, environment, file)?,
        None => Simulator::new(config, environment),
    };
    simulator.configure(|settings| {
        settings.webhook.url = options.webhook_url;
        let secret =
            options.webhook_secret.map(|secret| ("authorization".to_owned(), format!("Bearer {secret}")));
        settings.webhook.headers = secret.into_iter().collect();
    });
    simulator.prepare_keys();
    // This fails if there is a provider already, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::spawn(simulator.clone().send_deliveries());
    let listener = tokio::net::TcpListener::bind(options.listen).await?;
    let config = simulator.config();
    let worker = if config.empty { &config.provisioner } else { &config.worker };
    let mut variables =
        vec![("PINGONE_ISSUER", config.issuer()), ("PINGONE_DV_POLICY_ID", config.policy_id.clone())];
    if !config.empty {
        variables.push(("PINGONE_CLIENT_ID", config.application.client_id.clone()));
        variables.push(("PINGONE_CLIENT_SECRET", config.application.client_secret.clone()));
    }
    variables.push(("PINGONE_WORKER_CLIENT_ID", worker.client_id.clone()));
    variables.push(("PINGONE_WORKER_CLIENT_SECRET", worker.client_secret.clone()));
    // In one write: some readers close the pipe when they have what they need.
    let lines: Vec<_> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    // `println!` would write the last line break by itself.
    print!("{}", lines.join("\n") + "\n");
    let router = only_known_hosts(simulator.router(), &base_url, listener.local_addr()?.port());
    axum::serve(listener, router)
        .with_graceful_shutdown(async {
            // If the system has no such signal, the program ends at once.
            let _ = tokio::signal::ctrl_c().await;
        })
        .await
}
