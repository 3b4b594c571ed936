//! The command line, documented by `--help`.

mod help;
mod parse;
mod store;

use std::{fmt::Display, ops::RangeInclusive, path::PathBuf, str::FromStr};

use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand, builder::BoolishValueParser};
use deputy::Build;
use http::HeaderName;
use url::Url;

use help::{
    ADMIN_HELP, AFTER_HELP, AUDIT_HELP, COPY_HELP, DEMO_HELP, DOCTOR_HELP, KEYS_HELP, LOGINS_HELP,
    PROVISION_HELP, TOOLS_HELP, serve_help,
};
pub(crate) use parse::{Parsed, parse};
pub(crate) use store::{CopyOptions, StoreAction, StoreOptions};

use crate::{
    admin::{self, ClientsOptions, GrantsOptions},
    audit::{AuditOptions, LoginsOptions},
    build::BUILD,
    client_key::KeysOptions,
    doctor::DoctorOptions,
    listen::Listen,
    logging::LogFormat,
    management,
    openapi::{OpenApiOptions, ToolsOptions},
    provision::ProvisionOptions,
    secret_files,
    store::StoreUrl,
};

/// Lets AI agents call your API on behalf of users who logged in with PingOne and consented.
///
/// Deputy is an MCP server, an OAuth authorization server to MCP clients, and an OpenID Connect client of PingOne.
/// `deputy demo` shows all of it on this computer, with nothing to set up.
#[derive(Debug, Parser)]
#[command(name = "deputy", version = version(), after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) log: LogOptions,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check the audit log, or print it
    #[command(after_help = AUDIT_HELP)]
    Audit(AuditOptions),
    /// Copy the database to a new file; Deputy may be running
    Backup(BackupOptions),
    /// Block clients, of this or of another Deputy
    #[command(after_help = ADMIN_HELP)]
    Clients(ClientsOptions),
    /// Look at the configuration, PingOne, the API and a deployment, and say what to change
    #[command(visible_alias = "check", after_help = DOCTOR_HELP)]
    Doctor(Box<DoctorOptions>),
    /// List and end the access of clients, of this or of another Deputy
    #[command(after_help = ADMIN_HELP)]
    Grants(GrantsOptions),
    /// Make a key with which Deputy authenticates at PingOne instead of a client secret
    #[command(after_help = KEYS_HELP)]
    Keys(KeysOptions),
    /// Show logins step by step, and why they failed
    #[command(after_help = LOGINS_HELP)]
    Logins(LoginsOptions),
    /// Make PingOne's resource, application, grants and webhook as the configuration needs them, or compare them
    #[command(after_help = PROVISION_HELP)]
    Provision(Box<ProvisionOptions>),
    /// Replace the database with a backup; Deputy must be stopped
    #[command(mut_arg("file", |file| file.help("Backup to restore")))]
    Restore(BackupOptions),
    /// Serve Deputy for your own PingOne environment and your own API
    #[command(after_help = serve_help())]
    Serve(ServeOptions),
    /// Copy all records to another, empty database; every Deputy that uses them must be stopped
    #[command(after_help = COPY_HELP)]
    Store(CopyOptions),
    /// Show the tools of an OpenAPI document as agents would see them, and what could be better about them
    #[command(after_help = TOOLS_HELP)]
    Tools(ToolsOptions),
    /// Try Deputy on this computer with a simulated PingOne and a Todo API
    #[command(after_help = DEMO_HELP)]
    Demo(DemoOptions),
}

