//! Measures Deputy natively and on workerd, beside floors of both platforms. `./dev bench` builds what it needs and runs it.
//!
//! Every server is a process of its own and is asked directly, without a proxy. Within a round all servers do the same in
//! turn, so that a ratio compares what was measured within seconds.

mod client;
mod floors;
mod forms;
mod http;
mod load;
mod plot;
mod process;
mod registration;
mod replicas;
mod report;
mod run;
mod scenario;
mod servers;
mod stored;
mod upstreams;

use std::{error::Error, path::PathBuf, process::ExitCode};

use axum::{Router, serve::ListenerExt as _};
use clap::{Parser, Subcommand};
use tokio::{net::TcpListener, runtime};

use servers::Ports;

/// The allocator of the floors, and of what loads the servers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Why something was not measured.
type Failure = Box<dyn Error + Send + Sync>;

/// Measures Deputy beside floors of its platforms.
#[derive(Parser)]
#[command(name = "bench")]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the servers and measure them
    Run(run::Options),
    /// Print the tables of results that were written before
    Report {
        /// Results of a run
        file: PathBuf,
        /// A folder in which to draw them
        #[arg(long, value_name = "FOLDER")]
        plots: Option<PathBuf>,
    },
    /// Serve PingOne and the API (a part of `run`)
    #[command(hide = true)]
    Upstreams {
        #[arg(long)]
        port: u16,
    },
    /// Serve the native floors (a part of `run`)
    #[command(hide = true)]
    Floors {
        #[arg(long)]
        port: u16,
        #[arg(long)]
        tools: PathBuf,
    },
}

fn main() -> ExitCode {
    match start(Options::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> Result<(), Failure> {
    match command {
        // One thread makes the load: it takes less from the server than several would.
        Command::Run(options) => {
            runtime::Builder::new_current_thread().enable_all().build()?.block_on(run::run(options))
        }
        Command::Report { file, plots } => report::print(&file, plots.as_deref()),
        Command::Upstreams { port } => until_input_ends(upstreams::serve(Ports::from(port))),
        Command::Floors { port, tools } => until_input_ends(floors::serve(Ports::from(port), &tools)),
    }
}

/// A server whose starter is gone ends too.
fn until_input_ends(server: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    runtime::Builder::new_multi_thread().enable_all().build()?.block_on(server)
}

async fn serve(listener: TcpListener, router: Router) -> std::io::Result<()> {
    let listener = listener.tap_io(|stream| {
        // Without it, only latency is worse.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await
}
