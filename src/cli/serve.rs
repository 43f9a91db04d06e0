//! `serve`.

use super::args::Serve;
use super::presign;
use super::running::{Running, ToldToStop};
use super::{DataDir, Failure};
use crate::config::Config;
use crate::office::OfficeError;

pub(super) fn run(data: &DataDir, asked: &Serve) -> Result<(), Failure> {
    crate::telemetry::start();
    data.check().map_err(OfficeError::from)?;
    let config = Config::read(asked.config.as_deref().unwrap_or(&data.config()))?;
    let told = ToldToStop::awaited()?;
    let mut running = Running::start(data, config)?;
    tracing::info!(address = %running.address(), url = running.office().public_url(), "serving");
    if let Some(address) = running.operations_address() {
        tracing::info!(%address, "metrics and health");
    }
    let served = presign::until_told_to_stop(running.office(), &asked.presign, told);
    running.stop()?;
    served
}
