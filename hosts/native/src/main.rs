//! `deputy`: see `deputy --help`. To serve tools of your own, replace [`todo`](mod@todo).

use std::process::ExitCode;

fn main() -> ExitCode {
    deputy_native::main(todo::deputy)
}
