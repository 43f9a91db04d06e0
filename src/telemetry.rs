//! Logs: JSON lines on standard error for a service, plain text for a person's terminal.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Environment variable with a `tracing` filter, e.g. `sekisho=debug`.
const FILTER_VARIABLE: &str = "SEKISHO_LOG";

/// Starts logging to standard error, at `info` unless `SEKISHO_LOG` says otherwise. A second
/// call changes nothing.
pub fn start() {
    start_at("info");
}

/// As [`start`], for a command that shows its progress itself: what goes wrong is logged.
pub fn start_quietly() {
    start_at("warn");
}

fn start_at(level: &str) {
    let filter = EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder.json().try_init()
    };
    drop(started);
}
