//! The program `standup`: the commands of `deputy`, with the stand-up tools.

use std::process::ExitCode;

fn main() -> ExitCode {
    deputy_native::main(standup::deputy)
}
