//! Deputy as one native binary: the core on tokio, axum, hyper and SQLite.
//!
//! [`store`] and [`host`] implement the core's seam; [`http_server`] and [`listen`] serve it. [`main`] runs the [`commands`] of
//! `deputy` in a program with its own tools.

mod admin;
mod audit;
mod backup;
mod build;
mod client_key;
pub mod commands;
mod configuration;
mod copy;
mod demo;
mod doctor;
pub mod env_file;
mod error;
pub mod host;
pub mod http_server;
pub mod listen;
mod logging;
mod management;
pub mod metrics;
mod notify;
mod open_files;
mod openapi;
mod provision;
mod rate_limits;
mod rotation;
mod rs256;
mod secret_files;
mod serve;
mod shutdown;
pub mod store;
mod sync;
mod traces;
mod wrangler;

use std::{num::NonZeroUsize, pin::Pin, process::ExitCode};

use deputy::{Server, config::Config, host::Host};

use crate::{
    commands::{Command, Parsed},
    env_file::EnvFile,
    error::StartError,
    logging::Output,
    secret_files::SecretFiles,
    traces::Traces,
};

/// The allocator of every program with [`main`].
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Makes a Deputy with the tools of a program.
pub type Tools = fn(Config, Host) -> Server;

/// Runs a command of `deputy` with `tools`. This is all that a program's `main` needs to do.
pub fn main(tools: Tools) -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let parsed = commands::parse(arguments, env_file::environment).unwrap_or_else(|error| error.exit());
    let output = match Output::start(parsed.cli.log.log_format) {
        Ok(output) => output,
        Err(error) => {
            eprintln!("deputy: {}", StartError::Threads(error));
            return ExitCode::FAILURE;
        }
    };
    let status = match run(parsed, tools, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.print_error(&format!("deputy: {error}"));
            error.exit_code()
        }
    };
    output.flush();
    status
}

fn run(parsed: Parsed, tools: Tools, output: &Output) -> Result<(), StartError> {
    let Parsed { cli, file, secrets } = parsed;
    let traces = match &cli.command {
        Command::Serve(options) => options.otlp_endpoint.as_ref().map(Traces::start),
        _ => None,
    };
    let traces = traces.transpose().map_err(StartError::Traces)?;
    logging::start(&cli.log.log, output, traces.as_ref()).map_err(StartError::Log)?;
    let result = run_command(cli.command, file, secrets, tools, output);
    if let Some(traces) = traces {
        traces.stop();
    }
    result
}

fn run_command(
    command: Command,
    file: EnvFile,
    secrets: SecretFiles,
    tools: Tools,
    output: &Output,
) -> Result<(), StartError> {
    let serving = |future: Pin<Box<dyn Future<Output = Result<(), StartError>>>>| {
        let runtime = runtime().map_err(StartError::Threads)?;
        runtime.block_on(future)
    };
    match command {
        Command::Tools(options) => openapi::list(&options),
        Command::Clients(options) => serving(Box::pin(admin::clients(options, file, output.clone()))),
        Command::Grants(options) => serving(Box::pin(admin::grants(options, file, output.clone()))),
        Command::Audit(options) => {
            audit::run(&options, || configuration::keys_for_verification(&file), output)
        }
        Command::Logins(options) => {
            let is_set = |name| configuration::variable(&file, name).is_some();
            audit::list_logins(&options, ["STORE_URL", "STORE_URL_FILE"].into_iter().any(is_set))
        }
        Command::Backup(options) => backup::back_up(&options, output),
        Command::Demo(options) => serving(Box::pin(demo::run(options, tools, output.clone()))),
        Command::Doctor(options) => serving(Box::pin(doctor::run(*options, file, tools, output.clone()))),
        Command::Keys(options) => client_key::make(&options),
        Command::Provision(options) => {
            serving(Box::pin(provision::run(*options, file, tools, output.clone())))
        }
        Command::Restore(options) => backup::restore(&options, output),
        Command::Store(options) => serving(Box::pin(copy::run(options, file, output.clone()))),
        Command::Serve(options) => {
            serving(Box::pin(serve::run(options, file, secrets, tools, output.clone())))
        }
    }
}

/// A runtime with two threads or more, since a read of the store may keep half of them.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).max(2);
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
}