#[derive(Args, Debug)]
pub(crate) struct ServeOptions {
    /// Address and port to listen on; `localhost:8787` means both loopback addresses
    #[arg(long, env = "LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8787")]
    pub(crate) listen: Listen,
    #[command(flatten)]
    pub(crate) data: DataOptions,
    #[command(flatten)]
    pub(crate) store: StoreOptions,
    #[command(flatten)]
    pub(crate) document: OpenApiOptions,
    /// Connections at a time, 1 to 100000; further ones wait. One address may hold a quarter of them, a proxy all
    #[arg(long, env = "MAX_CONNECTIONS", value_name = "NUMBER", default_value = "512",
        value_parser = whole_number::<u32>(1..=100_000))]
    pub(crate) max_connections: u32,
    /// Seconds until an idle connection is closed, 1 to 3600, and more than your proxy's. While others wait, it is closed at once
    #[arg(long, env = "KEEP_ALIVE", value_name = "SECONDS", default_value = "75",
        value_parser = whole_number::<u64>(1..=3600))]
    pub(crate) keep_alive: u64,
    /// Whether decisions about access are kept in an audit log, in the folder `audit` of the data
    #[arg(long, env = "AUDIT", value_name = "on|off", default_value = "on", value_parser = BoolishValueParser::new(),
        action = ArgAction::Set)]
    pub(crate) audit: bool,
    /// Megabytes of the audit log to keep, 4 to 1000000; the oldest files are removed beyond that
    #[arg(long, env = "AUDIT_MAX_MB", value_name = "NUMBER", default_value = "1024",
        value_parser = whole_number::<u64>(4..=1_000_000))]
    pub(crate) audit_max_mb: u64,
    /// Header in which your proxy names the client's address, such as `x-forwarded-for`; the last address in it counts
    #[arg(long, env = "CLIENT_ADDRESS_HEADER", value_name = "NAME")]
    pub(crate) client_address_header: Option<HeaderName>,
    /// Address and port of `/metrics` for Prometheus, without authentication: a loopback address, as `127.0.0.1:9464`, or one that only Prometheus reaches
    #[arg(long, env = "METRICS_LISTEN", value_name = "ADDRESS:PORT")]
    pub(crate) metrics_listen: Option<Listen>,
    /// Address and port of the admin interface, for which `ADMIN_TOKEN` is needed: a loopback address, as `127.0.0.1:8790`
    #[arg(long, env = "ADMIN_LISTEN", value_name = "ADDRESS:PORT", value_parser = admin::loopback)]
    pub(crate) admin_listen: Option<Listen>,
    /// URL of a collector of OpenTelemetry that gets traces over OTLP, without the path, such as `http://localhost:4318`
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", value_parser = collector_url)]
    pub(crate) otlp_endpoint: Option<Url>,
    /// Seconds after a signal to stop, 0 to 60, in which `/readyz` responds with 503 and everything else is still served
    #[arg(long, env = "DRAIN_SECONDS", value_name = "SECONDS", default_value = "0",
        value_parser = whole_number::<u64>(0..=60))]
    pub(crate) drain_seconds: u64,
}

/// Options of each command that uses the database.
#[derive(Args, Debug)]
pub(crate) struct DataOptions {
    /// Folder of the SQLite database and of the audit log, for one Deputy at a time. A missing folder is created, readable by this user only
    #[arg(long, env = "DATA_DIR", value_name = "FOLDER", default_value = "./data")]
    pub(crate) data_dir: PathBuf,
    /// File of NAME=value lines. A variable of the environment wins over it, unless it is empty [default: .env if it exists]
    #[arg(long, env = "ENV_FILE", value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
}

/// Options of `deputy backup` and `deputy restore`.
#[derive(Args, Debug)]
pub(crate) struct BackupOptions {
    /// File to create, readable by this user only; an existing file is not replaced
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) data: DataOptions,
    /// Set for `deputy serve`; the command is then refused, since PostgreSQL has tools of its own
    #[arg(
        long,
        env = "STORE_URL",
        value_name = "URL",
        hide = true,
        hide_env_values = true,
        hide_default_value = true
    )]
    pub(crate) store_url: Option<StoreUrl>,
}

#[derive(Args, Debug)]
pub(crate) struct DemoOptions {
    /// Port of Deputy
    #[arg(long, env = "DEMO_PORT", value_name = "PORT", default_value_t = 8787)]
    pub(crate) port: u16,
    /// Port of the Todo API
    #[arg(long, env = "DEMO_TODO_API_PORT", value_name = "PORT", default_value_t = 8788)]
    pub(crate) todo_api_port: u16,
    /// Port of the simulated PingOne
    #[arg(long, env = "DEMO_PINGONE_PORT", value_name = "PORT", default_value_t = 8789)]
    pub(crate) pingone_port: u16,
    #[command(flatten)]
    pub(crate) document: OpenApiOptions,
    /// URL of your own API, instead of the Todo API
    #[arg(long, env = "DEMO_API_URL", value_name = "URL")]
    pub(crate) api_url: Option<String>,
    /// Audience of the access tokens for the API
    #[arg(
        long,
        env = "DEMO_API_IDENTIFIER",
        value_name = "NAME",
        default_value = "https://todo.deputy.example"
    )]
    pub(crate) api_identifier: String,
    /// Scopes of the API, separated by spaces [default: those of the OpenAPI document, or else todo:read todo:write]
    #[arg(long, env = "DEMO_SCOPES", value_name = "SCOPES")]
    pub(crate) scopes: Option<String>,
    /// Start without the todos that show what a list looks like
    #[arg(long, env = "DEMO_EMPTY", value_parser = BoolishValueParser::new())]
    pub(crate) empty: bool,
    /// Folder that keeps logins, todos and users for the next start
    #[arg(long, env = "DEMO_DATA_DIR", value_name = "FOLDER", default_value = "./data/demo")]
    pub(crate) data_dir: PathBuf,
    /// Delete the logins, todos and users of an earlier demo first
    #[arg(long, env = "DEMO_RESET", value_parser = BoolishValueParser::new())]
    pub(crate) reset: bool,
}

