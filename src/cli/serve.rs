//! `serve`.

use super::args::Serve;
use super::running::{Running, until_told_to_stop};
use super::{DataDir, Failure};
use crate::config::Config;

pub(super) fn run(data: &DataDir, asked: &Serve) -> Result<(), Failure> {
    crate::telemetry::start();
    if !data.exists() {
        return Err(Failure::wrong_use(format!(
            "{0} is no data directory: run `sekisho init --data {0}` first",
            data.path().display()
        )));
    }
    let config = Config::read(asked.config.as_deref().unwrap_or(&data.config()))?;
    let mut running = Running::start(data, config)?;
    tracing::info!(address = %running.address(), url = running.office().public_url(), "serving");
    until_told_to_stop()?;
    running.stop()
}
