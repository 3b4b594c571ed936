//! The program `conformance`: the commands of `deputy`, with the tools for the suite.

use std::process::ExitCode;

fn main() -> ExitCode {
    deputy_native::main(conformance::server)
}