#[derive(Args, Debug)]
pub(crate) struct LogOptions {
    /// Log level: off, error, warn, info, debug or trace; also for single modules, as in `info,deputy=debug`. If LOG is not set, `RUST_LOG` counts
    #[arg(
        long,
        env = "LOG",
        value_name = "FILTER",
        default_value = "info",
        global = true,
        display_order = 100
    )]
    pub(crate) log: String,
    /// Format of the log
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t, global = true, display_order = 101)]
    pub(crate) log_format: LogFormat,
}

/// The variables of the command line, except for the one that names the file with variables, and those that name files
/// with secrets.
pub fn variables() -> impl Iterator<Item = String> {
    let command = Cli::command();
    let subcommands: Vec<_> = command.get_subcommands().cloned().collect();
    subcommands
        .into_iter()
        .chain([command])
        .flat_map(|command| {
            command
                .get_arguments()
                .filter_map(|arg| arg.get_env()?.to_str().map(str::to_owned))
                .collect::<Vec<_>>()
        })
        .filter(|name| name != "ENV_FILE")
        .chain(management::VARIABLES.map(str::to_owned))
        .chain(secret_files::variables())
}

/// The text of `--version`.
fn version() -> String {
    let Build { version, commit, target } = BUILD;
    format!("{version} (commit {}, {})", commit.unwrap_or("unknown"), target.unwrap_or("unknown build"))
}

fn collector_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
    url.filter(|url| url.query().is_none() && url.fragment().is_none())
        .ok_or("expected a URL such as http://localhost:4318")
}

/// Parses a number within `range`. The error names the range.
fn whole_number<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync
where
    T: Clone + Display + FromStr + PartialOrd + Send + Sync,
{
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("expected a whole number from {} to {}", range.start(), range.end()))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn serve(arguments: &[&str]) -> Result<(ServeOptions, LogOptions), clap::Error> {
        let arguments = ["deputy", "serve"].iter().chain(arguments).map(OsString::from);
        let arguments: Vec<OsString> = arguments.collect();
        match parse(arguments, |_| None)?.cli {
            Cli { command: Command::Serve(options), log } => Ok((options, log)),
            cli => panic!("{cli:?}"),
        }
    }

    #[test]
    fn command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_has_a_variable_but_those_that_remove() {
        let command = Cli::command();
        for command in command.get_subcommands().chain([&command]) {
            for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
                // A variable would last, for every later run.
                let removes = ["prune", "replace"].contains(&arg.get_id().as_str());
                assert_ne!(arg.get_env().is_some(), removes, "{} {}", command.get_name(), arg.get_id());
            }
        }
    }

    #[test]
    fn page_that_help_names_is_about_the_command() {
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let mut named = 0;
        for command in Cli::command().get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            for page in help.split("docs/").skip(1).map(|rest| rest.split_inclusive(".md").next().unwrap()) {
                let text = std::fs::read_to_string(docs.join(page)).unwrap_or_else(|_| panic!("docs/{page}"));
                let call = format!("deputy {}", command.get_name());
                assert!(text.contains(&call), "docs/{page} does not mention `{call}`");
                named += 1;
            }
        }
        assert!(named >= 10, "{named} pages");
    }

    #[test]
    fn example_lines_of_help_are_indented() {
        for command in Cli::command().get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            let examples = help.lines().filter(|line| line.trim_start().starts_with("deputy "));
            for example in examples {
                assert!(example.starts_with("    "), "{}: {example}", command.get_name());
            }
        }
    }

    #[test]
    fn flag_wins_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "LISTEN=127.0.0.1:1\nDATA_DIR=/from/file\nLOG=debug\n").unwrap();
        let file = file.to_str().unwrap();
        let (options, log) = serve(&["--env-file", file, "--listen", "127.0.0.1:2"]).unwrap();
        assert_eq!((options.listen.port(), log.log.as_str()), (2, "debug"));
        assert_eq!(options.data.data_dir, PathBuf::from("/from/file"));
    }

    #[test]
    fn missing_file_that_is_named_is_an_error() {
        let error = serve(&["--env-file", "/nowhere/at-all"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(text.contains("/nowhere/at-all") && text.contains("Usage: deputy serve "), "{text}");
    }
}
