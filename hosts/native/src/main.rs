//! `deputy`: see `deputy --help`.

use std::process::ExitCode;

use deputy_native::{
    StartError,
    commands::{self, Cli, Command},
    demo,
    env_file::EnvFile,
    logging, serve,
};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let (cli, file) =
        commands::parse(arguments, |name| std::env::var(name).ok()).unwrap_or_else(|error| error.exit());
    match run(cli, file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("deputy: {error}");
            error.exit_code()
        }
    }
}

fn run(cli: Cli, file: EnvFile) -> Result<(), StartError> {
    logging::start(&cli.log.log, cli.log.log_format).map_err(StartError::Configuration)?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| StartError::Other(format!("threads cannot be started: {error}")))?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve(options) => serve::run(options, file).await,
            Command::Demo(options) => demo::run(options).await,
        }
    })
}
