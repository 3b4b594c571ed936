//! `standup`: the commands of `deputy` with tools of our own.

use std::process::ExitCode;

fn main() -> ExitCode {
    deputy_native::main(standup::deputy)
}
