//! Deputy as one native binary: the core on tokio, axum, hyper and SQLite.
//!
//! The library is what the binary is made of, so that tests and benchmarks can use the parts: [`store`] and [`host`]
//! implement the core's seam, [`http_server`] bounds what strangers may do, and [`serve`] and [`demo`] are the commands.

mod backup;
pub mod commands;
pub mod demo;
pub mod env_file;
mod error;
pub mod host;
pub mod http_server;
pub mod listen;
pub mod logging;
mod open_files;
mod rate_limits;
pub mod serve;
mod shutdown;
pub mod store;

use std::{pin::Pin, process::ExitCode, sync::Arc};

use deputy::{Server, config::Config, host::Host};

use crate::{
    commands::{Cli, Command},
    env_file::EnvFile,
    logging::Output,
};

pub use error::StartError;

/// Makes a server of a configuration and a machine; what is added there are the tools.
pub type Tools = fn(Config, Arc<dyn Host>) -> Server;

/// A program that serves `tools`, with the commands of `deputy`: the whole of its `main`.
pub fn main(tools: Tools) -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let (cli, file) =
        commands::parse(arguments, |name| std::env::var(name).ok()).unwrap_or_else(|error| error.exit());
    let output = match Output::start(cli.log.log_format) {
        Ok(output) => output,
        Err(error) => {
            eprintln!("deputy: threads cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let status = match run(cli, file, tools, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.print_error(&format!("deputy: {error}"));
            error.exit_code()
        }
    };
    output.flush();
    status
}

fn run(cli: Cli, file: EnvFile, tools: Tools, output: &Output) -> Result<(), StartError> {
    logging::start(&cli.log.log, output).map_err(StartError::Configuration)?;
    let serving = |future: Pin<Box<dyn Future<Output = Result<(), StartError>>>>| {
        let runtime = tokio::runtime::Runtime::new()
            .map_err(|error| StartError::Other(format!("threads cannot be started: {error}")))?;
        runtime.block_on(future)
    };
    match cli.command {
        Command::Backup(options) => backup::back_up(&options, output),
        Command::Demo(options) => serving(Box::pin(demo::run(options, tools, output.clone()))),
        Command::Restore(options) => backup::restore(&options, output),
        Command::Serve(options) => serving(Box::pin(serve::run(options, file, tools, output.clone()))),
    }
}
