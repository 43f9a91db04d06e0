//! The `sekisho` command.

/// An answer is a kilobyte: above what the C library hands out without a search.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::process::ExitCode;

fn main() -> ExitCode {
    sekisho::cli::run()
}
