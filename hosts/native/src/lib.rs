//! Deputy as one native binary: the core on tokio, axum, hyper and SQLite.
//!
//! The library is what the binary is made of, so that tests and benchmarks can use the parts: [`store`] and [`host`]
//! implement the core's seam, [`http_server`] bounds what strangers may do, and [`serve`] and [`demo`] are the commands.

pub mod commands;
pub mod demo;
pub mod env_file;
mod error;
pub mod host;
pub mod http_server;
pub mod logging;
mod rate_limits;
pub mod serve;
mod shutdown;
pub mod store;

use std::{process::ExitCode, sync::Arc};

use deputy::{Server, config::Config, host::Host};

use crate::{
    commands::{Cli, Command},
    env_file::EnvFile,
};

pub use error::StartError;

/// Makes a server of a configuration and a machine; what is added there are the tools.
pub type Tools = fn(Config, Arc<dyn Host>) -> Server;

/// A program that serves `tools`, with the commands of `deputy`: the whole of its `main`.
pub fn main(tools: Tools) -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let (cli, file) =
        commands::parse(arguments, |name| std::env::var(name).ok()).unwrap_or_else(|error| error.exit());
    match run(cli, file, tools) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("deputy: {error}");
            error.exit_code()
        }
    }
}

fn run(cli: Cli, file: EnvFile, tools: Tools) -> Result<(), StartError> {
    logging::start(&cli.log.log, cli.log.log_format).map_err(StartError::Configuration)?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| StartError::Other(format!("threads cannot be started: {error}")))?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve(options) => serve::run(options, file, tools).await,
            Command::Demo(options) => demo::run(options, tools).await,
        }
    })
}
