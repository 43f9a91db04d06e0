//! The `sekisho` command.

use std::process::ExitCode;

/// The system's hands memory from thread to thread under a lock: where rows are read on one thread and
/// dropped on another, a third of the time went there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sekisho::cli::run()
}
