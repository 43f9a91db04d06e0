//! The `sekisho` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    sekisho::cli::run()
}
