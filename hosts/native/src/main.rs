//! `deputy`: see `deputy --help`. The tools that it serves are in [`tools`].

mod tools;

use std::process::ExitCode;

fn main() -> ExitCode {
    deputy_native::main(tools::server)
}
