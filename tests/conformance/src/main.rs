//! `conformance`: the commands of `deputy` with the suite's tools, `conformance demo` included.

use std::process::ExitCode;

fn main() -> ExitCode {
    deputy_native::main(conformance::server)
}
